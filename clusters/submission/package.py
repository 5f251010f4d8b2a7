"""What is to be run, checked and packed."""

from __future__ import annotations

import io
import json
import os
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from inspect import getsource
from pathlib import Path
from typing import IO, Any

import yaml

from clusters.errors import SubmissionError
from clusters.submission import runner

__all__ = ["Package", "checked_files"]


@dataclass(frozen=True)
class Package:
    """A script to be run.

    Parameters
    ----------
    name : str
        The name of the run.
    config : ClusterConfig
        The cluster.
    script : Path
        The script.
    arguments : sequence of str
        Its arguments.
    files : sequence of Path
        Further files and folders.
    folder : str
        Where it runs: a new folder.
    time : str, optional
        How long it may take, for a batch system.
    """

    name: str
    config: Any
    script: Path
    arguments: Sequence[str]
    files: Sequence[Path]
    folder: str
    time: str | None = None

    def command(self, python: Sequence[str]) -> list[str]:
        """The command that runs the script, in its folder."""
        return [*python, "-u", self.script.name, *self.arguments]

    def archive(self, cluster: Mapping[str, Any], env: Mapping[str, str], grace: float) -> IO[bytes]:
        """All that has to be in the folder; the values of variables are in it, too.

        Parameters
        ----------
        cluster : mapping
            What `clusters.from_config()` in the script reads.
        env : mapping
            Variables of the script.
        grace : float
            Seconds that the script has to close its cluster when it is asked to end.
        """
        file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked for it closes it
        try:
            with tarfile.open(fileobj=file, mode="w", dereference=True) as archive:
                for path in (self.script, *self.files):
                    archive.add(path, path.name, filter=_own)
                order = {"arguments": self.command(()), "env": dict(env), "grace": grace}
                _add(archive, "order.json", json.dumps(order))
                _add(archive, "cluster.yaml", yaml.safe_dump(dict(cluster)))
                _add(archive, "runner.py", getsource(runner))
        except OSError as error:
            file.close()
            where = f"{error.filename}: cannot be read" if error.filename else "the files could not be packed"
            raise SubmissionError(f"{where} ({error.strerror or error})", "change file=") from None
        file.seek(0)
        return file


def checked_files(script: Any, files: Sequence[Any]) -> tuple[Path, list[Path]]:
    """The script and the further files, which have to be there under names of their own.

    Raises
    ------
    SubmissionError
        If one is not.
    """
    path = _named(script)
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "there is no such file"
        raise SubmissionError(f"script={str(script)!r}: {what}", "expected a Python script")
    further = [_named(file) for file in files]
    taken = {path.name, runner.CONTROL, runner.LOG}
    for file in further:
        if not file.exists():
            raise SubmissionError(f"file={str(file)!r}: there is no such file or folder", "change file=")
        if (name := file.name) in taken or not name:
            raise SubmissionError(
                f"file={str(file)!r}: {name!r} would be there twice", "rename it, or put it in a folder"
            )
        taken.add(name)
    return path, further


def _named(file: Any) -> Path:
    """Its whole path, by the name that it was given: a link is copied as what it leads to, under its own name."""
    return Path(os.path.abspath(os.path.expanduser(file)))


def _own(found: tarfile.TarInfo) -> tarfile.TarInfo | None:
    if Path(found.name).name == "__pycache__":
        return None
    # Whose it is here says nothing there.
    found.uid = found.gid = 0
    found.uname = found.gname = ""
    found.mode &= 0o700
    return found


def _add(archive: tarfile.TarFile, name: str, text: str) -> None:
    content = text.encode()
    found = tarfile.TarInfo(f"{runner.CONTROL}/{name}")
    found.size = len(content)
    found.mode = 0o600
    archive.addfile(found, io.BytesIO(content))
