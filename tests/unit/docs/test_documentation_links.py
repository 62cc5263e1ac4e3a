"""What the documentation names exists: pages, anchors, files, verbs and targets of make."""

import re
import runpy
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from scalebed.commands.cli import CONTRIBUTORS, PEOPLE
from scalebed.commands.rules import RULES

ROOT = Path(__file__).parents[3]
TRACKED = set(
    subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.splitlines()
)
PAGES = sorted(name for name in TRACKED if name.endswith(".md"))
FENCE = re.compile(r"^( *)```.*?^\1``` *$", re.MULTILINE | re.DOTALL)
CODE = re.compile(r"`([^`\n]+)`")
LINK = re.compile(r"\]\(([^)\s]+)\)|^\[[^\]]+\]: *(\S+)|<(https?:[^>\s]+)>", re.MULTILINE)
FOLDERS = {folder.as_posix() for name in TRACKED for folder in Path(name).parents}
ROOMS = {name.split("/")[2] for name in TRACKED if name.startswith("src/scalebed/")}
# Looks like a file of ours and is none: a run or a user makes it, or another repository has it.
ELSEWHERE = re.compile(
    r"results/|state/|logs/|site/|studies/$|\.snakemake/|mine\.yaml$|\.\./shared/open_lm$"
    r"|src/scripts/paper/data/ladder-runs$|(search|tables|fits)/[\w.]+\.(parquet|yaml)$"
    r"|text/$|wandb/$|lines\.py$|pixi\.toml$"
)
OURS = (".py", ".smk", ".md", ".toml", ".sh", ".yaml")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: str) -> str:
    """Return a page without what stands in fences."""
    return FENCE.sub("", text(page))


def links(page: str) -> Iterator[str]:
    for match in LINK.finditer(CODE.sub("``", prose(page))):
        yield next(group for group in match.groups() if group)


def slug(heading: str) -> str:
    """Return the anchor that GitHub gives a heading."""
    shown = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", heading).replace("`", "").replace("*", "")
    return re.sub(r"[^\w\- ]", "", shown.strip().lower()).replace(" ", "-")


def anchors(page: str) -> set[str]:
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#{1,6} +(.+?) *#*$", prose(page), re.MULTILINE):
        name = slug(heading)
        found.add(f"{name}-{seen[name]}" if seen[name] else name)
        seen[name] += 1
    return found


def broken(page: str, target: str) -> str | None:
    """Return what is wrong with a link of a page."""
    if re.match(r"[a-z]+:", target):
        url = urlsplit(target)
        sound = url.scheme == "https" and re.fullmatch(r"[\w-]+(\.[\w-]+)+", url.netloc)
        return None if sound else "not an https address"
    path, _, anchor = unquote(target).partition("#")
    file = (ROOT / page).parent / path if path else ROOT / page
    name = file.resolve().relative_to(ROOT).as_posix()
    if name not in TRACKED:
        return "no such file"
    if anchor and not (name.endswith(".md") and anchor in anchors(name)):
        return "no such heading"
    return None


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    assert {target: why for target in links(page) if (why := broken(page, target))} == {}


def names_file(code: str) -> bool:
    """Tell whether what stands in backticks looks like a file or folder of the repository."""
    if ELSEWHERE.match(code) or not re.fullmatch(r"[\w./<>{},*:=-]+", code):
        return False
    head, slash, _ = code.partition("/")
    known = {name.partition("/")[0] for name in TRACKED} | ROOMS
    ours = code.endswith((*OURS, "/")) and code[0] not in "./"
    return ours or bool(slash and head in known)


def is_there(page: str, code: str) -> bool:
    """Tell whether a file or folder is there; ``<name>`` stands for any name."""
    path = code.partition(":")[0].removesuffix("/")
    pattern = re.sub(r"<\w+>", "[^/]+", re.escape(path)).replace(r"\*", "[^/]*")
    pattern = re.sub(r"\\{(.*?)\\}", lambda match: f"({match[1].replace(',', '|')})", pattern)
    # A page may begin a path at the root, at the package or at the folder it speaks of.
    whole = re.compile(f"(.*/)?{pattern}")
    return any(whole.fullmatch(name) for name in TRACKED | FOLDERS)


@pytest.mark.parametrize("page", PAGES)
def test_files_named_in_backticks_are_there(page):
    named = [code for code in CODE.findall(prose(page)) if names_file(code)]
    assert [code for code in named if not is_there(page, code)] == []


def commands(page: str) -> str:
    """Return what a page shows as code, a line each."""
    shown = text(page)
    fences = [match[0] for match in FENCE.finditer(shown)]
    return "\n".join([*fences, *CODE.findall(prose(page))])


@pytest.mark.parametrize("page", PAGES)
def test_verbs_and_targets_exist(page):
    shown = commands(page)
    verbs = set(re.findall(r"(?:^|[ /;|`(])scalebed +([a-z][a-z-]+)", shown, re.MULTILINE))
    assert verbs - {*PEOPLE, *CONTRIBUTORS, *RULES} == set()
    targets = re.findall(
        r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE
    )
    named = set(re.findall(r"(?:^|[`(])make ([a-z][a-z-]*)", shown, re.MULTILINE))
    assert named - set(targets) == set()


def test_every_page_has_its_place_in_the_site():
    site = runpy.run_path(str(ROOT / "docs/conf.py"))
    listed = [page for pages in site["NAVIGATION"].values() for page in pages]
    # Pages in the package go into folders of others.
    pages = [page for page in PAGES if not page.startswith("src/")]
    assert sorted([*(f"{page}.md" for page in listed if "<" not in page), "README.md"]) == pages
    matched = {path for glob in site["include_patterns"] for path in ROOT.glob(glob)}
    assert {ROOT / page for page in pages} <= matched


def test_headings_get_the_anchors_that_github_gives_them():
    assert (
        slug("`lm_eval`: task errors, *with* 90 % intervals")
        == "lm_eval-task-errors-with-90--intervals"
    )
    assert slug("[What](x.md) reruns?") == "what-reruns"
    assert "gpu" in anchors("config/README.md")


def test_a_broken_link_is_found():
    assert broken("docs/fit.md", "nowhere.md") == "no such file"
    assert broken("docs/fit.md", "#nowhere") == "no such heading"
    assert broken("docs/fit.md", "../README.md#nowhere") == "no such heading"
    assert broken("README.md", "http://arxiv.org/abs/2403.08540") == "not an https address"
    assert broken("README.md", "https://arxiv org") == "not an https address"
    assert not is_there("README.md", "src/scalebed/laws/nowhere.py")
    assert is_there("README.md", "src/scalebed/laws/<name>.py")
