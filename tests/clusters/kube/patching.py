"""Patches and selectors, as the API server knows them."""

from __future__ import annotations

import copy
import re
from typing import Any

Plain = dict[str, Any]


class ApiError(Exception):
    """An answer that is an error."""

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.body = {
            "kind": "Status",
            "apiVersion": "v1",
            "metadata": {},
            "status": "Failure",
            "code": code,
            "reason": reason,
            "message": message,
        }


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return copy.deepcopy(patch)
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def patched(document: Plain, operations: list[Plain]) -> Plain:
    """RFC 6902, as far as kopf uses it."""
    document = copy.deepcopy(document)
    for operation in operations:
        path = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        place: Any = document
        for part in path[:-1]:
            place = place[int(part)] if isinstance(place, list) else place[part]
        what = operation["op"]
        last: Any = path[-1]
        if isinstance(place, list):
            last = len(place) if last == "-" else int(last)
        there = last < len(place) if isinstance(place, list) else last in place
        if what == "test":
            if (place[last] if there else None) != operation.get("value"):
                raise ApiError(422, "Invalid", "the server rejected our request: test failed")
        elif what == "remove":
            if not there:
                raise ApiError(422, "Invalid", f"remove: there is no {operation['path']}")
            del place[last]
        elif what == "add" and isinstance(place, list):
            place.insert(last, operation["value"])
        else:
            place[last] = operation["value"]
    return document


def labels_match(selector: str | None, labels: Plain) -> bool:
    """Whether labels fit a selector."""
    return all(_label_matches(part.strip(), labels) for part in re.split(r",(?![^(]*\))", selector or "") if part)


def _label_matches(part: str, labels: Plain) -> bool:
    if among := re.fullmatch(r"(\S+)\s+(in|notin)\s*\(([^)]*)\)", part):
        values = [value.strip() for value in among[3].split(",")]
        return (labels.get(among[1]) in values) == (among[2] == "in")
    if "!=" in part:
        key, value = part.split("!=")
        return bool(labels.get(key.strip()) != value.strip())
    if "=" in part:
        key, value = re.split("==?", part)
        return bool(labels.get(key.strip()) == value.strip())
    return part[1:] not in labels if part.startswith("!") else part in labels


def fields_match(selector: str | None, obj: Plain) -> bool:
    """Whether the fields of an object fit a selector."""
    for part in (selector or "").split(","):
        if not part:
            continue
        path, value = re.split(r"!=|==?", part)
        place: Any = obj
        for key in path.split("."):
            place = (place or {}).get(key)
        if (str("" if place is None else place) == value) == ("!=" in part):
            return False
    return True
