"""Runs the containers of pods as processes of this machine: images, secrets, probes, crash loops."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import re
import signal
import sys
from pathlib import Path
from typing import Any

from aiohttp import ClientSession, ClientTimeout

from tests.clusters.kube.patching import Plain
from tests.clusters.kube.store import Key, Store, now

PODS: Key = ("", "pods")
KNOWN_IMAGE = "dhpo:test"
_GRACE_SECONDS = 10
_ROOT = Path(__file__).parents[3]


class Kubelet:
    """Runs pods once they are scheduled.

    Parameters
    ----------
    store : Store
        The objects.
    folder : Path
        For logs, mounts and the names of services.
    network : str
        The first three parts of the pods' addresses.
    """

    def __init__(self, store: Store, folder: Path, network: str) -> None:
        self.store = store
        self.folder = folder
        self.network = network
        self.nobody = f"{network}.1"
        self.processes: dict[tuple[str, str], asyncio.subprocess.Process] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._addresses = 1
        (folder / "site").mkdir()
        code = Path(__file__).with_name("podnet.py").read_text()
        (folder / "site" / "sitecustomize.py").write_text(code)
        (folder / "hosts").write_text("")

    def environment(self) -> dict[str, str]:
        """What every process inside the cluster has."""
        return {
            "PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin",
            "PYTHONPATH": f"{self.folder / 'site'}:{_ROOT}",
            "TEST_KUBE_HOSTS": str(self.folder / "hosts"),
            "DASK_CONFIG": str(self.folder / "dask"),
            "DASK_TEMPORARY_DIRECTORY": str(self.folder),
            "TMPDIR": str(self.folder),
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
        }

    def log_of(self, uid: str, container: str) -> Path:
        """The file with the output of a container."""
        return self.folder / f"{uid}.{container}.log"

    def look(self) -> None:
        """Start what is new, end what is gone."""
        alive = {pod["metadata"]["uid"]: pod for pod in self.store.objects[PODS].values()}
        for uid, pod in alive.items():
            if uid not in self._tasks and pod["spec"].get("nodeName"):
                self._tasks[uid] = asyncio.create_task(self._run_pod(pod))
        for uid in set(self._tasks) - set(alive):
            self._end(self._tasks.pop(uid), uid)

    async def close(self) -> None:
        """End everything."""
        for uid in list(self._tasks):
            self._end(self._tasks.pop(uid), uid)
        await asyncio.gather(*self._ending)

    def _end(self, running: asyncio.Task[None], uid: str) -> None:
        running.cancel()
        for place, process in list(self.processes.items()):
            if place[0] == uid:
                ending = asyncio.create_task(self._terminate(place, process))
                self._ending.add(ending)
                ending.add_done_callback(self._ending.discard)

    async def _terminate(self, place: tuple[str, str], process: asyncio.subprocess.Process) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE_SECONDS)
        # Also what the first process of the container left behind.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()
        self.processes.pop(place, None)

    async def _run_pod(self, pod: Plain) -> None:
        uid = pod["metadata"]["uid"]
        self._addresses += 1
        address = f"{self.network}.{self._addresses}"
        self._set(uid, podIP=address, startTime=now())
        containers = pod["spec"]["containers"]
        codes = await asyncio.gather(*(self._run_container(pod, container, address) for container in containers))
        self._set(uid, phase="Succeeded" if not any(codes) else "Failed", conditions=_conditions(False))

    async def _run_container(self, pod: Plain, container: Plain, address: str) -> int:
        policy, restarts = pod["spec"].get("restartPolicy", "Always"), 0
        while container["image"] != KNOWN_IMAGE:
            message = f'failed to pull and unpack image "{container["image"]}": not found'
            for reason in ("ErrImagePull", "ImagePullBackOff"):
                self._tell(pod, container, {"waiting": {"reason": reason, "message": message}}, 0)
                await asyncio.sleep(0.2)
        while (mounts := self._mounts(pod, container)) is None:
            self._tell(pod, container, {"waiting": {"reason": "ContainerCreating"}}, 0)
            await asyncio.sleep(0.05)
        while True:
            code = await self._run_once(pod, container, address, mounts, restarts)
            ended = {"terminated": {"exitCode": code, "reason": "Completed" if code == 0 else "Error"}}
            if policy == "Never" or (policy == "OnFailure" and code == 0):
                self._tell(pod, container, ended, restarts)
                return code
            restarts += 1
            waiting = {"waiting": {"reason": "CrashLoopBackOff", "message": f"back-off {restarts} s"}}
            self._tell(pod, container, waiting, restarts, last=ended)
            await asyncio.sleep(restarts)

    async def _run_once(self, pod: Plain, container: Plain, address: str, mounts: dict[str, str], restarts: int) -> int:
        uid, name = pod["metadata"]["uid"], container["name"]
        env = {**self.environment(), "TEST_KUBE_POD_IP": address, "HOSTNAME": pod["metadata"]["name"]}
        for source in container.get("envFrom", []):
            held = self.store.get(("", "secrets"), pod["metadata"]["namespace"], source["secretRef"]["name"])
            env |= {key: base64.b64decode(value).decode() for key, value in held["data"].items()}
        for variable in container.get("env", []):
            env[variable["name"]] = _filled(variable["value"], env, mounts)
        command = [*container.get("command", []), *container.get("args", [])]
        command = [_filled(word, env, mounts) for word in command]
        with self.log_of(uid, name).open("ab") as log:
            try:
                process = await asyncio.create_subprocess_exec(
                    *command,
                    env=env,
                    cwd=self.folder,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
            except OSError as error:
                log.write(f"{error}\n".encode())
                return 127
        self.processes[uid, name] = process
        probe = container.get("readinessProbe", {}).get("httpGet")
        self._tell(pod, container, {"running": {"startedAt": now()}}, restarts, ready=probe is None)
        if probe:
            ports = {port["name"]: port["containerPort"] for port in container["ports"]}
            await self._probe(process, f"http://{address}:{ports[probe['port']]}{probe['path']}")
            if process.returncode is None:
                self._tell(pod, container, {"running": {"startedAt": now()}}, restarts, ready=True)
        code = await process.wait()
        self.processes.pop((uid, name), None)
        return code

    async def _probe(self, process: asyncio.subprocess.Process, url: str) -> None:
        async with ClientSession(timeout=ClientTimeout(total=2)) as session:
            while process.returncode is None:
                with contextlib.suppress(OSError, TimeoutError):
                    async with session.get(url) as response:
                        if response.status < 400:
                            return
                await asyncio.sleep(0.05)

    def _mounts(self, pod: Plain, container: Plain) -> dict[str, str] | None:
        """Where mounted paths are on this machine; None while something is missing."""
        sources = {volume["name"]: volume for volume in pod["spec"].get("volumes", [])}
        places = {}
        for mount in container.get("volumeMounts", []):
            volume = sources[mount["name"]]
            if "hostPath" in volume:
                places[mount["mountPath"]] = volume["hostPath"]["path"]
                continue
            plural, key = ("secrets", "secretName") if "secret" in volume else ("configmaps", "name")
            held = volume.get("secret") or volume["configMap"]
            found = self.store.objects["", plural].get((pod["metadata"]["namespace"], held[key]))
            if found is None:
                return None
            folder = self.folder / pod["metadata"]["uid"] / mount["name"]
            folder.mkdir(parents=True, exist_ok=True)
            for file, value in found["data"].items():
                content = base64.b64decode(value) if plural == "secrets" else value.encode()
                (folder / file).write_bytes(content)
            places[mount["mountPath"]] = str(folder)
        return places

    def _tell(
        self, pod: Plain, container: Plain, state: Plain, restarts: int, ready: bool = False, last: Plain | None = None
    ) -> None:
        status = {"name": container["name"], "image": container["image"], "ready": ready, "restartCount": restarts}
        status |= {"state": state} | ({"lastState": last} if last else {})
        phase = {"phase": "Running"} if "running" in state else {}
        self._set(pod["metadata"]["uid"], **phase, conditions=_conditions(ready), containerStatuses=[status])

    def _set(self, uid: str, **status: Any) -> None:
        for pod in self.store.objects[PODS].values():
            if pod["metadata"]["uid"] == uid:
                self.store.update(PODS, pod, {**pod, "status": {**pod["status"], **status}}, "status")
                return


def _conditions(ready: bool) -> list[Plain]:
    states = {"PodScheduled": True, "ContainersReady": ready, "Ready": ready}
    return [{"type": name, "status": str(state)} for name, state in states.items()]


def _filled(text: str, env: dict[str, str], mounts: dict[str, str]) -> str:
    for path, place in mounts.items():
        text = text.replace(path, place)
    return re.sub(r"\$\((\w+)\)", lambda found: env.get(found[1], found[0]), text)
