"""Searches by whole fits on splits of the data, with the semantics of scikit-learn's GridSearchCV."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, Self

import sklearn
from dask.delayed import Delayed
from sklearn.base import clone
from sklearn.model_selection import check_cv
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing

from dhpo.data.collections import is_lazy
from dhpo.data.wrappers import unwrap, wrapped_scoring
from dhpo.history.history import History
from dhpo.journal import EarlierSearch, Header, open_journal, read_earlier_searches
from dhpo.journal.carry_over import Earlier, NewSearch
from dhpo.samplers.by_name import check_repeatable
from dhpo.schedules.plan import BracketPlan, Plan, Rung
from dhpo.search.base import BlockSearchCV
from dhpo.search.identity import identity_of_fits
from dhpo.search.input_checks import checked_limits, refuse_lazy_estimator
from dhpo.search.run import Run
from dhpo.search.scikit_learn_callbacks import without_callbacks
from dhpo.search.starting_from import NO_POINTS_ON_A_GRID, check_same_start, notes
from dhpo.space.parameter_range import ParameterRange
from dhpo.trial import Params
from dhpo.whole_fits.candidates import Candidates
from dhpo.whole_fits.cv_results import warn_of_fits, warn_of_scores
from dhpo.whole_fits.fit_executor import FitExecutor
from dhpo.whole_fits.fit_job import FitData, FitJob, LazyInput, Routed, make_fit_data
from dhpo.whole_fits.whole_scoring import WholeScoring, accepts_sample_weight, check_refit, resolve_whole_scoring
from dhpo.wording import did_you_mean

__all__ = ["WholeOrBlockSearchCV"]


# Parameters that dask-ml's searches of these names have, and what to write instead.
_GONE = {
    "iid": "means over the splits are plain, as in scikit-learn: leave it out",
    "cache_cv": "the data is sent to each worker once: leave it out",
    "scheduler": "a search runs on the current distributed.Client: leave it out, and start a Client where you want one",
}


class WholeOrBlockSearchCV(BlockSearchCV):
    """Base of the searches that fit candidates whole where they can, and train them block by block where they must.

    A subclass lists in `_candidates` what is fitted whole.
    """

    def __new__(cls, *args: Any, **params: Any) -> Self:
        """Refuse parameters of dask-ml's that are gone, which Python would only call unexpected."""
        for name in params.keys() & _GONE.keys():
            raise TypeError(f"{cls.__name__} has no {name}=, unlike dask-ml's: {_GONE[name]}.")
        made: Self = super().__new__(cls)
        return made

    n_jobs: Any
    refit: Any
    cv: Any
    pre_dispatch: Any
    error_score: Any
    return_train_score: bool
    max_iter: int | None

    def _ranges(self) -> dict[str, ParameterRange]:
        with suppress(ValueError, TypeError):
            return self._space().ranges()
        return {}

    def _warn_of_ranges(self) -> None:
        """Warn of what reads like a range and is none; what scikit-learn takes and a space does not is no matter."""
        with suppress(ValueError, TypeError):
            self._space().warn_of_ranges()

    _takes_points = False

    @property
    def _samples(self) -> bool:
        """Whether candidates that are fitted whole come from a sampler, and not from scikit-learn."""
        return False

    @abstractmethod
    def _n_candidates(self) -> int:
        """How many candidates there are."""

    @abstractmethod
    def _candidates(self, entropy: int) -> Candidates:
        """All candidates, as scikit-learn lists them where no sampler gives them."""

    def _fits_whole(self, *data: Any) -> bool:
        if self._most() is not None or self.resource != "auto":
            return False
        # A delayed object is all of the data as much as data in memory is: there are no chunks to train on.
        has_chunks = any(is_lazy(part) and not isinstance(part, Delayed) for part in data)
        return not hasattr(unwrap(self.estimator), "partial_fit") or not has_chunks

    def plan(self, start_from: Any = None) -> Plan:
        """Tell what will run, before any work.

        Parameters
        ----------
        start_from : optional
            As for `fit`: the plan says what will be taken over from these searches.

        Returns
        -------
        Plan
            If the estimator has no `partial_fit`, the plan counts fits, one for each split; otherwise it counts
            `partial_fit` calls. It does not know the data: if `max_iter` is not given and the data is in memory,
            candidates are fitted whole, and the plan does not hold.

        Raises
        ------
        ValueError
            If a parameter of the search is not allowed, or `cv` cannot tell its splits without the data.
        """
        by_fits: bool | None = self._fits_whole(None)
        if not by_fits or hasattr(unwrap(self.estimator), "partial_fit"):
            plan = super().plan()
            by_fits = None if by_fits else False  # chunks would be trained on
        elif isinstance(self.cv, Iterator):
            raise ValueError("cv is an iterator, which only tells its splits once: give a list of them to plan().")
        else:
            plan = Plan((BracketPlan(0, (Rung(self._n_candidates(), check_cv(self.cv).get_n_splits()),)),))
        if start_from is None:
            return plan
        return replace(plan, notes=notes(self, read_earlier_searches(start_from), by_fits))

    def start(
        self,
        X: Any,
        y: Any = None,
        *,
        sample_weight: Any = None,
        classes: Any = None,
        validation_data: tuple[Any, Any] | None = None,
        journal: Any = None,
        start_from: Any = None,
        enqueue: Any = None,
        **fit_params: Any,
    ) -> Run:
        """Start the search and return at once; see `fit` for the parameters.

        Returns
        -------
        Run
            With `summary()` and `best` at any moment, `stop()`, and `result()`, which waits and returns this search,
            fitted.
        """
        if not self._fits_whole(X, y):
            self._refuse_what_whole_fits_need()
            return super().start(
                X,
                y,
                sample_weight=sample_weight,
                classes=classes,
                validation_data=validation_data,
                journal=journal,
                start_from=start_from,
                enqueue=enqueue,
                **fit_params,
            )
        self._refuse_what_blocks_need(validation_data)
        earlier = read_earlier_searches(start_from, journal)
        given = {"sample_weight": sample_weight, "classes": classes}
        params = {**{k: v for k, v in given.items() if v is not None}, **fit_params}
        with self._alone(), open_journal(journal) as opened:
            entropy = self._entropy(opened, earlier) if self._samples else 0
            search = self._fit_search(X, y, params, entropy, enqueue)
            if opened is not None or earlier:
                identity = identity_of_fits(self, search, X, y, params, enqueue)
                search = replace(search, earlier=self._begun_from(identity, search, earlier))
            if opened is not None:
                check_repeatable(search.candidates.sampler)
                check_same_start(opened, earlier)
                opened.begin(Header(identity, entropy, by_fits=True))
            self._journal = None if opened is None else opened.address
            return self._run_by(
                partial(FitExecutor, search=search, journal=opened),
                History(by_fits=True),
                planned={},
                adopt=partial(self._adopt_fits, search),
            )

    def _refuse_what_whole_fits_need(self) -> None:
        allowed = "where candidates are trained block by block"
        if self.return_train_score:
            raise ValueError(
                f"return_train_score={self.return_train_score!r} is not supported {allowed}: give False. Data in "
                "memory without max_iter is fitted whole."
            )
        if isinstance(self.error_score, str):
            raise ValueError(
                f"error_score={self.error_score!r} is not supported {allowed}: a trial that fails is ranked last, and "
                "its traceback is in history_. Give a number, or leave it out."
            )

    def _refuse_what_blocks_need(self, validation_data: Any) -> None:
        if self.trial_timeout is not None:
            raise ValueError(
                f"trial_timeout={self.trial_timeout!r} is for training block by block, with max_iter; time_budget "
                "limits the whole search."
            )
        for name, value in (("test_size", self.test_size), ("validation_data", validation_data)):
            if value is not None:
                raise ValueError(
                    f"{name}={value!r} is for training block by block, with max_iter; where candidates are fitted "
                    "whole, say by cv= what to score on (scikit-learn's ShuffleSplit or PredefinedSplit, for instance)."
                )

    def _begun_from(
        self, identity: Mapping[str, str], search: FitJob, searches: Sequence[EarlierSearch]
    ) -> Earlier | None:
        if not searches:
            return None
        candidates = search.candidates
        learns = candidates.sampler is not None
        space = self._space()
        draw = None if learns else candidates.__getitem__
        new = NewSearch(identity, 0, space, len(candidates), draw, self._takes_points, candidates.points)
        # Neither models nor splits are seeded by the search: what differs in its seed are the candidates alone.
        return Earlier(new, [replace(one, entropy=0) for one in searches])

    def _fit_search(self, X: Any, y: Any, params: dict[str, Any], entropy: int, enqueue: Any = None) -> FitJob:
        """Check everything that can be checked before a task runs."""
        estimator = unwrap(self.estimator)
        _check_whole_estimator(estimator)
        if self.error_score != "raise" and not isinstance(self.error_score, int | float):
            raise ValueError(
                f"error_score={self.error_score!r} is not allowed: it must be the string 'raise' or a numeric value."
            )
        candidates = self._candidates(entropy)
        if enqueue is not None:
            if not self._takes_points:
                raise ValueError(NO_POINTS_ON_A_GRID)
            space = self._space()
            space.check_points(enqueue, self.estimator, len(candidates))
            drawn = candidates if candidates.sampler is None else [{}] * len(candidates)
            points = (point if space.is_complete(point) else {**drawn[i], **point} for i, point in enumerate(enqueue))
            candidates.give(dict(enumerate(points)))
        self._warn_of_ranges()
        sent = without_callbacks(clone(self.estimator))
        scoring = self._whole_scoring(sent)  # which may hold the estimator
        if scoring.has_several:
            check_refit(self.refit, scoring.metrics or ())
        if not isinstance(self.refit, bool | str) and not callable(self.refit):
            raise TypeError(f"refit={self.refit!r} is not allowed: give a bool, the name of a metric or a callable.")
        if candidates.sampler is None:
            _check_params(self.estimator, candidates)
        else:
            self._space().validate_for(self.estimator)
        make = partial(self._make_data, scoring)
        lazy = None
        if any(map(is_lazy, (X, y, *params.values()))):
            lazy = LazyInput(X, y, params)
        return FitJob(
            estimator=sent,
            candidates=candidates,
            make_data=make,
            data=make(X, y, params) if lazy is None else None,
            lazy=lazy,
            scoring=scoring,
            refit=self.refit,
            error_score=math.nan if self.error_score == "raise" else self.error_score,
            raises=isinstance(self.error_score, str),
            return_train_score=self.return_train_score,
            config=sklearn.get_config(),
            limits=checked_limits(self),
            title=self._title(),
            ranges=self._ranges(),
        )

    def _whole_scoring(self, estimator: Any) -> WholeScoring:
        scoring = wrapped_scoring(estimator) if self.scoring is None else self.scoring
        return resolve_whole_scoring(unwrap(estimator), scoring, self.error_score)

    def _make_data(self, scoring: Any, X: Any, y: Any, params: dict[str, Any]) -> FitData:
        return make_fit_data(unwrap(self.estimator), X, y, self.cv, self._routed(scoring, params))

    def _routed(self, scoring: Any, params: dict[str, Any]) -> Routed:
        if sklearn.get_config()["enable_metadata_routing"]:
            routed = process_routing(self, "fit", **params)
            return Routed(routed.estimator.fit, routed.scorer.score, routed.splitter.split)
        params = dict(params)
        split = {"groups": params.pop("groups", None)}
        weight = params.get("sample_weight")
        score = {"sample_weight": weight} if weight is not None and accepts_sample_weight(scoring, self) else {}
        return Routed(params, score, split)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.pairwise = get_tags(unwrap(self.estimator)).input_tags.pairwise
        return tags

    def get_metadata_routing(self) -> MetadataRouter:
        """Which arguments of `fit` and `score` go to the estimator, the scorers and the splitter.

        Returns
        -------
        sklearn.utils.metadata_routing.MetadataRouter
        """
        router = MetadataRouter(owner=self)
        router.add(estimator=unwrap(self.estimator), method_mapping=MethodMapping().add(caller="fit", callee="fit"))
        router.add(
            scorer=self._whole_scoring(self.estimator).scorer,
            method_mapping=MethodMapping().add(caller="score", callee="score").add(caller="fit", callee="score"),
        )
        router.add(splitter=self.cv, method_mapping=MethodMapping().add(caller="fit", callee="split"))
        return router

    def _adopt_fits(self, search: FitJob, executor: FitExecutor, history: History) -> Any:
        """Take over what a run has found, also one that ended early."""
        self.history_ = history.records()
        self.scorer_ = search.scoring.scorers
        outcomes = executor.outcomes
        self.multimetric_ = outcomes.several
        self.n_splits_ = outcomes.n_splits
        results = outcomes.results
        if results is None:
            return self
        self.cv_results_ = results
        index = executor.best_index
        if index is not None:
            self.best_index_ = index
            self.best_params_ = results["params"][index]
            if not callable(self.refit):
                self.best_score_ = results[f"mean_test_{outcomes.deciding_metric}"][index]
        if executor.best_model is not None:
            self.best_estimator_ = executor.best_model
            self.refit_time_ = executor.refit_time
            for name in ("classes_", "n_features_in_", "feature_names_in_", "n_iter_"):
                if hasattr(self.best_estimator_, name):
                    setattr(self, name, getattr(self.best_estimator_, name))
        if outcomes.concluded:
            warn_of_fits(outcomes.failed_fits)
            warn_of_scores(results, outcomes.scoring_failures, search.error_score)
        return self

    @property
    def metadata_(self) -> dict[str, Any]:
        """What did run: the number of models and of fits or `partial_fit` calls, and what they cost."""
        if getattr(self, "_planned", None) != {}:
            return super().metadata_
        return {"n_models": len(self._history.trials), "n_splits": self.n_splits_, **self._history.costs()}


def _check_whole_estimator(estimator: Any) -> None:
    refuse_lazy_estimator(estimator)
    needed = ("fit", "get_params", "set_params")
    missing = [name for name in needed if not callable(getattr(estimator, name, None))]
    if missing or isinstance(estimator, type):
        given = f"the class {estimator.__name__}" if isinstance(estimator, type) else f"a {type(estimator).__name__}"
        needs = "an instance" if isinstance(estimator, type) else " and ".join(missing)
        raise TypeError(f"estimator is {given}, and lacks {needs}: this search takes scikit-learn estimators.")


def _check_params(estimator: Any, candidates: Sequence[Params]) -> None:
    """Set the parameters of one candidate of each kind, so that a wrong name is told before any task."""
    seen = set()
    for params in candidates:
        names = tuple(sorted(params))
        if names not in seen:
            seen.add(names)
            try:
                clone(estimator).set_params(**{name: clone(value, safe=False) for name, value in params.items()})
            except ValueError as error:
                known = estimator.get_params(deep=True)
                hints = [did_you_mean(name, known) for name in names if name not in known]
                raise type(error)(f"{error}{next(filter(None, hints), '')}") from error
