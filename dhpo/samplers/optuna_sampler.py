"""Points that a sampler of Optuna suggests, after what came of others."""

from __future__ import annotations

import math
import sys
import warnings
from collections.abc import Iterable, Sequence
from copy import deepcopy
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from dhpo.errors import ExtraNotInstalled
from dhpo.samplers.optuna_space import OptunaSpace
from dhpo.samplers.rung_study import Point, RungStudy
from dhpo.space.parameter_space import Space
from dhpo.space.seeds import RandomStateLike, entropy_of, params_rng, seed_for
from dhpo.trial import Params, Report

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["NAMES", "OptunaSampler", "is_optuna_sampler"]

# Of Optuna's samplers, as users ask for them.
NAMES = ("tpe", "gp", "cmaes", "nsga2")

# Points of a finite space may be the same by chance.
_N_COMPARED = 8
# Optuna's TPE draws at random until so many trials are complete.
_N_STARTUP = 10


class OptunaSampler:
    """Points that one of Optuna's samplers suggests, which learns from the scores of other trials.

    Scores of different resources never go into one model. Each resource that trials are scored at has a model of its
    own, and the highest one with enough scores suggests the parameters, as in BOHB [1]_: three more than there are
    parameters, and at least ten. Trials that were begun and not yet scored are known to it, so that it does not suggest
    the same again; one that failed is worse than those that have a score.

    The parameters of a trial follow from `random_state` and from what was asked and told before, in its order.

    Parameters
    ----------
    space : Space
    random_state : int, numpy RandomState, numpy Generator or None
        See `dhpo.space.seeds.entropy_of`. A sampler object has its own seed instead.
    sampler : {"tpe", "gp", "cmaes", "nsga2"} or optuna.samplers.BaseSampler, default "tpe"
        "tpe" is the multivariate tree-structured Parzen estimator; "gp" a Gaussian process, which needs PyTorch;
        "cmaes" an evolution strategy, which learns nothing of parameters that are listed; "nsga2" a genetic algorithm
        for several metrics, whose first 50 points are random. Each model has a copy of an object.
    metrics : sequence of str
        Names of several metrics, all of which "nsga2", and an object of the NSGA samplers, learn from; the others learn
        from the one that decides.

    Attributes
    ----------
    entropy : int
        Given as `random_state`, it repeats the search.

    Raises
    ------
    ExtraNotInstalled
        If Optuna is missing, or what its sampler needs.
    TypeError, ValueError
        If `sampler` is neither, or one of Optuna's that end by themselves (GridSampler, BruteForceSampler) or wrap
        others (PartialFixedSampler), or "gp", "cmaes" or "nsga2" where the space has several dicts.

    References
    ----------
    .. [1] Falkner, S., Klein, A. and Hutter, F. (2018). BOHB: Robust and efficient hyperparameter optimization at
       scale. ICML 2018. https://proceedings.mlr.press/v80/falkner18a.html

    Examples
    --------
    >>> from scipy.stats import uniform
    >>> from dhpo import Report, Space
    >>> from dhpo.samplers import OptunaSampler
    >>> sampler = OptunaSampler(Space({"x": uniform(0, 1)}), random_state=0)
    >>> for number in range(30):
    ...     x = sampler.ask(number)["x"]
    ...     sampler.tell(Report(number, resource=1, score=-((x - 0.3) ** 2)))
    >>> abs(sampler.ask(30)["x"] - 0.3) < 0.1
    True
    """

    learns = True
    n_trials = None  # points of a finite space may come again

    def __init__(
        self,
        space: Space,
        random_state: RandomStateLike = None,
        sampler: str | BaseSampler = "tpe",
        metrics: Sequence[str] = (),
    ) -> None:
        _check(sampler)
        self.entropy: int = entropy_of(random_state)
        self._space = OptunaSpace(space)
        if sampler in ("gp", "cmaes", "nsga2") and self._space.is_conditional:
            raise ValueError(
                f"sampler={sampler!r} is not allowed for a list of dicts: it learns of parameters that all points "
                "have, and would draw the others at random. Give one dict, or 'tpe'."
            )
        self._sampler = sampler
        self._metrics = tuple(metrics) if _learns_from_all_metrics(sampler) else ()
        self._enough = max(self._space.n_dimensions + 3, _N_STARTUP)
        self._studies: dict[int, RungStudy] = {}  # by resource
        self._points: dict[int, Point] = {}  # all that were asked for
        self._under_way: dict[int, None] = {}  # in their order
        self._failed: list[int] = []

    @property
    def needs_one_resource(self) -> bool:
        """Whether all trials have to be scored at one resource.

        The others are models of any points. An evolution only learns from those that it has drawn in the same study,
        and what draws from a stream of random numbers or a sequence begins that anew in each study.
        """
        from optuna.samplers import GPSampler, TPESampler

        return self._sampler not in ("tpe", "gp") and not isinstance(self._sampler, TPESampler | GPSampler)

    @property
    def given(self) -> str:
        """What was asked for, in words."""
        return _given(self._sampler)

    @property
    def is_repeatable(self) -> bool:
        """Whether a copy draws the same points: a sampler object does if it has a seed."""
        if isinstance(self._sampler, str):
            return True
        drawn = []
        for _ in range(2):
            copied = self._make_study(deepcopy(self._sampler))
            suggest = partial(self._space.suggest, rng=params_rng(self.entropy, 0))
            # As Optuna has them: the user's objects may not be comparable.
            drawn.append([copied.ask(number, suggest)[1].values for number in range(_N_COMPARED)])
        return drawn[0] == drawn[1]

    def ask(self, number: int) -> dict[str, Any]:
        """Return the parameters of trial `number`."""
        if number < 0:
            raise ValueError(f"number={number!r} is not allowed: trials are numbered from 0.")
        study = self._deciding()
        for other in self._under_way:
            study.begin(other, self._points[other])
        suggest = partial(self._space.suggest, rng=params_rng(self.entropy, number))
        params, self._points[number] = study.ask(number, suggest)
        self._under_way[number] = None
        return params

    def take(self, number: int, params: Params) -> None:
        """Know of a trial whose parameters come from elsewhere; of one outside of the space nothing is learned."""
        for study in self._studies.values():
            study.forget(number)  # where it was asked for
        self._points.pop(number, None)
        self._under_way.pop(number, None)
        point = self._space.point(params)
        if point is not None:
            self._points[number] = point
            self._under_way[number] = None

    def learn_from(self, scored: Iterable[tuple[Params, float]]) -> None:
        """Begin with what an earlier search has found, until there are enough scores of this one.

        Parameters
        ----------
        scored : iterable of (mapping, float)
            Parameters, and how good they were, higher is better. Those outside of the space are left out. An evolution
            learns nothing of points that it has not drawn.
        """
        if self.needs_one_resource:
            return
        points = [(point, score) for params, score in scored if (point := self._space.point(params)) is not None]
        if points:
            study = self._studies.setdefault(_EARLIER, RungStudy(self._make_sampler(0)))
            first = len(study.scores)
            for i, (point, score) in enumerate(points, first):
                study.score(-1 - i, point, [score])

    def tell(self, report: Report) -> None:
        """Learn from what came of a trial."""
        number = report.trial
        if number not in self._points:
            return  # it was not asked for here
        self._under_way.pop(number, None)
        values = [report.metrics.get(name, math.nan) for name in self._metrics] or [report.score]
        if report.failed or not all(map(math.isfinite, values)):
            self._failed.append(number)
            for study in self._studies.values():
                if study.scores:
                    study.fail(number, self._points[number])
                else:  # beside nothing it would be as good as the best
                    study.forget(number)
            return
        scored_at = self._study(report.resource)
        for study in self._studies.values():
            if study is not scored_at:
                study.forget(number)
        scored_at.score(number, self._points[number], values)
        if len(scored_at.scores) == 1:
            for failed in self._failed:
                scored_at.fail(failed, self._points[failed])

    def _deciding(self) -> RungStudy:
        """The model that suggests the next point."""
        studies = self._studies
        enough = [resource for resource in studies if len(studies[resource].scores) >= self._enough]
        if enough:
            return studies[max(enough)]
        if not studies:
            return self._study(_UNKNOWN)
        return studies[max(studies, key=lambda resource: (len(studies[resource].scores), -resource))]

    def _study(self, resource: int) -> RungStudy:
        """The model of a resource; what was asked before the first report belongs to the resource of that."""
        studies = self._studies
        if resource not in studies:
            if _UNKNOWN in studies:
                studies[resource] = studies.pop(_UNKNOWN)
            else:
                studies[resource] = self._make_study(self._make_sampler(resource))
        return studies[resource]

    def _make_study(self, sampler: BaseSampler) -> RungStudy:
        return RungStudy(sampler, max(len(self._metrics), 1))

    def _make_sampler(self, resource: int) -> BaseSampler:
        from optuna import samplers
        from optuna.exceptions import ExperimentalWarning

        if not isinstance(self._sampler, str):
            return deepcopy(self._sampler)
        seed = seed_for(self.entropy, resource, "sampler")
        if self._sampler == "gp":
            return samplers.GPSampler(seed=seed)
        if self._sampler == "cmaes":
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        if self._sampler == "nsga2":
            return samplers.NSGAIISampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)  # of group
            return samplers.TPESampler(seed=seed, multivariate=True, group=self._space.is_conditional)


# The resource of what was asked for before the first report, and that of an earlier search.
_UNKNOWN = 0
_EARLIER = -1


def _learns_from_all_metrics(sampler: Any) -> bool:
    from optuna.samplers import NSGAIIISampler, NSGAIISampler

    return sampler == "nsga2" or isinstance(sampler, NSGAIISampler | NSGAIIISampler)


def _check(sampler: Any) -> None:
    """Refuse what is no sampler, and what could not draw, now or later."""
    given = _given(sampler)
    if find_spec("optuna") is None:
        raise ExtraNotInstalled(f'sampler={given} needs optuna: pip install "dhpo[optuna]"')
    from optuna.samplers import (
        BaseSampler,
        BruteForceSampler,
        CmaEsSampler,
        GPSampler,
        GridSampler,
        PartialFixedSampler,
    )

    if isinstance(sampler, str):
        if sampler not in NAMES:
            names = ", ".join(map(repr, NAMES))
            raise ValueError(f"sampler={given} is not allowed: give {names}, or a sampler of Optuna.")
    elif not isinstance(sampler, BaseSampler):
        raise TypeError(f"sampler={sampler!r} is not allowed: give an object of one of Optuna's samplers, or 'tpe'.")
    if isinstance(sampler, BruteForceSampler | GridSampler):
        raise ValueError(f"sampler={given} of Optuna is not allowed, for it ends the study by itself: give 'grid'.")
    if isinstance(sampler, PartialFixedSampler):
        raise ValueError(f"sampler={given} is not allowed: give the sampler that it has, and fix values in the space.")
    if (sampler == "cmaes" or isinstance(sampler, CmaEsSampler)) and find_spec("cmaes") is None:
        raise ExtraNotInstalled(f'sampler={given} needs cmaes: pip install "dhpo[optuna]"')
    if (sampler == "gp" or isinstance(sampler, GPSampler)) and find_spec("torch") is None:
        raise ExtraNotInstalled(f"sampler={given} needs torch, which is no part of an extra: pip install torch")


def _given(sampler: Any) -> str:
    return repr(sampler) if isinstance(sampler, str) else type(sampler).__name__


def is_optuna_sampler(sampler: Any) -> bool:
    """Whether an object is a sampler of Optuna, which is not imported for that."""
    optuna = sys.modules.get("optuna")
    return optuna is not None and isinstance(sampler, optuna.samplers.BaseSampler)
