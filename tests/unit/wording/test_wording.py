"""Numbers with their nouns, and names that were meant."""

from __future__ import annotations

import pytest

from dhpo.wording import counted, did_you_mean


@pytest.mark.parametrize(("number", "expected"), [(0, "0 calls"), (1, "1 call"), (2, "2 calls"), (1581, "1,581 calls")])
def test_one_call_is_no_calls(number, expected):
    assert counted(number, "call") == expected


def test_the_nearest_name_is_asked_for_and_a_stranger_is_not():
    known = ["accuracy", "balanced_accuracy", "f1"]
    assert did_you_mean("acuracy", known) == " Did you mean 'accuracy'?"
    assert did_you_mean("zzz", known) == did_you_mean(3, known) == ""
