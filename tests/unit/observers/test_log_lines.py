from __future__ import annotations

import logging
import subprocess
import sys
import time

import pytest

from dhpo.observers.log_lines import LogLines
from tests.unit.observers.driven import drive, observed
from tests.unit.views.events import LINK, reported


def test_what_is_planned_and_what_came_of_it_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "dhpo.progress"):
        drive(LogLines(), 20)
    assert caplog.messages == [f"dhpo: 1 trial and 20 calls planned; dashboard: {LINK}", "dhpo: done after 0 s"]
    assert {record.name for record in caplog.records} == {"dhpo.progress"}


def test_there_is_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    search = observed(20)
    search.history.append(reported(0, 5, 0.929))
    with caplog.at_level(logging.INFO, "dhpo.progress"):
        lines = LogLines(every=0.01)
        lines.start(search)
        while len(caplog.messages) < 4:
            time.sleep(0.001)
        lines.stop()
    assert caplog.messages[1].startswith("dhpo: 5/20 calls (25 %), best 0.9290 (trial 0), 1 of 1 active")


def test_a_level_that_the_user_has_set_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "dhpo.progress"):
        drive(LogLines(), 2)
    assert caplog.messages == []


def test_the_end_of_one_search_does_not_silence_another() -> None:
    code = (
        "from dhpo.observers.log_lines import LogLines\n"
        "from tests.unit.observers.driven import drive, observed\n"
        "first, second = LogLines(), LogLines()\n"
        "first.start(observed(3))\n"
        "second.start(observed(4))\n"
        "first.stop()\n"
        "second.stop()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert len(done.stderr.splitlines()) == 4


def test_stop_without_start() -> None:
    LogLines().stop()


def test_where_nobody_has_set_logging_up_the_lines_go_to_standard_error() -> None:
    code = (
        "import logging\n"
        "from dhpo.observers.log_lines import LogLines\n"
        "from tests.unit.observers.driven import drive\n"
        "drive(LogLines(), 3)\n"
        "logger = logging.getLogger('dhpo.progress')\n"
        "print(logger.handlers, logger.level)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=300, check=True)
    assert done.stderr.splitlines()[0].startswith("dhpo: 1 trial and 3 calls planned")
    assert done.stderr.splitlines()[1].startswith("dhpo: done after")
    assert done.stdout.strip() == "[] 0"
