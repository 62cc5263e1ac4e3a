"""Fetch the published testbed from its public repository, at one commit and checked."""

import hashlib
import io
import logging
import shutil
import tarfile
import urllib.error
import urllib.request
from pathlib import Path, PurePosixPath

from scalebed.core.errors import ScalebedError
from scalebed.core.files import write_json

COMMIT = "a003c4913793ac2ae7ef87b28ecb562955d026d5"
URL = f"https://codeload.github.com/mlfoundations/scaling/tar.gz/{COMMIT}"
SHA256 = "a775dc083669fd7e0f49f482400c630edffbee0902b1ac93ee71afd6c38b2fdd"
"""Of the files, see `files_digest`: archives of one commit need not be the same bytes."""

_TIMEOUT = 60
_log = logging.getLogger(__name__)


def testbed_files(root: Path) -> list[Path]:
    """Return the files of a testbed, sorted; `root` holds models, evals and the two tables."""
    files = [*(root / "models").glob("*.json"), *(root / "evals").glob("*.json")]
    tables = [root / name for name in ("eval_metadata.csv", "grid.json")]
    return sorted([*files, *(file for file in tables if file.is_file())])


def files_digest(root: Path) -> str:
    """Return the SHA-256 over names and contents of the files of a testbed."""
    total = hashlib.sha256()
    for file in testbed_files(root):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        total.update(f"{file.relative_to(root).as_posix()}\0{content}\n".encode())
    return total.hexdigest()


def fetch_testbed(out: Path, url: str = URL, sha256: str = SHA256) -> None:
    """Download the testbed into the folder of `out` and write `out`, its manifest, last.

    Raises
    ------
    ScalebedError
        If it cannot be reached, is no archive, or its files are not the published ones.
    """
    root = out.parent / "exp_data"
    otherwise = "give a folder that has it with --config testbed=FOLDER"
    archive = download(url, "the published testbed", otherwise)
    shutil.rmtree(root, ignore_errors=True)
    try:
        _extract(archive, root)
    except (tarfile.TarError, EOFError, OSError) as error:
        shutil.rmtree(root, ignore_errors=True)
        raise ScalebedError(f"cannot unpack what {url} gave: {error}") from error
    found = files_digest(root)
    if found != sha256:
        shutil.rmtree(root, ignore_errors=True)
        raise ScalebedError(f"the files of {url} have SHA-256 {found}, expected {sha256}")
    files = len(testbed_files(root))
    write_json(out, {"url": url, "commit": COMMIT, "sha256": found, "files": files})
    _log.info("fetched %d files of the published testbed", files)


def download(url: str, what: str, otherwise: str) -> bytes:
    """Return what an address holds.

    Raises
    ------
    ScalebedError
        If it cannot be reached: `what` is not fetched, and `otherwise` says what else to do.
    """
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            content: bytes = response.read()
            return content
    except (urllib.error.URLError, OSError) as error:
        reason = getattr(error, "reason", error)
        raise ScalebedError(
            f"{what} cannot be fetched from {url} ({reason}): run where that can be reached, or "
            f"{otherwise}"
        ) from error


def _extract(archive: bytes, root: Path) -> None:
    """Write the files below ``exp_data``, whatever the archive calls its top folder."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        for member in tar:
            parts = PurePosixPath(member.name).parts
            if not member.isfile() or len(parts) < 3 or parts[1] != "exp_data" or ".." in parts:
                continue
            source = tar.extractfile(member)
            if source is not None:
                target = root.joinpath(*parts[2:])
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(source.read())
