"""Records as JSON lines, each with its number and a checksum, so that damage is seen and not believed."""

from __future__ import annotations

import json
import zlib
from typing import Any

from dhpo.errors import JournalError

__all__ = ["decode_lines", "encode_line"]

_CRC = b', "crc": "%08x"}\n'
_CRC_LENGTH = len(_CRC % 0)

Record = dict[str, Any]


def encode_line(number: int, record: Record) -> bytes:
    """One record as a line.

    Parameters
    ----------
    number : int
        Position in the journal, from 0.
    record : dict
        Of what JSON knows; numbers that are not finite are refused.
    """
    body = json.dumps({"n": number, **record}, allow_nan=False).encode()[:-1]
    return body + _CRC % zlib.crc32(body)


def decode_lines(data: bytes, name: str, first: int = 0) -> tuple[list[Record], int]:
    """The records of a journal, and how many of its bytes they take.

    A process that dies while it writes leaves a last line that is torn. That one is left out, as if it had never been
    written; damage anywhere else is an error.

    Parameters
    ----------
    data : bytes
    name : str
        Of the journal, for messages.
    first : int, default 0
        The number of the first record in `data`.

    Raises
    ------
    JournalError
        If a line that others follow is not as it was written.
    """
    records: list[Record] = []
    length = 0
    lines = _split(data)
    for position, line in enumerate(lines):
        record = _decode_line(line, first + len(records))
        if record is None:
            if position == len(lines) - 1:
                break
            raise JournalError(
                f"line {first + position + 1} of {name} is damaged, and {len(lines) - position - 1} lines follow it: "
                "the journal was changed after it was written. Restore it from a copy, or begin with a new journal."
            )
        records.append(record)
        length += len(line)
    return records, length


def _split(data: bytes) -> list[bytes]:
    # bytes.splitlines would take a carriage return for an end, too.
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _decode_line(line: bytes, number: int) -> Record | None:
    body = line[:-_CRC_LENGTH]
    if line[-_CRC_LENGTH:] != _CRC % zlib.crc32(body):
        return None
    record: Record = json.loads(body + b"}")
    return record if record.pop("n", None) == number else None
