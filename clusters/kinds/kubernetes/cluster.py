"""Dask's own KubeCluster, started under a deadline, with certificates, and with a cause when it does not start.

Its way to start knows neither: it waits for ever for a pod that never comes, and speaks to the scheduler without TLS.
What it does afterwards (scale, adapt, logs, widgets) is unchanged.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
import time
from collections.abc import Callable
from typing import Any

from dask_kubernetes.operator import KubeCluster
from distributed.comm.core import FatalCommClosedError
from distributed.core import Status, rpc
from distributed.security import Security

from clusters.deadlines import Deadline
from clusters.errors import ClusterError, StartError
from clusters.kinds.kubernetes.api import Refused, Server
from clusters.kinds.kubernetes.causes import Seen, cause_of, crashed_container
from clusters.kinds.kubernetes.checks import problems
from clusters.kinds.kubernetes.config import KubernetesConfig, WorkerGroup
from clusters.kinds.kubernetes.manifests import (
    DASK_API,
    cluster_manifest,
    group_manifest,
    group_manifests,
    network_policy,
    secrets,
)
from clusters.kinds.kubernetes.scheduler_address import Reached, reach_scheduler

__all__ = ["KubernetesCluster"]

logger = logging.getLogger(__name__)

_POLL_SECONDS = 0.1
_LOOK_SECONDS = 0.5
_ANSWER_SECONDS = 5.0
_GREETINGS = 4
_UNDO_SECONDS = 15.0
# The operator looks every few seconds whether a cluster is idle. One that is deleted at such a moment it lets go of a
# minute later, when it comes back to it (kopf's `background.cancellation_polling`).
_CLOSE_SECONDS = 90.0
_LOG_LINES = 8
_IS_READY = ("Ready", "True")


class KubernetesCluster(KubeCluster):
    """A cluster of pods that the Dask operator runs.

    Parameters
    ----------
    config : KubernetesConfig
        What to start.
    name : str
        Its name.
    security : distributed.Security
        Its certificates.
    deadline : Deadline
        Until when the smallest number of workers has to have reported.
    """

    def __init__(self, config: KubernetesConfig, name: str, security: Security, deadline: Deadline) -> None:
        self.security = security
        self._config = config
        self._deadline = deadline
        self._server: Server | None = None
        self._reached: Reached | None = None
        self._made: list[dict[str, Any]] = []
        self._starting: asyncio.Task[Any] | None = None
        try:
            super().__init__(
                custom_cluster_spec=cluster_manifest(config, name),
                namespace=config.kubernetes.namespace or "default",
                image=config.image,
                shutdown_on_close=True,
                quiet=True,
            )
        except BaseException:
            if self._starting is not None and not self._starting.done():
                # Ctrl-C ends the waiting for the start, and not the start.
                self.sync(self._give_up)
            self._loop_runner.stop()
            raise

    async def _give_up(self) -> None:
        """End the start, and wait until what it has made is deleted."""
        assert self._starting is not None
        self._starting.cancel()
        await asyncio.wait([self._starting])

    async def _start(self) -> None:
        self._starting = asyncio.current_task()
        try:
            async with asyncio.timeout(self._deadline.left):
                server = await self._reach()
                await self._create(server)
            await self._wait(server, self._scheduler_is_ready)
            async with asyncio.timeout(self._deadline.left):
                await self._connect(server)
            wanted = self._config.first_workers + sum(
                group.workers for group in self._config.kubernetes.groups.values()
            )
            await self._wait(server, lambda seen: len(self.scheduler_info["workers"]) >= wanted)
        except BaseException as error:
            await self._undo()
            if isinstance(error, TimeoutError):
                cause = f"the API server or the scheduler did not answer within {self._deadline.seconds:g} s"
                raise StartError(cause, "allow more time with start_timeout=") from error
            if isinstance(error, Refused):
                raise StartError(f"the API server refused it: {error}", "change what the message names") from error
            raise

    async def _reach(self) -> Server:
        options = self._config.kubernetes
        # The first connection in a loop is the one that all of dask_kubernetes uses there.
        server = await Server.reach(options.kubeconfig, options.context, options.namespace, self._deadline.left)
        self._server, self.namespace = server, server.namespace
        for problem in await problems(server, self._config):
            raise StartError(problem.cause, problem.setting)
        return server

    async def _create(self, server: Server) -> None:
        held = secrets(self._config, self.name, self.security)
        # Before the pods that need them. They go with the cluster as soon as it is there to own them.
        for secret in held:
            await server.create(secret, made=self._made)
        cluster = await server.create(cluster_manifest(self._config, self.name), made=self._made)
        for secret in held:
            await server.give(secret, cluster)
        policies = [network_policy(self._config, self.name)] if self._config.kubernetes.network_policy else []
        for owned in [*policies, *group_manifests(self._config, self.name)]:
            await server.create(owned, cluster, self._made)

    async def _wait(self, server: Server, done: Callable[[Seen], bool]) -> None:
        looked, seen = 0.0, Seen(cluster=None)
        while True:
            over = self._deadline.over
            if over or time.monotonic() - looked > _LOOK_SECONDS:
                seen = await self._look(server, seen, with_events=over)
                looked = time.monotonic()
            if done(seen):
                return
            problem, final = cause_of(seen)
            if final:
                raise StartError(problem.cause, problem.setting)
            if over:
                come = (
                    f"{len(self.scheduler_info['workers'])} workers came"
                    if self.scheduler_comm
                    else "no scheduler came"
                )
                cause = f"{come} within {self._deadline.seconds:g} s: {problem.cause}"
                raise StartError(cause, f"{problem.setting}; or allow more time with start_timeout=")
            await asyncio.sleep(_POLL_SECONDS)

    async def _look(self, server: Server, before: Seen, with_events: bool) -> Seen:
        label = f"dask.org/cluster-name={self.name}"
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                cluster, deployments, pods = await asyncio.gather(
                    server.get(DASK_API, "daskclusters", self.name),
                    server.all_of("apps/v1", "deployments", label),
                    server.all_of("v1", "pods", label),
                )
                events = await server.all_of("v1", "events") if with_events else []
                mine = [
                    event for event in events if event.get("involvedObject", {}).get("name", "").startswith(self.name)
                ]
                log = await self._log_of_crash(server, pods)
        except (Refused, TimeoutError):
            # It may answer again before the deadline.
            return before if before.cluster else Seen(cluster=cluster_manifest(self._config, self.name))
        return Seen(cluster, deployments, pods, mine, log)

    async def _log_of_crash(self, server: Server, pods: list[dict[str, Any]]) -> str:
        crashed = crashed_container(pods)
        if crashed is None:
            return ""
        pod, container = crashed
        path = server.path("v1", "pods", pod, "log")
        try:
            text = await server.call("GET", path, container=container, tailLines=str(_LOG_LINES))
        except Refused as error:
            return f"not readable: {error}"
        return str(text).strip() or "empty"

    def _scheduler_is_ready(self, seen: Seen) -> bool:
        return any(
            (condition.get("type"), condition.get("status")) == _IS_READY
            for pod in seen.pods
            if pod["metadata"].get("labels", {}).get("dask.org/component") == "scheduler"
            for condition in pod.get("status", {}).get("conditions", [])
        )

    async def _connect(self, server: Server) -> None:
        self._reached = reached = await reach_scheduler(server, self._config, self.name)
        self.forwarded_dashboard_port = str(reached.dashboard_port)
        self.scheduler_comm = rpc(reached.address, connection_args=self.security.get_connection_args("client"))
        try:
            await self._greet_scheduler()
        except OSError as error:
            cause = f"the scheduler runs, and cannot be reached at {reached.address}: {error!r}"
            raise StartError(cause, "change reach=, or check the network between here and the cluster") from error

    async def _greet_scheduler(self) -> None:
        """Connect, again where what lies between breaks off a TLS handshake, which distributed does not try again."""
        for attempts_left in reversed(range(_GREETINGS)):
            try:
                # KubeCluster's own start is the one replaced here.
                await super(KubeCluster, self)._start()
                return
            except FatalCommClosedError as error:
                if not attempts_left or isinstance(error.__cause__, ssl.SSLCertVerificationError):
                    raise
                await asyncio.sleep(_LOOK_SECONDS)

    async def _undo(self) -> None:
        try:
            await self._close(_UNDO_SECONDS)
        except (OSError, ClusterError) as error:
            logger.warning("%s", error)
        self.status = Status.closed

    async def _close(self, timeout: float = _CLOSE_SECONDS) -> None:
        await super(KubeCluster, self)._close()
        try:
            if self._server is not None and self._made:
                async with asyncio.timeout(timeout):
                    await self._remove(self._server)
        except (Refused, TimeoutError) as error:
            why = str(error) or f"the operator did not let go of it within {timeout:g} s"
            command = f"kubectl delete daskcluster {self.name} -n {self.namespace}"
            raise ClusterError(f"the cluster {self.name} could not be deleted: {why}: {command}") from error
        finally:
            if self._reached is not None:
                await self._reached.close()
            if self._server is not None:
                await self._server.aclose()

    async def _remove(self, server: Server) -> None:
        # The operator may not have got round to make it a part of the cluster.
        await server.delete(DASK_API, "daskautoscalers", self.name)
        for manifest in reversed(self._made):
            await server.remove(manifest)
        while await server.get(DASK_API, "daskclusters", self.name) is not None:
            await asyncio.sleep(_POLL_SECONDS)
        # Where the cluster went before the operator had made its own workers a part of it, they would stay.
        await server.delete(DASK_API, "daskworkergroups", f"{self.name}-default")
        self._made.clear()

    def close(self, timeout: float = _CLOSE_SECONDS) -> Any:
        """Delete the cluster and everything that belongs to it.

        Parameters
        ----------
        timeout : float
            Seconds until which it has to be gone.

        Returns
        -------
        Any
            Nothing, or an awaitable where the cluster is asynchronous.

        Raises
        ------
        ClusterError
            If it is not.
        """
        if self.status == Status.closed and not self._made:
            return None
        try:
            return super().close(timeout)
        finally:
            if not self.called_from_running_loop:
                self._loop_runner.stop()

    def add_worker_group(
        self,
        name: str,
        n_workers: int = 3,
        image: str | None = None,
        resources: dict[str, dict[str, str]] | None = None,
        worker_command: list[str] | None = None,
        env: Any = None,
        custom_spec: dict[str, Any] | None = None,
    ) -> Any:
        """Add a group of workers, by default like those of the cluster.

        Parameters
        ----------
        name : str
            Name of the group.
        n_workers : int
            Number of its workers.
        image : str, optional
            Another image.
        resources : dict, optional
            Requests and limits, over those of the cluster's workers.
        worker_command : list of str, optional
            Another command.
        env : list of dict or dict, optional
            Further environment variables, in clear.
        custom_spec : dict, optional
            Everything, as Kubernetes has it; it takes the place of all the others.

        Returns
        -------
        Any
            Nothing, or an awaitable where the cluster is asynchronous.
        """
        if custom_spec is None:
            group = WorkerGroup(workers=n_workers, image=image, resources=resources)
            custom_spec = group_manifest(self._config, self.name, name, group)["spec"]["worker"]
            container = custom_spec["spec"]["containers"][0]
            more = [{"name": key, "value": value} for key, value in env.items()] if isinstance(env, dict) else env
            container["env"] += more or []
            if worker_command is not None:
                container["args"] = worker_command.split() if isinstance(worker_command, str) else worker_command
        return super().add_worker_group(name, custom_spec=custom_spec)
