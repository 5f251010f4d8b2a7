"""The report of a search: one page of HTML that needs nothing else, to keep and to send."""

from __future__ import annotations

from dhpo.report.page import report_html, write_report

__all__ = ["report_html", "write_report"]
