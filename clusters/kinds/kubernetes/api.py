"""The API server, spoken to in plain mappings, with errors that say what to change."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import dask.config

from clusters.errors import StartError

__all__ = ["Refused", "Server", "without_file_in_dask_config"]

_CONNECT_SECONDS = 60.0
_PLURALS = {"NetworkPolicy": "networkpolicies"}


class Refused(Exception):
    """The API server said no.

    Parameters
    ----------
    code : int
        The HTTP status; 0 where there was no answer.
    message : str
        What it said.

    Attributes
    ----------
    code, message
        The same two.
    """

    def __init__(self, code: int, message: str) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return self.message


class Server:
    """The API server of a kubeconfig, for the event loop that it was reached in.

    Parameters
    ----------
    client : kr8s.asyncio.Api
        The connection.
    namespace : str
        Where everything is that is not said to be elsewhere.
    """

    def __init__(self, client: Any, namespace: str) -> None:
        self.client = client
        self.namespace = namespace

    @classmethod
    async def reach(cls, kubeconfig: str | None, context: str | None, namespace: str | None, within: float) -> Server:
        """Connect, and see that the server answers.

        Raises
        ------
        StartError
            If there is no kubeconfig or context, or if the server does not answer or does not know us.
        """
        import httpx
        import kr8s

        path = kubeconfig or os.environ.get("KUBECONFIG", "~/.kube/config")
        if kubeconfig and not Path(kubeconfig).expanduser().is_file():
            raise StartError(f"kubeconfig={kubeconfig!r} is not a file on this machine", "change kubeconfig=")
        try:
            async with asyncio.timeout(min(within, _CONNECT_SECONDS)):
                client = await kr8s.asyncio.api(
                    kubeconfig=os.path.expanduser(kubeconfig) if kubeconfig else None, context=context
                )
        except (ValueError, RuntimeError) as error:
            if context and str(error).startswith("No such context"):
                raise StartError(f"context={context!r} is not in {path}", "change context=") from error
            setting = "say kubeconfig= or set KUBECONFIG, or run in a pod that has a service account"
            raise StartError(f"no credentials of a Kubernetes cluster: {path}: {error}", setting) from error
        except (KeyError, IndexError, FileNotFoundError) as error:
            raise StartError(f"{path} is no whole kubeconfig: {error!r}", "see `kubectl config view`") from error
        except kr8s.ServerError as error:
            raise StartError(f"the API server of {path} refuses us: {error}", "renew the credentials") from error
        except (httpx.HTTPError, OSError, TimeoutError, kr8s.APITimeoutError) as error:
            cause = f"the API server of {path} does not answer: {str(error) or 'no answer in time'}"
            raise StartError(cause, "see that `kubectl version` answers, or change context= or kubeconfig=") from error
        return cls(client, namespace or client.namespace)

    async def aclose(self) -> None:
        """Close the connections, which kr8s has no public way for."""
        session = getattr(self.client, "_session", None)
        if session is not None:
            await session.aclose()

    async def call(self, method: str, path: str, body: Any = None, kind: str = "application/json", **query: str) -> Any:
        """One request.

        Raises
        ------
        Refused
            If the answer is an error.
        """
        import httpx
        import kr8s

        base, _, last = path.rpartition("/")
        try:
            async with self.client.call_api(
                method,
                version="",
                base=base,
                url=last,
                params=query or None,
                content=None if body is None else json.dumps(body),
                headers={"Content-Type": kind},
            ) as response:
                text = response.text
        except kr8s.ServerError as error:
            raise Refused(error.response.status_code if error.response is not None else 0, str(error)) from None
        except (httpx.HTTPError, OSError, kr8s.APITimeoutError) as error:
            raise Refused(0, f"the API server does not answer: {str(error) or type(error).__name__}") from error
        return json.loads(text) if text.startswith("{") else text

    def path(self, api: str, plural: str, name: str = "", sub: str = "") -> str:
        """The path of objects in the namespace."""
        base = "/api" if "/" not in api else "/apis"
        parts = [base, api, "namespaces", self.namespace, plural, name, sub]
        return "/".join(part for part in parts if part)

    async def get(self, api: str, plural: str, name: str) -> dict[str, Any] | None:
        """An object, or None where there is none."""
        try:
            found: dict[str, Any] = await self.call("GET", self.path(api, plural, name))
        except Refused as error:
            if error.code == 404:
                return None
            raise
        return found

    async def all_of(self, api: str, plural: str, labels: str = "") -> list[dict[str, Any]]:
        """The objects with these labels."""
        query = {"labelSelector": labels} if labels else {}
        items: list[dict[str, Any]] = (await self.call("GET", self.path(api, plural), **query))["items"]
        return items

    async def create(
        self, manifest: dict[str, Any], owner: dict[str, Any] | None = None, made: list[dict[str, Any]] | None = None
    ) -> dict[str, Any]:
        """Create an object; it goes when its owner goes, and stands in `made` unless the server refused it."""
        noted: list[dict[str, Any]] = [] if made is None else made
        if owner is not None:
            metadata = {**manifest["metadata"], "ownerReferences": [_reference(owner)]}
            manifest = {**manifest, "metadata": metadata}
        # Before the answer, which may get lost.
        noted.append(manifest)
        try:
            answer: dict[str, Any] = await self.call(
                "POST", self.path(manifest["apiVersion"], _plural(manifest["kind"])), manifest
            )
        except Refused as error:
            if error.code:
                noted.remove(manifest)
            raise
        return answer

    async def give(self, manifest: dict[str, Any], owner: dict[str, Any]) -> None:
        """Make an object that exists go when its owner goes."""
        path = self.path(manifest["apiVersion"], _plural(manifest["kind"]), manifest["metadata"]["name"])
        body = {"metadata": {"ownerReferences": [_reference(owner)]}}
        await self.call("PATCH", path, body, "application/merge-patch+json")

    async def delete(self, api: str, plural: str, name: str) -> None:
        """Delete an object, if it is there."""
        try:
            await self.call("DELETE", self.path(api, plural, name))
        except Refused as error:
            if error.code != 404:
                raise

    async def remove(self, manifest: dict[str, Any]) -> None:
        """Delete the object of a manifest, if it is there."""
        await self.delete(manifest["apiVersion"], _plural(manifest["kind"]), manifest["metadata"]["name"])

    async def allowed(self, group: str, resource: str, verb: str) -> bool:
        """Whether we may do so in the namespace."""
        resource, _, sub = resource.partition("/")
        asked = {"namespace": self.namespace, "group": group, "resource": resource, "subresource": sub, "verb": verb}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": asked},
        }
        answer = await self.call("POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review)
        return bool(answer["status"]["allowed"])


def without_file_in_dask_config() -> None:
    """Import dask_kubernetes, which otherwise writes a file of commented defaults among the user's configuration."""
    folder = dask.config.PATH
    # Where the folder is a file, Dask writes none.
    dask.config.PATH = __file__
    try:
        import dask_kubernetes  # noqa: F401
    finally:
        dask.config.PATH = folder


def _plural(kind: str) -> str:
    return _PLURALS.get(kind, f"{kind.lower()}s")


def _reference(owner: dict[str, Any]) -> dict[str, Any]:
    metadata = owner["metadata"]
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
        "controller": True,
        "blockOwnerDeletion": False,
    }
