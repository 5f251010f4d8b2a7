"""All of it in one object: API server, controllers and kubelet in a thread, and the Dask operator in a process."""

from __future__ import annotations

import asyncio
import functools
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Coroutine
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self, TypeVar

import yaml
from aiohttp import web

from tests.clusters.kube.api import ApiServer, kubeconfig
from tests.clusters.kube.controllers import Controllers
from tests.clusters.kube.kubelet import Kubelet
from tests.clusters.kube.patching import Plain, merged
from tests.clusters.kube.store import Store

T = TypeVar("T")
# Ten times faster where it is there.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_MODULES = ["-m", "dask_kubernetes.operator.controller", str(Path(__file__).with_name("operator_settings.py"))]
_OPERATOR = ["-m", "kopf", "run", "--standalone", "--all-namespaces", *_MODULES]
_NOT_OURS = {"namespaces", "nodes", "events", "customresourcedefinitions"}


@functools.cache
def definitions() -> list[Plain]:
    """The CustomResourceDefinitions that dask_kubernetes ships; they take a second to read."""
    # Found without an import, which would write into Dask's configuration.
    spec = find_spec("dask_kubernetes")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "operator/deployment/helm/dask-kubernetes-operator/crds"
    return [yaml.load(path.read_text(), Loader=_LOADER) for path in sorted(folder.glob("*.yaml"))]


def wait_until(condition: Callable[[], Any], seconds: float = 120.0, what: str = "it") -> None:
    """Poll until a condition holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"{what} did not happen within {seconds:g} s"
        time.sleep(0.02)


class Kube:
    """A Kubernetes of one node.

    Parameters
    ----------
    operator : bool
        Whether the Dask operator is installed and runs.
    memory : str
        Of the node.
    """

    def __init__(self, operator: bool = True, memory: str = "16GiB") -> None:
        self.with_operator = operator
        self.folder = Path(tempfile.mkdtemp(prefix="test-kube-"))
        self.denied: set[tuple[str, str, str]] = set()
        self.store = Store()
        self.given: set[str] = set()
        for name in ("default", "kube-system"):
            self.store.create(("", "namespaces"), "", {"metadata": {"name": name}})
        node = {"metadata": {"name": "node"}, "status": {"capacity": {"memory": memory}}}
        self.store.create(("", "nodes"), "", node)
        self.create("", "serviceaccounts", {"metadata": {"name": "default"}})
        self.operator: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="test-kube")
        self._thread.start()
        self.url = self.run(self._open())
        self.kubeconfig = self.folder / "kubeconfig"
        self.kubeconfig.write_text(yaml.safe_dump(kubeconfig(self.url, "driver", ("test", "other"))))
        if self.with_operator:
            self.define_dask()
            self._start_operator()
        return self

    def define_dask(self) -> None:
        """Install the kinds of the operator, without the operator."""
        for definition in definitions():
            self.call(self.store.define, definition)

    def __exit__(self, *_: object) -> None:
        if self.operator is not None:
            self.operator.terminate()
            try:
                self.operator.wait(300)
            except subprocess.TimeoutExpired:
                self.operator.kill()
                self.operator.wait()
        self.run(self._shut())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        shutil.rmtree(self.folder)

    async def _open(self) -> str:
        server = ApiServer(self.store, self.denied, lambda uid, name: self.kubelet.log_of(uid, name))
        self.server = server
        self._runner = web.AppRunner(server.application, shutdown_timeout=0.5, handler_cancellation=True)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        port = self._runner.addresses[0][1]
        # No other API server on this machine has this port, so no other pod has these addresses.
        self.network = f"127.{port >> 8}.{port & 255}"
        self.kubelet = Kubelet(self.store, self.folder, self.network)
        self._controlling = asyncio.create_task(Controllers(self.store, self.kubelet).run())
        return f"http://127.0.0.1:{port}"

    async def _shut(self) -> None:
        self._controlling.cancel()
        (failure,) = await asyncio.gather(self._controlling, return_exceptions=True)
        await self.kubelet.close()
        await self._runner.cleanup()
        if not isinstance(failure, asyncio.CancelledError):
            raise failure

    def _start_operator(self) -> None:
        path = self.folder / "operator-kubeconfig"
        path.write_text(yaml.safe_dump(kubeconfig(self.url, "operator")))
        env = {**self.kubelet.environment(), "KUBECONFIG": str(path)}
        with self.operator_log.open("wb") as log:
            self.operator = subprocess.Popen(
                [sys.executable, *_OPERATOR], env=env, stdout=log, stderr=log, cwd=self.folder, start_new_session=True
            )

    @property
    def operator_log(self) -> Path:
        return self.folder / "operator.log"

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in the thread of the server."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def call(self, function: Callable[..., T], *args: Any) -> T:
        """Call a function in the thread of the server, which alone may touch the store."""

        async def called() -> T:
            return function(*args)

        return self.run(called())

    def create(self, group: str, plural: str, obj: Plain, namespace: str = "default") -> None:
        """Create an object that is not the cluster's, before the server runs or while it does."""
        self.given.add(f"{plural}/{obj['metadata']['name']}")
        if hasattr(self, "_loop"):
            self.call(self.store.create, (group, plural), namespace, obj)
        else:
            self.store.create((group, plural), namespace, obj)

    def delete(self, group: str, plural: str, name: str, namespace: str = "default") -> None:
        """Delete an object."""
        self.call(lambda: self.store.delete((group, plural), self.store.get((group, plural), namespace, name)))

    def change(self, group: str, plural: str, name: str, patch: Plain) -> None:
        """Change an object in the namespace default."""

        def changed() -> None:
            old = self.store.get((group, plural), "default", name)
            self.store.update((group, plural), old, merged(old, patch))

        self.call(changed)

    def objects(self, plural: str, labels: str = "") -> list[Plain]:
        """Objects of a kind."""
        (key,) = [key for key in self.store.kinds if key[1] == plural]
        return self.call(self.store.list, key, "", labels)

    def left(self) -> list[str]:
        """All that a cluster or job could have left: objects, processes and addresses that are listened on."""

        def names() -> list[str]:
            return [
                f"{plural}/{name}"
                for (_, plural), objects in self.store.objects.items()
                for _, name in objects
                if plural not in _NOT_OURS and f"{plural}/{name}" not in self.given
            ]

        return self.call(names) + [str(place) for place in list(self.kubelet.processes)]

    def operator_tail(self) -> str:
        """The end of the operator's log, for messages of tests."""
        return self.operator_log.read_text(errors="replace")[-3000:] if os.path.exists(self.operator_log) else ""
