"""Population based training, which benchmarks put beside the classes: a loop of the paper, with real training."""

from __future__ import annotations

import copy
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from learning_tasks import Task, Trained
from textbooks import Curve

__all__ = ["population_based"]

# Jaderberg et al. (2017), https://arxiv.org/abs/1711.09846, section 4.1: the worst fifth copies the best fifth, and
# each parameter is drawn anew with this chance, or multiplied by one of these.
SHARE = 1 / 5
DRAWN_ANEW = 0.25
FACTORS = (0.8, 1.2)


@dataclass
class Member:
    """A model of the population, with the parameters that it is trained with now."""

    trial: int
    params: dict[str, Any]
    score: float = -math.inf


def population_based(task: Task, seed: int, n_members: int, calls_between: int) -> Curve:
    """Train all, score all, replace the worst, and so on for ever; the first members are the first trials at random.

    Parameters
    ----------
    task : Task
        Its `changes` are the parameters that may change while a model is trained.
    seed : int
    n_members : int
    calls_between : int
        Calls of each member from one score to the next.
    """
    rng = np.random.default_rng(seed)
    at_random = Trained(task, seed)
    members = [Member(trial, at_random.params_of(trial)) for trial in range(n_members)]
    trained = Trained(task, seed, lambda trial: members[trial].params)
    calls = resource = 0
    while True:
        resource += calls_between
        for member in members:
            score = trained.train(member.trial, resource)
            member.score = score if math.isfinite(score) else -math.inf
            calls += calls_between
            yield calls, member.score
        ranked = sorted(members, key=lambda member: (-member.score, member.trial))
        n_replaced = max(round(SHARE * n_members), 1)
        for member in ranked[-n_replaced:]:
            better = ranked[rng.integers(n_replaced)]
            member.params = perturbed(task, better.params, rng)
            model = copy.deepcopy(trained.model(better.trial))
            set_params(model, {name: member.params[name] for name in task.changes if name in member.params})
            trained.take_model(member.trial, model, resource)


def perturbed(task: Task, params: dict[str, Any], rng: np.random.Generator) -> dict[str, Any]:
    """Parameters near those of a better member, where they may change."""
    spaces = task.space if isinstance(task.space, list) else [task.space]
    space = next(space for space in spaces if "model" not in space or repr(params["model"]) == repr(space["model"][0]))
    near = dict(params)
    for name in filter(space.__contains__, task.changes):
        values = space[name]
        if rng.random() < DRAWN_ANEW:
            near[name] = values[rng.integers(len(values))] if isinstance(values, list) else values.rvs(random_state=rng)
        elif not isinstance(values, list):
            near[name] = float(np.clip(params[name] * rng.choice(FACTORS), *values.support()))
    return near


def set_params(model: Any, params: dict[str, Any]) -> None:
    """Go on with other parameters; the optimizer of an MLP keeps a rate of its own."""
    model.set_params(**params)
    optimizer = getattr(model, "_optimizer", None)
    if optimizer is not None and "learning_rate_init" in params:
        optimizer.learning_rate_init = optimizer.learning_rate = params["learning_rate_init"]
