"""Models by trial and calls: one atomic file for each step, on a folder or any fsspec URL.

The models of a search do not live in Dask (a chain of futures is run again from its start when a worker dies). Each
step reads its models here and writes them back; the store is the checkpoint.
"""

from __future__ import annotations

import json
import os
import pickle
import uuid
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloudpickle
import fsspec

__all__ = ["Checkpoint", "ModelStore", "dumps_model", "loads_model"]

_MAGIC = b"dhpo-models-1\n"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Where the model of a trial lies, as it was after `calls` calls.

    Parameters
    ----------
    trial, calls : int
    file : str
        Name of the file in the store.
    offset, length : int
        The bytes of the model in it.
    """

    trial: int
    calls: int
    file: str
    offset: int
    length: int


class ModelStore:
    """A folder of model files.

    Parameters
    ----------
    url : str
        A path or an fsspec URL. Whoever can write there can run code in every process that reads it: models are
        pickles.
    """

    def __init__(self, url: str) -> None:
        self.url = url
        self._fs, self._root = fsspec.core.url_to_fs(url)
        self._local = "file" in (self._fs.protocol if isinstance(self._fs.protocol, tuple) else (self._fs.protocol,))

    def __reduce__(self) -> tuple[Any, ...]:
        return ModelStore, (self.url,)

    def create(self) -> None:
        """Make the folder, readable by its owner alone where it is a local one."""
        if self._local:
            Path(self._root).mkdir(mode=0o700, parents=True, exist_ok=True)
        else:
            self._fs.makedirs(self._root, exist_ok=True)

    def write(self, models: Mapping[tuple[int, int], bytes]) -> dict[int, Checkpoint]:
        """Write the models of one step as one file, which is there whole or not at all.

        Parameters
        ----------
        models : mapping of (trial, calls) to bytes

        Returns
        -------
        dict of trial to Checkpoint
        """
        # A step that Dask runs twice writes two files: its second run may have come less far than the first.
        name = f"{uuid.uuid4().hex}.models"
        sizes = [[trial, calls, len(data)] for (trial, calls), data in models.items()]
        index = json.dumps(sizes).encode()
        offset = len(_MAGIC) + 8 + len(index)
        content = b"".join([_MAGIC, len(index).to_bytes(8, "little"), index, *models.values()])
        checkpoints = {}
        for trial, calls, length in sizes:
            checkpoints[trial] = Checkpoint(trial, calls, name, offset, length)
            offset += length
        if self._local:
            path = Path(self._root) / name
            partial = path.with_suffix(".partial")
            try:
                partial.write_bytes(content)
                os.replace(partial, path)
            finally:
                partial.unlink(missing_ok=True)
        else:
            self._fs.pipe_file(f"{self._root}/{name}", content)
        return checkpoints

    def read(self, checkpoint: Checkpoint) -> bytes:
        """The bytes of one model.

        Raises
        ------
        FileNotFoundError
            If the file is gone.
        """
        end = checkpoint.offset + checkpoint.length
        if self._local:
            with open(f"{self._root}/{checkpoint.file}", "rb") as file:
                file.seek(checkpoint.offset)
                return file.read(checkpoint.length)
        data: bytes = self._fs.cat_file(f"{self._root}/{checkpoint.file}", start=checkpoint.offset, end=end)
        return data

    def delete(self, file: str) -> None:
        """Remove one file of models; one that is gone already is no error."""
        with suppress(FileNotFoundError):
            self._fs.rm_file(f"{self._root}/{file}")


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
