"""What all searches over blocks share: checks at the door, starting a run, and the attributes it leaves."""

from __future__ import annotations

import weakref
from abc import ABCMeta, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import replace
from functools import partial
from typing import Any

import sklearn
from sklearn.base import MetaEstimatorMixin, clone, is_classifier
from sklearn.utils import Tags, get_tags

from dhpo.data.blocks import check_lengths
from dhpo.data.collections import as_chunks_together
from dhpo.data.numeric_input import refuse_what_is_no_number, takes_numbers_alone, takes_text
from dhpo.data.wrappers import unwrap
from dhpo.driver.classes_argument import needs_classes, takes_classes
from dhpo.driver.executor import Executor
from dhpo.driver.job import Job
from dhpo.driver.prepared_data import DataPlan
from dhpo.history.history import History
from dhpo.journal import EarlierSearch, Header, Journal, open_journal, read_earlier_searches
from dhpo.observers.base import Observer, Observers, checked_observers
from dhpo.observers.dashboard import DashboardPage
from dhpo.observers.display import make_display
from dhpo.samplers.base import Sampler
from dhpo.samplers.by_name import check_repeatable
from dhpo.schedules.base import Schedule
from dhpo.schedules.plan import Plan
from dhpo.scoring import resolve_metrics
from dhpo.search.client import current_client
from dhpo.search.identity import identity_of
from dhpo.search.input_checks import (
    check_fit_params,
    checked_folds,
    checked_limits,
    checked_test_size,
    checked_validation,
    refuse_lazy_estimator,
    refuse_searched_resource,
    routed_weight,
    warn_of_column,
)
from dhpo.search.learned_attributes import LeavesResults
from dhpo.search.one_at_a_time import RunsOnce
from dhpo.search.prediction import PredictsWithBest
from dhpo.search.representation import ShowsItself
from dhpo.search.run import Run, Runs
from dhpo.search.scikit_learn_callbacks import TakesCallbacks, callback_observers, draws_progress, without_callbacks
from dhpo.search.starting_from import begun_from, check_same_start, inherited_entropy, notes, with_points
from dhpo.space.parameter_space import Space
from dhpo.space.seeds import entropy_of, seed_for
from dhpo.trainers import Trainer
from dhpo.trainers.by_name import make_trainer

__all__ = ["BlockSearchCV"]


class BlockSearchCV(
    LeavesResults, PredictsWithBest, RunsOnce, TakesCallbacks, MetaEstimatorMixin, ShowsItself, metaclass=ABCMeta
):
    """Base of the searches that train estimators with `partial_fit` over blocks of rows.

    A subclass says in `_schedule` how long trials are trained, and in `_sampler` which there are.
    """

    estimator: Any
    scoring: Any
    test_size: float | str | None
    random_state: Any
    verbose: Any
    trial_timeout: float | None
    time_budget: float | None
    max_failures: int | None
    callbacks: Any
    resource: Any = "auto"
    max_resource: int | None = None

    def _most(self) -> Any:
        """The most units of resource of a trial; `max_iter` is dask-ml's name for it."""
        return getattr(self, "max_iter", None) if self.max_resource is None else self.max_resource

    def _trainer(self, plan: Plan, entropy: int = 0) -> Trainer:
        most, seed = self._most() or plan.max_resource, seed_for(entropy, 0, "rows")
        return make_trainer(self.resource, most, seed, self.estimator)

    @abstractmethod
    def _space(self) -> Space:
        """The space of parameters."""

    @abstractmethod
    def _schedule(self) -> Schedule:
        """A new schedule."""

    @abstractmethod
    def _sampler(self, space: Space, entropy: int, plan: Plan) -> Sampler:
        """A new sampler, for what will run."""

    def _first_of_bracket(self, plan: Plan) -> dict[int, int] | None:
        """The number of the first trial of each bracket, where models are named by brackets, as dask-ml does."""
        return None

    def _warn(self) -> None:
        """Warn of parameters that do nothing, or have another name, once for a search that starts."""

    def plan(self, start_from: Any = None) -> Plan:
        """Tell what will run, before any work.

        Parameters
        ----------
        start_from : optional
            As for `fit`: the plan says what will be taken over from these searches.

        Returns
        -------
        Plan
            The table of brackets, with `n_trials`, `partial_fit_calls` and `passes(n_blocks)`; printing it shows the
            table.

        Raises
        ------
        ValueError
            If a parameter of the search is not allowed.
        """
        plan = self._schedule().plan()
        plan = replace(plan, unit=self._trainer(plan).unit)
        return plan if start_from is None else replace(plan, notes=notes(self, read_earlier_searches(start_from)))

    @property
    def metadata(self) -> dict[str, Any]:
        """What will run, as dask-ml tells it: `n_models`, `partial_fit_calls`, `max_iter` and `brackets`."""
        plan = self.plan()
        brackets = [
            {
                "bracket": bracket.bracket,
                "n_models": bracket.n_trials,
                "partial_fit_calls": bracket.partial_fit_calls,
                "decisions": [rung.resource for rung in bracket.rungs],
            }
            for bracket in sorted(plan.brackets, key=lambda b: b.bracket)
        ]
        return {
            "n_models": plan.n_trials,
            "partial_fit_calls": plan.partial_fit_calls,
            "max_iter": plan.max_resource,
            "brackets": brackets,
        }

    def fit(
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
    ) -> Any:
        """Search for the best parameters.

        Parameters
        ----------
        X : dask array or dataframe, ndarray, scipy.sparse matrix or pandas DataFrame of shape (n_samples, n_features)
            Each row chunk is one block, and each `partial_fit` call sees one block. Data in memory is a single block,
            unless y has chunks; so is a `dask.delayed` object, and a list of them is a block for each. For estimators
            that take text, X may have one text for each row: an array, series or list of them.
        y : dask array, series or dataframe, ndarray or pandas object, optional
            Of shape (n_samples,) or (n_samples, n_outputs).
        sample_weight : dask array or series, ndarray or list of shape (n_samples,), optional
            Passed to `partial_fit`, block by block. Scores are not weighted.
        classes : array-like, dask collection or future of shape (n_classes,), optional
            All class labels. If not given, a classifier gets those found in the first pass over y.
        validation_data : tuple (X, y), optional
            Score on these rows and train on all of X, instead of holding out `test_size` of every block.
        journal : str or path, optional
            A folder, or any fsspec URL, where every event of the search is recorded and its models are kept. The same
            call with the same journal goes on where the last one ended, however it ended, and gives the answer that an
            undisturbed search gives; `dhpo.load(journal)` reads it without a cluster. Use only journals that you
            trust: models are pickles, and whoever can write there can run code here and on the workers.
        start_from : list or one of its elements, optional
            Earlier searches: their journals, what `dhpo.load` returned, or searches that were fitted. Where estimator,
            data and seed are the same, trials that are the same keep their scores, and their models are trained on from
            where they stand; the answer is that of a search that did all of it itself. Of other ones the best
            parameters are tried first. See "Continue and build on searches" in the documentation.
        enqueue : list of dict, optional
            Parameters for the first trials. What a dict leaves out is drawn; values may lie outside of the space.
        **fit_params
            More arguments of every `partial_fit` call, passed on as they are.

        Returns
        -------
        self, or an awaitable of it where the current client is asynchronous.

        Raises
        ------
        ValueError, TypeError
            Before any task, if an argument or a parameter is not allowed.
        RuntimeError
            If this very search is running already, also in another thread.
        JournalError
            If the journal is of another search, damaged, or in use.
        SearchFailed
            If no trial was scored, more than `max_failures` trials failed, or data or models cannot be read or written.
        WorkersLost
            If the workers are gone and do not come back.
        KeyboardInterrupt
            If it is interrupted, as by Ctrl-C: see `Run.result`.
        """
        with self._alone():
            try:
                run = self.start(
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
            except KeyboardInterrupt:
                raise KeyboardInterrupt("the search had not begun.") from None
            return run.finished() if run.asynchronous else run.result()

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
        """Start the search and return at once.

        Parameters
        ----------
        X, y, sample_weight, classes, validation_data, journal, start_from, enqueue, **fit_params
            As for `fit`.

        Returns
        -------
        Run
            With `summary()` and `best` at any moment, `stop()`, and `result()`, which waits and returns this search,
            fitted.
        """
        earlier = read_earlier_searches(start_from, journal)
        with self._alone(), open_journal(journal) as opened:
            return self._started(X, y, sample_weight, classes, validation_data, fit_params, opened, earlier, enqueue)

    def _started(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        classes: Any,
        validation_data: Any,
        fit_params: Mapping[str, Any],
        journal: Journal | None,
        earlier: Sequence[EarlierSearch],
        enqueue: Any,
    ) -> Run:
        entropy = self._entropy(journal, earlier)
        recorded = journal is not None or bool(earlier)
        job = self._job(X, y, sample_weight, classes, validation_data, fit_params, entropy, recorded, enqueue)
        brackets = self._first_of_bracket(job.schedule.plan())
        if recorded:
            identity = identity_of(self, job, enqueue)
            job = replace(job, earlier=begun_from(identity, job, self._space(), earlier))
        if journal is not None:
            check_repeatable(job.sampler)
            check_same_start(journal, earlier)
            journal.begin(Header(identity, entropy, brackets))
        self._journal = None if journal is None else journal.address
        return self._run_by(
            partial(Executor, job=job, journal=journal), History(brackets), planned=self.metadata, adopt=self._adopt
        )

    def _entropy(self, journal: Journal | None, earlier: Sequence[EarlierSearch]) -> int:
        """The seed of all that is drawn at random; where the user gave none, of the journal or an earlier search."""
        if self.random_state is None and journal is not None and journal.header is not None:
            return journal.header.entropy
        inherited = inherited_entropy(self, earlier) if self.random_state is None else None
        if inherited is not None:
            return inherited
        return entropy_of(self.random_state)

    def _run_by(
        self,
        make_executor: Callable[..., Runs],
        history: History,
        *,
        planned: dict[str, Any],
        adopt: Callable[[Any, History], Any],
    ) -> Run:
        """Start an executor, on the current cluster or on one of our own, in place of what was learned before."""
        display = make_display(0 if draws_progress(self) else self.verbose)
        observers = [*checked_observers(self.callbacks), *callback_observers(self)]
        client, close = current_client()
        try:
            shown: list[Observer] = [DashboardPage()] if display is None else [display, DashboardPage()]
            executor = make_executor(client, history=history, observers=Observers([*shown, *observers]))
            for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
                delattr(self, name)
            self._history, self._planned = history, planned
            run = Run(client, executor, history, adopt, close)
        except BaseException:
            if close is not None:
                close()
            raise
        self._run = weakref.ref(run)
        return run

    def _job(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        classes: Any,
        validation_data: tuple[Any, Any] | None,
        fit_params: Mapping[str, Any],
        entropy: int,
        with_digest: bool,
        enqueue: Any = None,
    ) -> Job:
        """Check everything that can be checked before a task runs."""
        estimator = unwrap(self.estimator)
        refuse_lazy_estimator(estimator)
        space = self._space()
        schedule = self._schedule()
        plan = schedule.plan()
        trainer = self._trainer(plan, entropy)
        trainer.check(estimator)
        refuse_searched_resource(self.resource, space.names)
        space.validate_for(self.estimator)
        space.warn_of_ranges()
        self._warn()
        refit = getattr(self, "refit", True)
        metrics = resolve_metrics(estimator, self._scoring(), refit)
        n_folds = checked_folds(getattr(self, "cv", None), self.test_size, validation_data)
        test_size = checked_test_size(self.test_size)
        check_fit_params(estimator, fit_params, "fit" if trainer.needs_all_rows else "partial_fit")
        sample_weight = routed_weight(estimator, sample_weight)
        text = takes_text(estimator)
        X_chunks, y_chunks, weights = as_chunks_together(text, X=X, y=y, sample_weight=sample_weight)
        if X_chunks is None:
            raise TypeError("X is None; allowed are dask and NumPy arrays, dataframes and sparse matrices.")
        check_lengths(X_chunks, y_chunks, weights)
        warn_of_column(y)
        validation = checked_validation(validation_data, y is not None, X_chunks.n_columns, text)
        numbers_alone = takes_numbers_alone(estimator)
        look_at_values = numbers_alone and not refuse_what_is_no_number(estimator, X)
        fit_kwargs = dict(fit_params)
        if classes is not None:
            fit_kwargs["classes"] = classes
        return Job(
            # A copy: what the user does to theirs while the search runs is nothing to it.
            estimator=without_callbacks(clone(self.estimator, safe=False)),
            schedule=schedule,
            sampler=with_points(self._sampler(space, entropy, plan), space, enqueue, self.estimator, plan.n_trials),
            metrics=metrics,
            data=DataPlan(
                X_chunks,
                y_chunks,
                weights,
                validation,
                test_size,
                seed_for(entropy, 0, "split"),
                with_classes=y is not None and (takes_classes(estimator) or needs_classes(trainer, estimator)),
                classes_given=classes is not None,
                stratified=hasattr(estimator, "__sklearn_tags__") and is_classifier(estimator),
                n_folds=n_folds,
                with_digest=with_digest,
                one_block=trainer.needs_all_rows,
            ),
            fit_kwargs=fit_kwargs,
            entropy=entropy,
            config=sklearn.get_config(),
            refit=bool(refit),
            limits=checked_limits(self),
            speculate=bool(getattr(self, "speculate", False)) and not n_folds and not trainer.needs_all_rows,
            look_at_values=look_at_values,
            title=self._title(),
            ranges=space.ranges(),
            trainer=trainer,
        )

    def _title(self) -> str:
        """What the search is called where there may be several."""
        return f"{type(self).__name__}({type(unwrap(self.estimator)).__name__})"

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "best_estimator_")

    def __sklearn_tags__(self) -> Tags:
        tags: Tags = super().__sklearn_tags__()
        estimator = unwrap(self.estimator)
        if hasattr(estimator, "__sklearn_tags__"):
            inner = get_tags(estimator)
            tags.estimator_type = inner.estimator_type
            tags.classifier_tags = deepcopy(inner.classifier_tags)
            tags.regressor_tags = deepcopy(inner.regressor_tags)
            tags.input_tags.sparse = inner.input_tags.sparse
        return tags
