"""Models by number and calls: one atomic file for each step, on a folder or any fsspec URL.

The models of a search do not live in Dask (a chain of futures is run again from its start when a worker dies). Each
step reads its models here and writes them back; the store is the checkpoint.
"""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import cloudpickle
import fsspec

from dhpo.errors.full_disk import JOURNAL, TEMPORARY, says_where
from dhpo.history.events import Checkpoint

__all__ = ["Checkpoint", "ModelLost", "ModelStore", "dumps_model", "is_local", "loads_model"]

_MAGIC = b"dhpo-models-1\n"


class ModelLost(OSError):
    """A model is not in the store as it was written there."""


class ModelStore:
    """A folder of model files.

    Parameters
    ----------
    url : str
        A path or an fsspec URL. Whoever can write there can run code in every process that reads it: models are
        pickles.
    durable : bool, default False
        Whether a file is on disk, and not only on its way, once `write` returns.

    Attributes
    ----------
    is_local : bool
        Whether the URL is a folder that this machine knows.
    """

    def __init__(self, url: str, durable: bool = False) -> None:
        self.url = url
        self._durable = durable
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self.is_local = is_local(self._fs)

    def __reduce__(self) -> tuple[Any, ...]:
        return ModelStore, (self.url, self._durable)

    def create(self) -> None:
        """Make the folder, readable by its owner alone where it is a local one."""
        if self.is_local:
            Path(self._root).mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            self._fs.makedirs(self._root, exist_ok=True)

    def write(self, models: Mapping[tuple[int, int], bytes]) -> dict[int, Checkpoint]:
        """Write the models of one step as one file, which is there whole or not at all.

        Parameters
        ----------
        models : mapping of (number, calls) to bytes

        Returns
        -------
        dict of number to Checkpoint
        """
        # A step that Dask runs twice writes two files: its second run may have come less far than the first.
        name = f"{uuid.uuid4().hex}.models"
        sizes = [[number, calls, len(data)] for (number, calls), data in models.items()]
        index = json.dumps(sizes).encode()
        offset = len(_MAGIC) + 8 + len(index)
        content = [_MAGIC, len(index).to_bytes(8, "little"), index, *models.values()]
        checkpoints = {}
        for number, calls, length in sizes:
            checkpoints[number] = Checkpoint(number, calls, name, offset, length, _digest(models[number, calls]))
            offset += length
        with says_where(self._root if self.is_local else self.url, JOURNAL if self._durable else TEMPORARY):
            self._write_file(name, content)
        return checkpoints

    def _write_file(self, name: str, content: Sequence[bytes]) -> None:
        if self.is_local:
            path = Path(self._root) / name
            partial = path.with_suffix(".partial")
            try:
                with open(partial, "wb") as file:
                    file.writelines(content)
                    if self._durable:
                        file.flush()
                        os.fsync(file.fileno())
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)
        else:
            self._fs.pipe_file(f"{self._root}/{name}", b"".join(content))

    def read(self, checkpoint: Checkpoint) -> bytes:
        """The bytes of one model.

        Raises
        ------
        ModelLost
            If the file is gone or damaged.
        """
        path = f"{self._root}/{checkpoint.file}"
        try:
            if self.is_local:
                with open(path, "rb") as file:
                    file.seek(checkpoint.offset)
                    data = file.read(checkpoint.length)
            else:
                data = self._fs.cat_file(path, start=checkpoint.offset, end=checkpoint.offset + checkpoint.length)
        except FileNotFoundError as error:
            raise ModelLost(f"{path} is gone") from error
        if _digest(data) != checkpoint.digest:
            raise ModelLost(f"{path} is damaged: bytes {checkpoint.offset} on are not the model that was written there")
        return data

    def take_from(self, other: ModelStore, file: str) -> None:
        """Have a file of another store here, too, under its name; where both are folders of one disk, without a copy.

        Raises
        ------
        ModelLost
            If the file is gone.
        """
        here, there = f"{self._root}/{file}", f"{other._root}/{file}"
        if self._fs.exists(here):
            return
        if self.is_local and other.is_local:
            with suppress(OSError):  # it is gone, or on another disk
                os.link(there, here)
                return
        try:
            content = other._fs.cat_file(there)
        except FileNotFoundError as error:
            raise ModelLost(f"{there} is gone") from error
        with says_where(self._root if self.is_local else self.url, JOURNAL if self._durable else TEMPORARY):
            self._write_file(file, [content])

    def files(self) -> set[str]:
        """The names of all files of models; none where the folder is gone, for object stores know no empty folders."""
        try:
            paths = self._fs.ls(self._root, detail=False, refresh=True)
        except FileNotFoundError:
            return set()
        return {str(path).rpartition("/")[2] for path in paths}

    def delete(self, file: str) -> None:
        """Remove one file of models; one that is gone already is no error."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(f"{self._root}/{file}")


def is_local(fs: Any) -> bool:
    """Whether a file system of fsspec is that of this machine."""
    return "file" in (fs.protocol if isinstance(fs.protocol, tuple) else (fs.protocol,))


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


def dumps_model(model: Any) -> bytes:
    """A model as bytes, also where its class was defined in a script or a notebook.

    Raises
    ------
    Exception
        Whatever pickle raises for a model that cannot be pickled.
    """
    if type(model).__module__ != "__main__":
        try:
            return pickle.dumps(model, protocol=5)
        except Exception:
            pass  # a lambda or a local class inside: cloudpickle takes it by value
    data: bytes = cloudpickle.dumps(model, protocol=5)
    return data


def loads_model(data: bytes) -> Any:
    """The model that `dumps_model` wrote."""
    return pickle.loads(data)
