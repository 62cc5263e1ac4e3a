"""Exported models to a hub of Hugging Face."""

from pathlib import Path
from typing import Any

from scalebed.core.errors import ScalebedError


def check_hub(repository: str) -> None:
    """Make sure that there is a hub and a token for it, before anything is made for it.

    Raises
    ------
    ScalebedError
        If the hub cannot be reached, knows no such user, or has no such name.
    """
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repository)
        _api().whoami()
    except Exception as error:  # of the hub, of the network and of its libraries, all unrelated
        raise ScalebedError(
            f"cannot push to {repository}, so nothing is exported or uploaded (is there a network, "
            f"and a token of `hf auth login`?): {_reason(error)}"
        ) from error


def push(folder: Path, repository: str, public: bool) -> str:
    """Upload an exported folder in one commit; return its address.

    Parameters
    ----------
    folder
        What `scalebed.evaluate.export.export_cell` wrote.
    repository
        Name on the hub, ``user/name``; made when there is none.
    public
        Whether a new one can be seen by everybody.

    Raises
    ------
    ScalebedError
        If it cannot be uploaded.
    """
    api = _api()
    try:
        api.create_repo(repository, private=not public, exist_ok=True)
        done = api.upload_folder(
            repo_id=repository, folder_path=folder, commit_message="Export by scalebed"
        )
    except Exception as error:  # see above
        raise ScalebedError(
            f"{folder} is exported, but cannot be pushed to {repository}: {_reason(error)}"
        ) from error
    return str(done.commit_url)


def _api() -> Any:
    import huggingface_hub

    return huggingface_hub.HfApi()


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
