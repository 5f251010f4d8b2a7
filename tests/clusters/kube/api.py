"""The API server: HTTP on loopback over the store; users by token, with what they may not do."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import yaml
from aiohttp import WSMsgType, web

from tests.clusters.kube.patching import ApiError, Plain, fields_match, labels_match, merged, patched
from tests.clusters.kube.store import Key, Store

_VERBS = ["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"]
_VERB_OF = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}
_FORWARD = ("v4.channel.k8s.io", "portforward.k8s.io")


class ApiServer:
    """Answers requests of kr8s and kopf.

    Parameters
    ----------
    store : Store
        The objects.
    denied : set
        (user, resource, verb) that are refused; a user is who has the token of this name.
    log_of : callable
        The file with the output of a container, by uid of its pod and its name.
    """

    def __init__(self, store: Store, denied: set[tuple[str, str, str]], log_of: Callable[[str, str], Path]) -> None:
        self.store = store
        self.denied = denied
        self.log_of = log_of
        # What the review promises all the same, as with admission webhooks.
        self.refused_after_review: set[tuple[str, str, str]] = set()
        self.requests: list[tuple[str, str, str]] = []
        self.application = web.Application(client_max_size=64 << 20)
        self.application.router.add_route("*", "/{path:.*}", self.handle)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        user = request.headers.get("Authorization", "").removeprefix("Bearer ")
        self.requests.append((user, request.method, request.path))
        try:
            return await self._route(request, user, [part for part in request.path.split("/") if part])
        except ApiError as error:
            response = web.json_response(error.body, status=error.code)
            if error.code == 401:
                # kr8s never closes the connection of somebody who is not let in.
                response.force_close()
            return response

    async def _route(self, request: web.Request, user: str, parts: list[str]) -> web.StreamResponse:
        if user not in ("driver", "operator"):
            raise ApiError(401, "Unauthorized", "Unauthorized")
        if parts == ["version"]:
            return web.json_response({"major": "1", "minor": "33", "gitVersion": "v1.33.0"})
        if parts == ["api"]:
            return web.json_response({"kind": "APIVersions", "versions": ["v1"]})
        groups = {kind.group: kind.version for kind in self.store.kinds.values() if kind.group}
        if parts == ["apis"]:
            return web.json_response({"kind": "APIGroupList", "groups": [_group(*entry) for entry in groups.items()]})
        if parts[0] == "apis" and len(parts) == 2 and parts[1] in groups:
            return web.json_response({"kind": "APIGroup", **_group(parts[1], groups[parts[1]])})
        if parts[0] == "apis" and parts[-1] == "selfsubjectaccessreviews":
            return web.json_response(self._review(user, await request.json()), status=201)
        group, rest = ("", parts[2:]) if parts[0] == "api" else (parts[1], parts[3:])
        if not rest:
            return web.json_response(self._resources(group))
        namespace = ""
        if rest[0] == "namespaces" and len(rest) > 2:
            namespace, rest = rest[1], rest[2:]
        key, name, sub = (group, rest[0]), rest[1] if len(rest) > 1 else "", rest[2] if len(rest) > 2 else ""
        if key not in self.store.kinds:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        self._authorize(user, request.method, rest[0] + (f"/{sub}" if sub else ""), bool(name))
        if name:
            return await self._on_one(request, key, self.store.get(key, namespace, name), sub)
        return await self._on_many(request, key, namespace)

    def _authorize(self, user: str, method: str, resource: str, one: bool) -> None:
        verb = _VERB_OF.get(method, "get" if one else "list")
        if (user, resource, verb) in self.denied | self.refused_after_review:
            raise ApiError(403, "Forbidden", f'{resource} is forbidden: User "{user}" cannot {verb} it')

    def _review(self, user: str, review: Plain) -> Plain:
        asked = review["spec"]["resourceAttributes"]
        resource = asked["resource"] + (f"/{asked['subresource']}" if asked.get("subresource") else "")
        return {**review, "status": {"allowed": (user, resource, asked["verb"]) not in self.denied}}

    def _resources(self, group: str) -> Plain:
        resources = []
        for kind in self.store.kinds.values():
            if kind.group == group:
                base = {"kind": kind.kind, "namespaced": kind.namespaced, "singularName": kind.kind.lower()}
                resources.append({**base, "name": kind.plural, "verbs": _VERBS})
                verbs = ["get", "patch", "update"]
                resources += [{**base, "name": f"{kind.plural}/{sub}", "verbs": verbs} for sub in kind.subresources]
        if not resources:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        return {"kind": "APIResourceList", "groupVersion": f"{group}/v1" if group else "v1", "resources": resources}

    async def _on_many(self, request: web.Request, key: Key, namespace: str) -> web.StreamResponse:
        kind, query = self.store.kinds[key], request.query
        if request.method == "POST":
            return web.json_response(self.store.create(key, namespace, await _content(request)), status=201)
        if query.get("watch") in ("true", "1"):
            return await self._watch(request, key, namespace)
        found = self.store.list(key, namespace, query.get("labelSelector"), query.get("fieldSelector"))
        metadata = {"resourceVersion": str(self.store.version)}
        listed = {"kind": f"{kind.kind}List", "apiVersion": kind.api, "metadata": metadata, "items": found}
        return web.json_response(listed)

    async def _on_one(self, request: web.Request, key: Key, obj: Plain, sub: str) -> web.StreamResponse:
        if sub == "log":
            return self._log(request, obj)
        if sub == "portforward":
            return await self._forward(request, obj)
        if sub and sub not in self.store.kinds[key].subresources:
            raise ApiError(404, "NotFound", "the server could not find the requested resource")
        if request.method == "GET":
            return web.json_response(obj)
        if request.method == "DELETE":
            self.store.delete(key, obj)
            return web.json_response({"kind": "Status", "apiVersion": "v1", "status": "Success"})
        body: Any = await _content(request)
        if request.method == "PATCH":
            by_steps = "json-patch+json" in request.headers.get("Content-Type", "")
            body = patched(obj, body) if by_steps else merged(obj, body)
        return web.json_response(self.store.update(key, obj, body, sub))

    def _log(self, request: web.Request, pod: Plain) -> web.Response:
        container = request.query.get("container") or pod["spec"]["containers"][0]["name"]
        path = self.log_of(pod["metadata"]["uid"], container)
        lines = path.read_text(errors="replace").splitlines() if path.exists() else []
        last = int(request.query.get("tailLines", len(lines)) or 1)
        return web.Response(text="\n".join(lines[-last:]) + "\n")

    async def _watch(self, request: web.Request, key: Key, namespace: str) -> web.StreamResponse:
        store, query = self.store, request.query
        response = web.StreamResponse(headers={"Content-Type": "application/json"})
        await response.prepare(request)

        async def send(what: str, obj: Plain) -> None:
            metadata = obj["metadata"]
            here = not namespace or metadata.get("namespace") == namespace
            labels, fields = query.get("labelSelector"), query.get("fieldSelector")
            if here and labels_match(labels, metadata.get("labels") or {}) and fields_match(fields, obj):
                await response.write(json.dumps({"type": what, "object": obj}).encode() + b"\n")

        changed, place = asyncio.Event(), len(store.log)
        end = asyncio.get_running_loop().time() + float(query.get("timeoutSeconds", 3600))
        store.waiting.add(changed)
        try:
            since = query.get("resourceVersion") or "0"
            if since == "0":
                for obj in store.list(key, namespace):
                    await send("ADDED", obj)
            else:
                place = next((n for n, entry in enumerate(store.log) if entry[0] > int(since)), len(store.log))
            while (left := end - asyncio.get_running_loop().time()) > 0:
                while place < len(store.log):
                    _, what, of, obj = store.log[place]
                    place += 1
                    if of == key:
                        await send(what, obj)
                changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), left)
        except ConnectionResetError:
            pass
        finally:
            store.waiting.discard(changed)
        return response

    async def _forward(self, request: web.Request, pod: Plain) -> web.StreamResponse:
        socket = web.WebSocketResponse(protocols=_FORWARD)
        await socket.prepare(request)
        port = int(request.query["ports"])
        for channel in (0, 1):
            await socket.send_bytes(bytes([channel]) + port.to_bytes(2, "little"))
        try:
            reader, writer = await asyncio.open_connection(pod["status"]["podIP"], port)
        except OSError as error:
            await socket.send_bytes(b"\x01" + str(error).encode())
            await socket.close()
            return socket

        async def back() -> None:
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(1 << 16):
                    await socket.send_bytes(b"\0" + data)
            await socket.close()

        answering = asyncio.create_task(back())
        try:
            async for message in socket:
                if message.type == WSMsgType.BINARY and message.data[0] == 0:
                    writer.write(message.data[1:])
                    await writer.drain()
        except ConnectionError:
            pass
        finally:
            answering.cancel()
            writer.close()
        return socket


async def _content(request: web.Request) -> Any:
    return yaml.safe_load(await request.text())


def _group(name: str, version: str) -> Plain:
    entry = {"groupVersion": f"{name}/{version}", "version": version}
    return {"name": name, "versions": [entry], "preferredVersion": entry}


def kubeconfig(url: str, user: str, contexts: Iterable[str] = ("test",)) -> Plain:
    """The kubeconfig of a user; all contexts are the same."""
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": next(iter(contexts)),
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": user, "user": {"token": user}}],
        "contexts": [
            {"name": name, "context": {"cluster": "test", "user": user, "namespace": "default"}} for name in contexts
        ],
    }
