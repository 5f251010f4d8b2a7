"""Scripts that run on this machine, detached from this process."""

from __future__ import annotations

import sys
from typing import Any

from clusters import start_up
from clusters.errors import SubmissionError
from clusters.submission.backend import Backend
from clusters.submission.channels import LocalChannel
from clusters.submission.package import Package
from clusters.submission.records import home

__all__ = ["BACKEND"]


class LocalBackend(Backend):
    """Detached processes of this machine."""

    same_machine = True

    def channel(self, config: Any) -> LocalChannel:
        """Another Python of this machine."""
        return LocalChannel(sys.executable)

    def place(self, config: Any) -> str:
        """The machine of this process."""
        return "this machine"

    def python(self, config: Any) -> list[str]:
        """The one that runs this."""
        return [sys.executable]

    def folder(self, config: Any, name: str, workdir: str | None) -> str:
        """Beside the records, unless said otherwise."""
        return super().folder(config, name, workdir or str(home() / "runs"))

    def submit(self, package: Package) -> tuple[str, dict[str, Any]]:
        """Start it, if its cluster would start."""
        self.check_package(package)
        for problem in start_up.check(package.config):
            raise SubmissionError(problem.cause, problem.setting)
        return super().submit(package)


BACKEND = LocalBackend()
