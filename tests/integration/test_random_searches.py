"""Whatever trials and workers do: clean trials have the scores they have alone, and every search ends."""

from __future__ import annotations

import pytest
from distributed import LocalCluster

from tests.integration.random_searches import Case, run_case


@pytest.fixture
def cluster_of(no_process_left):
    """Makes a cluster of so many workers."""
    made = []

    def make(n_workers):
        made.append(
            LocalCluster(
                n_workers=n_workers,
                threads_per_worker=1,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",
                memory_limit="1GB",
            )
        )
        return made[-1]

    yield make
    for cluster in made:
        cluster.close()


@pytest.mark.parametrize(("n_workers", "seeds"), [(1, range(3)), (2, range(3, 7)), (3, range(7, 10))])
def test_clean_trials_score_what_they_score_alone_whatever_others_do(cluster_of, n_workers, seeds):
    cluster = cluster_of(n_workers)
    for seed in seeds:
        run_case(cluster, Case(seed, n_workers, deadly=seed == seeds[0]))


@pytest.mark.benchmarks
@pytest.mark.parametrize("n_workers", [1, 2, 3])
@pytest.mark.parametrize("part", range(5))
def test_hundreds_of_random_searches(cluster_of, n_workers, part):
    cluster = cluster_of(n_workers)
    for seed in range(1000 + 34 * part, 1034 + 34 * part):
        run_case(cluster, Case(seed, n_workers))
