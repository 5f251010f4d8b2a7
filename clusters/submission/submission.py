"""Scripts submitted, and what can be done with them later, from any process."""

from __future__ import annotations

import dataclasses
import os
import re
import socket
import sys
import tarfile
import tempfile
import time as clock
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from clusters.config import ClusterConfig
from clusters.errors import SubmissionError
from clusters.sources import load
from clusters.submission import records
from clusters.submission.backend import Backend, Status, backend_named
from clusters.submission.package import Package, checked_files
from clusters.submission.plain_config import describe, restore
from clusters.submission.records import SubmissionRecord

__all__ = ["Submission", "render_submission", "submissions", "submit", "submitted"]

Source = str | os.PathLike[str] | Mapping[str, Any] | ClusterConfig
_MARK = ".dhpo-fetched"


class Submission:
    """A submitted script. All is asked of the place where it runs; this object holds no connection.

    Parameters
    ----------
    record : SubmissionRecord
        What is remembered of it here.

    Examples
    --------
    >>> from pathlib import Path
    >>> import clusters
    >>> _ = Path("hello.py").write_text("print('hello')")
    >>> submission = clusters.submit({"kind": "local"}, "hello.py", name="greeting")
    >>> print(submission.logs(follow=True), end="")
    hello
    >>> submission.remove()
    """

    def __init__(self, record: SubmissionRecord) -> None:
        self.record = record
        try:
            self._config = restore(record.config)
        except ValidationError as error:
            said = error.errors(include_url=False)[0]["msg"].removeprefix("Value error, ")
            raise SubmissionError(
                f"{record.name!r}: its cluster is not described any more as it was: {said}",
                "see that its files are where they were",
            ) from None
        self._backend = backend_named(record.kind)

    def __repr__(self) -> str:
        return f"<Submission {self.name!r} on {self.place}>"

    @property
    def name(self) -> str:
        """Its name."""
        return self.record.name

    @property
    def place(self) -> str:
        """Where it runs, in words."""
        return self._backend.place(self._config)

    @property
    def folder(self) -> str:
        """The folder where it runs."""
        return self.record.folder

    def status(self) -> Status:
        """What became of it."""
        return self._backend.status(self.record, self._config)

    def logs(self, take: Callable[[bytes], Any] | None = None, follow: bool = False) -> str:
        """What it and the processes that it started printed.

        Parameters
        ----------
        take : callable, optional
            Is handed the text in pieces, as bytes, and nothing is returned.
        follow : bool, default False
            Whether to go on until it ends.
        """
        pieces: list[bytes] = []
        self._backend.logs(self.record, self._config, follow, take or pieces.append)
        return b"".join(pieces).decode(errors="replace")

    def cancel(self) -> bool:
        """End it and all that it started: first as Ctrl-C does, so that it closes its cluster, then by force.

        Returns
        -------
        bool
            Whether there was something to end.
        """
        return self._backend.cancel(self.record, self._config)

    def resume(self) -> None:
        """Start it again: the same script, arguments and folder, so that a search with a journal there goes on."""
        facts = self._backend.resume(self.record, self._config)
        self.record = dataclasses.replace(self.record, facts=facts)
        self.record.save()

    def fetch(self, destination: str | os.PathLike[str] | None = None) -> Path:
        """Copy all that is in its folder; it may still run.

        Parameters
        ----------
        destination : path, optional
            A folder that is new or empty, or that an earlier fetch of this submission has filled: what is there then
            is replaced. Default: one of its name in the working folder. Links that lead out of the folder are left out.

        Returns
        -------
        Path
            The destination.
        """
        path = Path(os.path.expanduser(destination or self.name))
        mark = path / _MARK
        own = f"{self.name} {self.record.submitted}"
        if path.exists() and not path.is_dir():
            raise SubmissionError(f"destination={str(path)!r}: is a file", "expected a folder")
        if path.is_dir() and any(path.iterdir()) and (not mark.is_file() or mark.read_text() != own):
            raise SubmissionError(f"destination={str(path)!r}: holds other files", "expected a new or empty folder")
        with tempfile.TemporaryFile() as packed:
            self._backend.fetch(self.record, self._config, packed.write)
            packed.seek(0)
            try:
                path.mkdir(parents=True, exist_ok=True)
                mark.write_text(own)
                with tarfile.open(fileobj=packed) as archive:
                    archive.extractall(path, filter=_of_the_run)
            except (OSError, tarfile.TarError) as error:
                raise SubmissionError(f"destination={str(path)!r}: {error}") from error
        return path

    def remove(self) -> None:
        """Delete its folder, and forget it; refused while it runs."""
        self._backend.remove(self.record, self._config)
        self.record.forget()


def submit(
    config: Source,
    script: str | os.PathLike[str],
    arguments: Sequence[str] = (),
    *,
    name: str | None = None,
    files: Sequence[str | os.PathLike[str]] = (),
    workdir: str | None = None,
    time: str | None = None,
) -> Submission:
    """Run a script on the cluster itself, without this process.

    It runs in a new folder that only its owner reads, with that as its working folder. There,
    ``clusters.from_config()`` starts the cluster that is described here, and its variables (`env`) are the script's,
    too. What it and its processes print is in ``output.log``. All that it started ends when it does.

    Parameters
    ----------
    config : path, str, mapping or ClusterConfig
        The cluster: what `clusters.load` takes, or what it gives.
    script : path
        A Python script; it is copied.
    arguments : sequence of str
        Its arguments. Everybody on the host can read them: secrets go through `env`.
    name : str, optional
        Up to 50 small letters, digits and '-'. Default: that of the script, with a number if it is taken.
    files : sequence of path
        Files and folders to copy beside it.
    workdir : str, optional
        The folder there that holds the folder of the run, below the home where it starts with "~". Default:
        "~/.local/share/dhpo/runs".
    time : str, optional
        How long the job of the script may take, where there is a batch system. Default: the walltime of the cluster.

    Returns
    -------
    Submission
        The script where it runs. `clusters.submitted(name)` gives it back in any other process.

    Raises
    ------
    ConfigError, SubmissionError, StartError
        If it was not submitted; nothing of it is left then.

    Examples
    --------
    >>> from pathlib import Path
    >>> import clusters
    >>> _ = Path("hello.py").write_text("print('hello')")
    >>> submission = clusters.submit({"kind": "local"}, "hello.py")
    >>> print(submission.logs(follow=True), end="")
    hello
    >>> submission.status().state
    'done'
    >>> submission.remove()
    """
    backend, package = _planned(config, script, arguments, name, files, workdir, time)
    record = SubmissionRecord(
        name=package.name,
        config=describe(package.config, secrets=False, same_files=backend.same_files),
        machine=socket.gethostname(),
        folder=package.folder,
        script=package.script.name,
        arguments=list(package.arguments),
        submitted=clock.time(),
    )
    record.reserve()
    try:
        folder, facts = backend.submit(package)
    except Exception:
        # Not at Ctrl-C: what has begun by then goes on, and is found by its record.
        record.forget()
        raise
    record = dataclasses.replace(record, folder=folder, facts=facts)
    record.save()
    return Submission(record)


def render_submission(
    config: Source,
    script: str | os.PathLike[str],
    arguments: Sequence[str] = (),
    *,
    name: str | None = None,
    files: Sequence[str | os.PathLike[str]] = (),
    workdir: str | None = None,
    time: str | None = None,
) -> str:
    """What `submit` would run with the same arguments; nothing is started, and secrets are left out.

    Parameters
    ----------
    config, script, arguments, name, files, workdir, time
        See `submit`.

    Returns
    -------
    str
        The commands or manifests, with comments that say where they run.

    Raises
    ------
    ConfigError, SubmissionError
        As `submit` does before it starts anything.

    Examples
    --------
    >>> from pathlib import Path
    >>> import clusters
    >>> _ = Path("hello.py").write_text("print('hello')")
    >>> print(clusters.render_submission({"kind": "local"}, "hello.py", ["--fast"]))
    # on this machine, in the new folder .../runs/hello, which only its owner reads:
    #   hello.py
    ...
    # which runs
    ... -u hello.py --fast
    """
    backend, package = _planned(config, script, arguments, name, files, workdir, time)
    return backend.render(package)


def submitted(name: str) -> Submission:
    """The submission of this name.

    Parameters
    ----------
    name : str

    Returns
    -------
    Submission

    Raises
    ------
    SubmissionError
        If there is none.

    Examples
    --------
    >>> from pathlib import Path
    >>> import clusters
    >>> _ = Path("hello.py").write_text("print('hello')")
    >>> submission = clusters.submit({"kind": "local"}, "hello.py", name="greeting")

    Then, in any other process of this user:

    >>> submission = clusters.submitted("greeting")
    >>> submission
    <Submission 'greeting' on this machine>
    >>> print(submission.logs(follow=True), end="")
    hello
    >>> submission.remove()
    """
    return Submission(records.read(name))


def submissions() -> list[Submission]:
    """All submissions that this user has made on this machine, the latest last.

    Returns
    -------
    list of Submission

    Examples
    --------
    >>> from pathlib import Path
    >>> import clusters
    >>> _ = Path("hello.py").write_text("print('hello')")
    >>> submission = clusters.submit({"kind": "local"}, "hello.py", name="greeting")
    >>> for submission in clusters.submissions():
    ...     print(submission.name, submission.place)
    greeting this machine
    >>> print(submission.logs(follow=True), end="")
    hello
    >>> submission.remove()
    """
    return sorted((submitted(name) for name in records.names()), key=lambda found: found.record.submitted)


def _planned(
    config: Source,
    script: str | os.PathLike[str],
    arguments: Sequence[str],
    name: str | None,
    files: Sequence[str | os.PathLike[str]],
    workdir: str | None,
    time: str | None,
) -> tuple[Backend, Package]:
    cluster = config if isinstance(config, ClusterConfig) else load(config)
    backend = backend_named(cluster.kind)
    path, further = checked_files(script, files)
    chosen = records.valid_name(name) if name is not None else _free_name(path.stem)
    folder = backend.folder(cluster, chosen, workdir)
    return backend, Package(chosen, cluster, path, tuple(arguments), tuple(further), folder, time)


def _of_the_run(found: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
    """What may be brought here: a link that leads out of the folder stays there, and takes nothing else along."""
    try:
        return tarfile.data_filter(found, path)
    except (tarfile.AbsoluteLinkError, tarfile.LinkOutsideDestinationError):
        return None


def _free_name(stem: str) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", stem.lower()).strip("-")[:40].strip("-") or "script"
    taken = set(records.names())
    numbered = (plain if n == 1 else f"{plain}-{n}" for n in range(1, sys.maxsize))
    return next(name for name in numbered if name not in taken)
