"""A run of the tests says what those need that were skipped."""

from __future__ import annotations

from tests.conftest import skipped_in_a_line


def test_reasons_of_skipped_tests_are_told_in_one_line_with_how_many_they_are():
    sshd, slurm = "Skipped: no sshd on this machine: apt-get install openssh-server", "Skipped: not installed: slurmd"
    line = skipped_in_a_line([sshd, slurm, sshd])
    assert line.startswith(
        "3 skipped: 2 because no sshd on this machine: apt-get install openssh-server; 1 because not"
    )
    assert "\n" not in line
