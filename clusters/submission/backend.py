"""What each kind of cluster does with scripts that are submitted to it, and what those in folders have in common."""

from __future__ import annotations

import shlex
import socket
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, cast

import yaml

from clusters.errors import SubmissionError
from clusters.submission import runner
from clusters.submission.channels import Channel, Take
from clusters.submission.package import Package
from clusters.submission.plain_config import describe
from clusters.submission.records import SubmissionRecord

__all__ = ["HOMES", "Backend", "State", "Status", "backend_named"]

HOMES = {
    "local": "clusters.submission.local",
    "ssh": "clusters.submission.ssh",
    "slurm": "clusters.submission.slurm",
    "kubernetes": "clusters.submission.kubernetes",
}

State = Literal["waiting", "running", "done", "failed", "cancelled", "lost"]
# A cluster over SSH takes some eight seconds to close.
GRACE_SECONDS = 15.0


@dataclass(frozen=True)
class Status:
    """What became of a script.

    Parameters
    ----------
    state : str
        "waiting" in a queue, "running", "done", "failed" with an exit code, "cancelled", or "lost": it runs no more,
        and nothing tells how it ended, as when its host went down.
    code : int, optional
        Its exit code; a negative one is the number of the signal that ended it.
    started, ended : float, optional
        When, in seconds since 1970.
    tail : str
        The last lines of its log.
    detail : str
        What else is known, as why it waits.

    Examples
    --------
    >>> import clusters
    >>> status = clusters.Status("failed", code=3)
    >>> status.over
    True
    """

    state: State
    code: int | None = None
    started: float | None = None
    ended: float | None = None
    tail: str = ""
    detail: str = ""

    @property
    def over(self) -> bool:
        """Whether nothing more will come of it."""
        return self.state not in ("waiting", "running")


class Backend(ABC):
    """Scripts that run in a folder of their own, watched over by `runner`; kinds say where, and how it starts."""

    same_files = True
    """Whether files of this machine are there, too."""
    checks_there = False
    """Whether what stands in the way of the cluster shows only there."""
    same_machine = False
    """Whether it is reached only from the machine that it was submitted on."""

    @abstractmethod
    def channel(self, config: Any) -> Channel:
        """The way to the folder."""

    @abstractmethod
    def place(self, config: Any) -> str:
        """Where that is, in words."""

    @abstractmethod
    def python(self, config: Any) -> list[str]:
        """The Python of the script."""

    def folder(self, config: Any, name: str, workdir: str | None) -> str:
        """The folder of a run."""
        return f"{(workdir or '~/.local/share/dhpo/runs').rstrip('/')}/{name}"

    def check_package(self, package: Package) -> None:
        """Refuse what does not fit this kind."""
        if package.time is not None:
            raise SubmissionError(
                f"time={package.time!r}: means nothing to a cluster of kind {package.config.kind}", "leave it out"
            )

    def cluster(self, config: Any, secrets: bool) -> dict[str, Any]:
        """What `clusters.from_config()` reads in the script; pure."""
        return describe(config, secrets, self.same_files)

    def cluster_there(self, config: Any) -> dict[str, Any]:
        """The same, with what only the place itself can tell."""
        return self.cluster(config, secrets=True)

    def render(self, package: Package) -> str:
        """What would be run, as shell lines; pure, and without secrets."""
        self.check_package(package)
        names = [path.name for path in (package.script, *package.files)]
        said = yaml.safe_dump(self.cluster(package.config, secrets=False), sort_keys=False)
        variables = ", ".join(["DHPO_CLUSTER_CONFIG", *package.config.env])
        lines = [
            f"# on {self.place(package.config)}, in the new folder {package.folder}, which only its owner reads:",
            f"#   {', '.join(names)}",
            f"#   variables {variables}; values are not shown",
            f"#   {runner.CONTROL}/cluster.yaml, for clusters.from_config():",
            *(f"#     {line}" for line in said.splitlines()),
            *self.shown(package),
        ]
        return "\n".join(lines) + "\n"

    def shown(self, package: Package) -> list[str]:
        """The lines of `render` that start it."""
        python = self.python(package.config)
        # A shell finds the home of "~" outside quotes only.
        home, slash, below = (
            package.folder.partition("/") if package.folder.startswith("~") else ("", "", package.folder)
        )
        return [
            f"setsid {shlex.join(python)} {runner.CONTROL}/runner.py {home}{slash}{shlex.quote(below)} "
            f">> {runner.LOG} 2>&1 < /dev/null &",
            "# which runs",
            shlex.join(package.command(python)),
        ]

    def submit(self, package: Package) -> tuple[str, dict[str, Any]]:
        """Start it; its folder, and what there is to remember."""
        self.check_package(package)
        config = package.config
        channel = self.channel(config)
        cluster = self.cluster_there(config)
        order = {"folder": package.folder, "check": self.checks_there, "launch": True}
        with package.archive(cluster, config.environment(), GRACE_SECONDS) as archive:
            return channel.run("place", order, archive)["folder"], {}

    def resume(self, record: SubmissionRecord, config: Any) -> dict[str, Any]:
        """Start it again in its folder; what there is to remember."""
        self._ask("relaunch", record, config, launch=True)
        return {}

    def status(self, record: SubmissionRecord, config: Any) -> Status:
        """What became of it."""
        found = self._ask("ask", record, config)
        return status_of(found["state"], found["running"], found["tail"])

    def logs(self, record: SubmissionRecord, config: Any, follow: bool, take: Take) -> None:
        """Hand on its log; until it ends, where it is followed."""
        self._reject(record)
        self.channel(config).run("show", {"folder": record.folder, "follow": follow}, take=take)

    def cancel(self, record: SubmissionRecord, config: Any) -> bool:
        """End it with all that it started; whether there was something to end."""
        return bool(self._ask("cancel", record, config, grace=GRACE_SECONDS)["was_running"])

    def fetch(self, record: SubmissionRecord, config: Any, take: Take) -> None:
        """Hand on an archive of its folder."""
        self._reject(record)
        self.channel(config).run("pack", {"folder": record.folder}, take=take)

    def remove(self, record: SubmissionRecord, config: Any) -> None:
        """Delete its folder."""
        self._ask("remove", record, config)

    def _ask(self, part: str, record: SubmissionRecord, config: Any, **order: Any) -> dict[str, Any]:
        self._reject(record)
        return self.channel(config).run(part, {"folder": record.folder, **order})

    def _reject(self, record: SubmissionRecord) -> None:
        # Homes may be shared, and so are the records in them.
        if self.same_machine and record.machine != (here := socket.gethostname()):
            raise SubmissionError(f"{record.name!r} was submitted on {record.machine}, and this is {here}", "ask there")


def status_of(state: Mapping[str, Any], running: bool, tail: str) -> Status:
    """The status for what the runner wrote, and whether it lives."""
    code = state.get("code")
    name: State
    if code is None:
        name = "running" if running else "lost"
    else:
        name = "cancelled" if state["cancelled"] else "failed" if code else "done"
    detail = "its time was over: --resume goes on" if state.get("late") else ""
    return Status(name, code, state.get("started"), state.get("ended"), tail, detail)


def backend_named(kind: str) -> Backend:
    """What a kind of cluster does with scripts.

    Raises
    ------
    SubmissionError
        If it takes none.
    """
    if kind not in HOMES:
        raise SubmissionError(
            f"a cluster of kind {kind!r} takes no scripts", f"submit to one of kind {', '.join(HOMES)}"
        )
    return cast(Backend, import_module(HOMES[kind]).BACKEND)
