"""A cluster that runs already, somebody else's or one of a gateway."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, NoReturn

from distributed.core import Status, rpc
from distributed.deploy import Cluster
from distributed.objects import SchedulerInfo
from distributed.security import Security
from pydantic import TypeAdapter, ValidationError
from tornado.ioloop import PeriodicCallback

from clusters.errors import ConfigError, StartError
from clusters.tls import TlsChoice, security_of
from clusters.values import Seconds

__all__ = ["RunningCluster", "connect"]

_LOOK_EVERY_MS = 1000


class RunningCluster(Cluster):
    """A cluster that was started elsewhere: clients work on it, and it goes on when this object is closed.

    Parameters
    ----------
    address : str
        Address of its scheduler.
    security : distributed.Security
        The certificates of a client.
    timeout : float
        Seconds until which the scheduler has to answer.
    """

    _supports_scaling = False

    def __init__(self, address: str, security: Security, timeout: float) -> None:
        super().__init__(name=address, quiet=True)
        self.security = security
        self._address = address
        self._timeout = timeout
        self._loop_runner.start()
        try:
            self.sync(self._start)
        except BaseException:
            self.close()
            raise

    async def _start(self) -> None:
        connection = self.security.get_connection_args("client")
        self.scheduler_comm = self._scheduler = rpc(self._address, timeout=self._timeout, connection_args=connection)
        await asyncio.wait_for(self._look(), self._timeout)
        # Dask's own way, a subscription, takes the scheduler's news away from the cluster object that started it.
        self.periodic_callbacks["look"] = looking = PeriodicCallback(self._look, _LOOK_EVERY_MS)
        looking.start()
        self.status = Status.running

    async def _look(self) -> None:
        with contextlib.nullcontext() if self.status == Status.created else contextlib.suppress(OSError):
            self.scheduler_info = SchedulerInfo(await self._scheduler.identity())

    def close(self, timeout: float | None = None) -> None:
        """Let go of the cluster; it runs on."""
        super().close(timeout)
        self._loop_runner.stop()

    def scale(self, n: int) -> NoReturn:
        """Refuse: the number of workers is for the one who started the cluster to decide."""
        raise NotImplementedError(f"{self._address} was started elsewhere, and is scaled there")

    def adapt(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Refuse: the number of workers is for the one who started the cluster to decide."""
        raise NotImplementedError(f"{self._address} was started elsewhere, and is scaled there")


def connect(address: str, security: TlsChoice = None, timeout: str | float = 10) -> RunningCluster:
    """Reach a cluster that runs already: a colleague's, or one of Dask Gateway, Coiled or `dask scheduler`.

    Parameters
    ----------
    address : str
        Address of its scheduler, such as "tls://10.0.0.1:8786".
    security : distributed.Security or mapping, optional
        What the scheduler asks for: a `Security`, as gateways hand out, or the files {ca_file, cert, key}. Default:
        what Dask's own configuration says (`distributed.comm.tls`).
    timeout : str or float, default 10
        The time until which it has to answer, such as "1 minute", or in seconds.

    Returns
    -------
    RunningCluster
        A cluster object of Dask's. It cannot be scaled, and what it stands for goes on when it is closed.

    Raises
    ------
    ConfigError
        If a parameter is not allowed.
    StartError
        If the scheduler does not answer, or refuses the certificates.

    Examples
    --------
    >>> import clusters
    >>> with clusters.local(workers=1, processes=False) as running:
    ...     with clusters.connect(running.scheduler_address) as cluster, cluster.get_client() as client:
    ...         client.submit(sum, [1, 2]).result()
    3
    """
    if not isinstance(address, str) or "://" not in address:
        raise ConfigError(f"address={address!r}: expected the address of a scheduler, such as 'tls://10.0.0.1:8786'")
    try:
        seconds = TypeAdapter(Seconds).validate_python(timeout)
        choice = TypeAdapter(TlsChoice).validate_python(security)
    except ValidationError as error:
        found = error.errors()[0]["msg"].removeprefix("Value error, ")
        raise ConfigError(f"connect: {found}") from None
    if choice is True:
        raise ConfigError("security=True: a running cluster has its certificates; give those, as {ca_file, cert, key}")
    known = Security() if choice is None else security_of(choice, default=False)
    try:
        return RunningCluster(address, known, seconds)
    except (OSError, TypeError, ValueError, RuntimeError) as error:
        cause = f"the scheduler at {address} did not let us in: {str(error) or type(error).__name__}"
        raise StartError(cause, "check the address, and that security= holds the certificates it asks for") from error
