"""Small pieces of HTML that notebooks show, in the colours of the notebook."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

__all__ = ["bar", "block", "link", "table", "text"]

_CELL = "padding:2px 12px 2px 0;border:none;background:none"


def text(value: object, style: str = "") -> str:
    """Some words, with a style in CSS."""
    return f'<span style="{style}">{escape(str(value))}</span>' if style else escape(str(value))


def link(address: str) -> str:
    """A link that opens in a window of its own."""
    return f'<a href="{escape(address)}" target="_blank" rel="noopener">{escape(address)}</a>'


def block(*parts: str, style: str = "") -> str:
    """Some pieces of HTML, one after the other."""
    return f'<div style="{style}">{"".join(parts)}</div>'


def table(header: Sequence[str], rows: Iterable[Sequence[str]], left: Sequence[int] = ()) -> str:
    """A table.

    Parameters
    ----------
    header : sequence of str
        Plain words.
    rows : iterable of sequence of str
        HTML.
    left : sequence of int
        Columns that are aligned to the left; the others are to the right.
    """
    sides = ["left" if i in left else "right" for i in range(len(header))]
    heads = "".join(
        f'<th style="{_CELL};text-align:{side};font-weight:normal;opacity:0.6">{escape(name)}</th>'
        for name, side in zip(header, sides, strict=True)
    )
    lines = "".join(
        "<tr>"
        + "".join(f'<td style="{_CELL};text-align:{s}">{cell}</td>' for cell, s in zip(row, sides, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<table style="border-collapse:collapse;border:none;margin:0"><tr>{heads}</tr>{lines}</table>'


def bar(share: float, width: str = "16em") -> str:
    """A bar that is filled to a share between 0 and 1."""
    filled = (
        f'<div style="width:{min(max(share, 0.0), 1.0):.1%};height:100%;background:#2e86c1;border-radius:4px"></div>'
    )
    return f'<div style="width:{width};height:8px;border-radius:4px;background:rgba(128,128,128,0.3)">{filled}</div>'
