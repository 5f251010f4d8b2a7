"""The folder of one search: its models, and raw copies of rows."""

from __future__ import annotations

import shutil
import tempfile
import uuid
import weakref
from pathlib import Path

import dask

from dhpo.errors.full_disk import JOURNAL, TEMPORARY, says_where
from dhpo.storage.model_store import ModelStore

__all__ = ["Workspace", "holds_token"]


class Workspace:
    """A folder that the search makes, and removes when it is over.

    Parameters
    ----------
    parent : Path, optional
        Where; nobody else may use it. Default: Dask's `temporary-directory`, with others.
    models : ModelStore, optional
        Where the models are kept, if not in this folder.

    Attributes
    ----------
    run : str
        Name of the search.
    path : Path
    models : ModelStore
    """

    def __init__(self, parent: Path | None = None, models: ModelStore | None = None) -> None:
        setting = TEMPORARY if parent is None else JOURNAL
        if parent is None:
            parent = Path(dask.config.get("temporary-directory", None) or tempfile.gettempdir())
        else:
            for left in parent.glob("dhpo-*"):  # by a process that was killed
                shutil.rmtree(left, ignore_errors=True)
        self.run = uuid.uuid4().hex[:12]
        self.path = parent.absolute() / f"dhpo-{self.run}"
        with says_where(parent.absolute(), setting):
            self.path.mkdir(mode=0o700, parents=True)
        # Also when the search object is dropped without a word, and when the interpreter ends.
        self._finalizer = weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)
        if models is None:
            models = ModelStore(str(self.path / "models"))
            models.create()
        self.models = models
        self.scratch = self.path / "scratch"
        self._token = uuid.uuid4().hex
        with says_where(parent.absolute(), setting):
            self.scratch.mkdir(mode=0o700)
            (self.path / "token").write_text(self._token)

    def rename(self) -> str:
        """Go by another name from now on, under which workers hold nothing; return the one before."""
        before, self.run = self.run, uuid.uuid4().hex[:12]
        return before

    def crumb(self, step: int, shared: bool) -> str:
        """The file for the breadcrumbs of a step: in this folder, or else in the temporary folder of its worker."""
        name = f"dhpo-{self.run}-{step}.crumb"
        return str(self.scratch / name) if shared else name

    @property
    def token(self) -> tuple[str, str]:
        """For `holds_token` on a worker: tells whether it sees this very folder."""
        return str(self.path / "token"), self._token

    def remove(self) -> None:
        """Delete the folder."""
        self._finalizer()
        for _ in range(3):  # a step that ends right now may have written into it meanwhile
            if not self.path.exists():
                break
            shutil.rmtree(self.path, ignore_errors=True)


def holds_token(path: str, token: str) -> bool:
    """Whether this process sees the folder of the driver and may write there."""
    try:
        if Path(path).read_text() != token:
            return False
        probe = Path(path).with_name(f"probe-{uuid.uuid4().hex}")
        probe.touch()
        probe.unlink()
    except OSError:
        return False
    return True
