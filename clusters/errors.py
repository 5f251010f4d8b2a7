"""What goes wrong with clusters, and what stands in the way of one."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ClusterError", "ConfigError", "ExtraNotInstalled", "Problem", "StartError", "SubmissionError"]


class ClusterError(Exception):
    """What `clusters` raises."""


class ConfigError(ClusterError, ValueError):
    """A configuration that is not allowed; nothing has been started."""


class ExtraNotInstalled(ClusterError, ImportError):
    """A kind of cluster needs packages that are not installed."""


@dataclass(frozen=True)
class Problem:
    """What stands in the way of a cluster, and the setting that would change it.

    Parameters
    ----------
    cause : str
        What is wrong, and where.
    setting : str, default=""
        What to change; empty where the cause alone tells.

    Examples
    --------
    >>> from clusters import Problem
    >>> print(Problem("port 8787 of 127.0.0.1 is in use", "change dashboard="))
    port 8787 of 127.0.0.1 is in use: change dashboard=
    """

    cause: str
    setting: str = ""

    def __str__(self) -> str:
        return f"{self.cause}: {self.setting}" if self.setting else self.cause


class _Explained(ClusterError, RuntimeError):
    """An error that tells the cause, and the setting to change.

    Parameters
    ----------
    cause : str
        What went wrong, and where.
    setting : str, default=""
        What to change; empty where the cause alone tells.

    Attributes
    ----------
    problem : Problem
        The same two.
    """

    def __init__(self, cause: str, setting: str = "") -> None:
        self.problem = Problem(cause, setting)
        super().__init__(cause, setting)

    def __str__(self) -> str:
        return str(self.problem)


class StartError(_Explained):
    """A cluster did not start, or could not be reached; nothing of it is left running."""


class SubmissionError(_Explained):
    """A script was not submitted, or there is no way to what was submitted."""
