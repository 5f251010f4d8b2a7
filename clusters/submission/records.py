"""What is remembered here of submitted scripts: one file each, which only its owner reads."""

from __future__ import annotations

import dataclasses
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from clusters.config import unknown_key
from clusters.errors import SubmissionError

__all__ = ["SubmissionRecord", "home", "names", "read", "valid_name"]

# It becomes the name of files, of folders and of jobs.
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,48}[a-z0-9])?")


@dataclass(frozen=True)
class SubmissionRecord:
    """A submitted script.

    Parameters
    ----------
    name : str
        Its name.
    config : dict
        The cluster, without the values of its environment variables.
    machine : str
        Name of the machine that it was submitted on.
    folder : str
        Where it runs.
    script : str
        File name of the script.
    arguments : list of str
        Its arguments.
    submitted : float
        When, in seconds since 1970.
    facts : dict
        What the kind of cluster has to know of it, as the id of a job.
    """

    name: str
    config: dict[str, Any]
    machine: str
    folder: str
    script: str
    arguments: list[str]
    submitted: float
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The kind of its cluster."""
        return str(self.config["kind"])

    def reserve(self) -> None:
        """Write it, unless there is one of this name.

        Raises
        ------
        SubmissionError
            If there is.
        """
        self._write(os.O_EXCL, self._path)

    def save(self) -> None:
        """Replace what was written."""
        fresh = self._path.with_suffix(".new")
        self._write(os.O_TRUNC, fresh)
        fresh.replace(self._path)

    def forget(self) -> None:
        """Delete it."""
        self._path.unlink(missing_ok=True)

    @property
    def _path(self) -> Path:
        return _folder() / f"{self.name}.json"

    def _write(self, flag: int, path: Path) -> None:
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | flag, 0o600)
        except FileExistsError:
            raise SubmissionError(
                f"name={self.name!r}: is taken by an earlier submission",
                "say another, go on with that one by --resume, or let it go by `dhpo cancel --remove`",
            ) from None
        except OSError as error:
            raise SubmissionError(f"{path}: cannot be written ({error.strerror})", "set DHPO_HOME") from None
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(dataclasses.asdict(self), file)


def home() -> Path:
    """The folder of what is remembered: ``$DHPO_HOME``, or ``dhpo`` below ``$XDG_DATA_HOME`` or ``~/.local/share``."""
    said = os.environ.get("DHPO_HOME")
    try:
        if said:
            return Path(said).expanduser()
        return Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share").expanduser() / "dhpo"
    except RuntimeError:
        # As in a container, for a user that its /etc/passwd does not know.
        raise SubmissionError("this user has no home, in which to remember what was started", "set DHPO_HOME") from None


def names() -> list[str]:
    """The names of all submissions."""
    return sorted(path.stem for path in _folder().glob("*.json"))


def read(name: str) -> SubmissionRecord:
    """The submission of this name.

    Raises
    ------
    SubmissionError
        If there is none.
    """
    known = names()
    if name not in known:
        hint = unknown_key(name, known, "submission") if known else f"unknown submission {name!r}"
        raise SubmissionError(hint, "`dhpo status` lists them" if known else f"there is none in {_folder()}")
    path = _folder() / f"{name}.json"
    try:
        return SubmissionRecord(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise SubmissionError(f"{path}: is no record of a submission ({error})", "remove it") from None


def valid_name(name: str) -> str:
    """The name, if it may be one.

    Raises
    ------
    SubmissionError
        If not.
    """
    if not _NAME.fullmatch(name):
        raise SubmissionError(f"name={name!r}", "expected up to 50 small letters, digits and '-', such as 'digits-1'")
    return name


def _folder() -> Path:
    return home() / "submissions"
