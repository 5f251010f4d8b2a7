"""What a step is called on the cluster, where a person looks at Dask's own pages."""

from __future__ import annotations

import pytest
from dask.utils import key_split

from dhpo.data.reader import BlockSpec
from dhpo.driver.step_name import step_name
from dhpo.history.events import ModelState
from dhpo.worker.messages import Step, Work


def step(*works: tuple[int, int], until: int) -> Step:
    """Of models that stand at some calls and are to come to others."""
    blocks = {} if until <= min(start for start, _ in works) else {0: BlockSpec(0)}
    made = [Work(ModelState(number, calls=start), {}, target) for number, (start, target) in enumerate(works)]
    return Step(made, until, blocks, [], 1.0, 10**9, "crumb")


@pytest.mark.parametrize(
    ("works", "until", "brackets", "rung", "name"),
    [
        ([(0, 3)] * 9, 3, {3}, 1, "train-b3-r1-9x3"),
        ([(0, 9), (2, 9)], 5, {0}, 0, "train-b0-r0-2x5"),
        ([(3, 9)], 5, {4, 2}, 2, "train-b2..4-r2-1x2"),
        ([(0, 1), (0, 27)], 27, {0, 1}, 0, "train-b0..1-r0-2x27"),
        ([(9, 27)], 12, {1}, -1, "train-b1-ahead-1x3"),
        ([(9, 9), (9, 9)], 9, {1}, 2, "score-b1-r2-2"),
    ],
)
def test_a_step_is_called_by_what_it_does(
    works: list[tuple[int, int]], until: int, brackets: set[int], rung: int, name: str
) -> None:
    assert step_name(step(*works, until=until), brackets, rung) == name


def test_dask_takes_all_steps_that_train_for_one_kind_of_task() -> None:
    for name in ("train-b3-r1-9x3", "train-b2..4-r2-1x2", "train-b1-ahead-1x3"):
        assert key_split(f"{name}-1f2e3d4c-17") == "train"
    assert key_split("score-b1-r2-2-1f2e3d4c-17") == "score"
