"""The name of a step on the cluster, as Dask's own pages show it."""

from __future__ import annotations

from collections.abc import Collection

from dhpo.worker.messages import Step

__all__ = ["step_name"]


def step_name(step: Step, brackets: Collection[int], rung: int) -> str:
    """What a step does, for whom: "train-b3-r1-9x3" trains 9 models of bracket 3 for rung 1, by 3 calls at most.

    Dask takes all that begins alike for one kind of task: "train", and "score" where nothing is left but scoring.

    Parameters
    ----------
    step : Step
    brackets : collection of int
        Of its models. With several, the first and the last are named: "b0..3".
    rung : int
        The highest of its models; below 0 where they are trained ahead of a promotion: "train-b3-ahead-9x3".
    """
    first, last = min(brackets), max(brackets)
    bracket = f"b{first}" if first == last else f"b{first}..{last}"
    place = f"{bracket}-ahead" if rung < 0 else f"{bracket}-r{rung}"
    n_calls = max(min(step.until, work.target) - work.start for work in step.works)
    return f"train-{place}-{len(step.works)}x{n_calls}" if step.blocks else f"score-{place}-{len(step.works)}"
