"""The types of values that configurations hold, and how they are read from what people write."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Annotated, Any

from dask.utils import parse_bytes, parse_timedelta
from pydantic import BeforeValidator, PlainValidator, SecretStr

__all__ = ["Bytes", "Count", "Environment", "HostAndPort", "Name", "Port", "Seconds", "Workers"]


# Less than this is a slip, such as 4 for "4GiB"; a worker would be killed and started again for ever.
_IDLE_WORKER = 100 * 2**20


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("expected an integer of at least 1")
    return value


def _port(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 65535:
        raise ValueError("expected a port, an integer from 0 (any free one) to 65535")
    return value


def _workers(value: Any) -> int | tuple[int, int]:
    if isinstance(value, list | tuple):
        if len(value) != 2 or any(isinstance(n, bool) or not isinstance(n, int) for n in value):
            raise ValueError("expected two integers, the fewest and the most workers")
        fewest, most = value
        if not 0 <= fewest <= most or most < 1:
            raise ValueError("expected (fewest, most), with 0 <= fewest <= most and most at least 1")
        return (fewest, most)
    try:
        return _count(value)
    except ValueError:
        raise ValueError("expected an integer of at least 1, or a pair (fewest, most) to adapt between") from None


def _bytes(value: Any) -> int:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise ValueError
        amount: int = parse_bytes(value)
    except (ValueError, OverflowError):
        amount = 0
    if amount < _IDLE_WORKER:
        raise ValueError("expected bytes for one worker, such as '4GiB' or an integer; an idle one takes some 100 MiB")
    return amount


def _seconds(value: Any) -> float:
    try:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError
        seconds = float(parse_timedelta(value, default="s"))
    except (ValueError, KeyError, IndexError, OverflowError):
        # Dask's errors for text that is no time; that of an empty one is an IndexError.
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise ValueError("expected a time above 0, such as '10 minutes' or a number of seconds")
    return seconds


def _host_and_port(value: Any) -> str:
    host, _, port = value.rpartition(":") if isinstance(value, str) else ("", "", "")
    # A bare ":8787" would listen on every interface of the machine.
    if not host or not port.isdecimal() or int(port) > 65535:
        raise ValueError("expected 'host:port', such as '127.0.0.1:8787', or None")
    return f"{host}:{port}"


def _name(value: Any) -> str:
    # What starts with a dash would be read as an option by the commands it is handed to.
    if not isinstance(value, str) or not value or value.startswith("-") or any(c in value for c in "\0\r\n"):
        raise ValueError("expected text of one line that does not start with '-'")
    return value


def _environment(value: Any) -> dict[str, SecretStr]:
    if not isinstance(value, Mapping):
        raise ValueError("expected names and values")
    environment = {}
    for name, content in value.items():
        if not isinstance(name, str) or not name or any(c in name for c in "=\0\n"):
            raise ValueError(f"expected names of variables, and {name!r} is none")
        if content is None:
            if name not in os.environ:
                raise ValueError(f"{name} has no value, and is not in this environment to be taken from there")
            content = os.environ[name]
        if isinstance(content, SecretStr):
            content = content.get_secret_value()
        if isinstance(content, bool) or not isinstance(content, str | int | float):
            raise ValueError(f"the value of {name} is neither text nor a number: quote it")
        if "\0" in str(content):
            raise ValueError(f"the value of {name} holds a zero byte")
        environment[name] = SecretStr(str(content))
    return environment


Count = Annotated[int, PlainValidator(_count)]
Port = Annotated[int, PlainValidator(_port)]
Workers = Annotated[int | tuple[int, int], PlainValidator(_workers)]
Bytes = Annotated[int, PlainValidator(_bytes)]
Seconds = Annotated[float, PlainValidator(_seconds)]
HostAndPort = Annotated[str, PlainValidator(_host_and_port)]
Name = Annotated[str, BeforeValidator(_name)]
Environment = Annotated[dict[str, SecretStr], BeforeValidator(_environment)]
