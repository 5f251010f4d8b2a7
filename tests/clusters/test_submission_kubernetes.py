"""Scripts submitted as jobs of the real Dask operator, on a Kubernetes of our own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import clusters
from tests.clusters.kube.machine import Kube, wait_until
from tests.clusters.submitting import SECRET, ended, home_of_tests, said, state, wait_for_log, written

# In a job, from_config() finds the cluster that the operator made for it.
SCRIPT = """
import os, sys, time
import clusters

print('{"looks": "like JSON"}', flush=True)
with clusters.from_config() as cluster, cluster.get_client() as client:
    print("sum", client.submit(sum, [1, 2]).result(), len(os.environ["OF_TEST"]), sys.argv[1:], flush=True)
    if "wait" in sys.argv:
        time.sleep(600)
sys.exit(3)
"""


@pytest.fixture
def folder(kube: Kube, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    yield from home_of_tests(tmp_path, monkeypatch)


def test_a_job_from_submit_to_its_end(kube: Kube, folder: Path) -> None:
    options: dict[str, Any] = {
        "kind": "kubernetes", "image": "dhpo:test", "memory": "500MB", "env": {"OF_TEST": SECRET}, "start_timeout": 300
    }  # fmt: skip
    script = written(folder, "search.py", SCRIPT)
    assert SECRET not in clusters.render_submission(options, script)
    for wrong, told in (
        ({"files": [script + "x"]}, "there is no such file"),
        ({"files": [folder]}, "only the script travels"),
        ({"workdir": "~/runs"}, "keeps no files: let the script write to a volume"),
    ):
        with pytest.raises(clusters.SubmissionError, match=told):
            clusters.submit(options, script, **wrong)
    with pytest.raises(clusters.StartError, match="namespace 'nowhere' does not exist"):
        clusters.submit({**options, "namespace": "nowhere"}, script)
    assert clusters.submissions() == []

    fails = clusters.submit(options, script, ["--fast"], name="fails")
    waits = clusters.submit(options, script, ["wait"], name="waits")
    assert ended("fails") == "failed"
    became = fails.status()
    assert became.code == 3
    assert became.tail.splitlines() == ['{"looks": "like JSON"}', f"sum 3 {len(SECRET)} ['--fast']"]
    for refused in (fails.fetch, fails.resume):
        with pytest.raises(clusters.SubmissionError, match="volume"):
            refused()
    wait_for_log("waits", "sum 3")
    assert said("status", "waits").startswith("waits: running\n")
    with pytest.raises(clusters.SubmissionError, match="job waits runs: cancel it first"):
        waits.remove()
    assert waits.cancel()
    assert state("waits") == "cancelled"
    for each in (fails, waits):
        each.remove()
    wait_until(lambda: not kube.left(), what="the end of everything")
