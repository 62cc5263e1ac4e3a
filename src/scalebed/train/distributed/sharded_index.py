"""The index of a checkpoint in torch's own format, read without running what is in it.

The index is a pickle, which can name any function of any module and have it called; torch loads it
as it is. Here a name is looked up only if it is one of those that an index of tensors needs.
"""

import pickle
from pathlib import Path
from typing import Any

import torch.distributed.checkpoint as dcp
from torch.distributed.checkpoint.metadata import Metadata, StorageMeta

_INDEX = ".metadata"
# Not BytesStorageMetadata: torch loads what it stands for as a pickle without limits.
_OWN = {
    "torch.distributed.checkpoint.metadata": {
        *("Metadata", "MetadataIndex", "StorageMeta"),
        *("TensorStorageMetadata", "TensorProperties", "ChunkStorageMetadata"),
        "_MEM_FORMAT_ENCODING",
    },
    "torch.distributed.checkpoint.filesystem": {"_StorageInfo"},
    "torch.serialization": {"_get_layout"},
    "pathlib": {"PosixPath"},
    "torch": {
        *("Size", "float64", "float32", "float16", "bfloat16"),
        *("int64", "int32", "int16", "int8", "uint8", "bool"),
    },
}


class _Unpickler(pickle.Unpickler):
    """Finds the names of an index of tensors and no others."""

    def find_class(self, module: str, name: str) -> Any:
        """Return what a name stands for.

        Raises
        ------
        UnpicklingError
            If an index of tensors has no such name.
        """
        if name not in _OWN.get(module, ()):
            raise pickle.UnpicklingError(f"its index holds a {module}.{name}")
        return super().find_class(module, name)


def read_index(folder: Path) -> Metadata:
    """Return the index of a checkpoint.

    Raises
    ------
    ValueError, OSError
        If it is not whole, holds more than tensors, or leads out of its folder.
    """
    try:
        with (folder / _INDEX).open("rb") as file:
            index = _Unpickler(file).load()
        inside = all(Path(name).name == name for name in _files(index))
    except OSError:
        raise
    except Exception as error:  # a damaged pickle can raise anything
        raise ValueError(" ".join(str(error).split())) from error
    if not inside:
        raise ValueError("its index names a file outside of its folder")
    return index


def _files(index: Any) -> list[str]:
    if not isinstance(index, Metadata):
        raise TypeError(f"its index is a {type(index).__name__}")
    return [entry.relative_path for entry in index.storage_data.values()]


class Reader(dcp.FileSystemReader):
    """torch's reader of a folder, with an index that is read as above."""

    def read_metadata(self, *_args: Any, **_kwargs: Any) -> Metadata:
        """Return the index, as torch calls for it."""
        index = read_index(Path(self.path))
        if index.storage_meta is None:
            index.storage_meta = StorageMeta()
        index.storage_meta.load_id = self.load_id
        return index
