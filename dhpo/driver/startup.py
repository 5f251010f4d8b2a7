"""The beginning of a search: find out what workers and driver share, look at the data, say what all steps need."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import cloudpickle

from dhpo.cluster.tasks import ATTEMPTS, AnyWorkerClient, fetch
from dhpo.cluster.watchdog import Watch
from dhpo.cluster.workers import Workers
from dhpo.data.wrappers import unwrap
from dhpo.driver.argument_checks import check_first_rows, check_labels, computed_arguments
from dhpo.driver.classes_argument import has_optional_classes
from dhpo.driver.first_pass import look_at_data
from dhpo.driver.job import Job
from dhpo.driver.prepared_data import Data
from dhpo.errors import WorkersLost
from dhpo.history.events import DataPrepared
from dhpo.journal.description import describe
from dhpo.scoring import make_block_scorer
from dhpo.space.seeds import seed_for
from dhpo.storage.workspace import Workspace
from dhpo.worker.messages import Context
from dhpo.worker.step import held_before_blocks

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["Opened", "open_search"]

logger = logging.getLogger(__name__)

# How many workers are asked what they hold before they load anything, and how long they have to answer.
_ASKED_WORKERS = 4
_ASKED_SECONDS = 30.0


@dataclass(frozen=True)
class Opened:
    """What is known before the first step.

    Parameters
    ----------
    data : Data
    context : bytes
        The pickled `Context`.
    shared : bool
        Whether workers and driver share the folder of the search.
    store_shared : bool
        Whether workers read and write models by themselves; else models travel with the steps.
    """

    data: Data
    context: bytes
    shared: bool
    store_shared: bool

    def event(self, time: float) -> DataPrepared:
        """What there is to tell of the data."""
        facts = self.data.facts
        return DataPrepared(
            n_blocks=self.data.order.n_blocks,
            n_training=sum(f.n_training for f in facts),
            n_validation=self.data.n_validation,
            nbytes=self.data.nbytes,
            materialised=sum(f.materialised for f in facts),
            time=time,
            digest=self.data.digest,
        )


async def open_search(
    client: Client,
    workers: Workers,
    workspace: Workspace,
    job: Job,
    watch: Watch,
    stopping: asyncio.Task[Any],
    reached: Callable[..., None],
) -> Opened:
    """Wait for workers, and look at the data.

    Parameters
    ----------
    client : distributed.Client
    workers : Workers
    workspace : Workspace
    job : Job
    watch : Watch
    stopping : asyncio.Task
        Is done when somebody stops the search.
    reached : callable
        Is told of each phase, and how far it is: see `dhpo.observers.recorder.Recorder.reached`.

    Raises
    ------
    asyncio.CancelledError
        If the search is stopped meanwhile.
    WorkersLost, ValueError
        As `Watch.look` and `look_at_data` raise them.
    """
    reached("starting workers")
    await watch.wait_for_workers(stopping)
    shared = await watch.during(workers.share_folder(workspace.token), stopping, "finding out what workers share")
    # Workers are given no keys to the object store of a journal: the driver alone reads and writes models there.
    store_shared = shared and workspace.models.is_local
    if not store_shared:
        logger.info("workers do not see the store: models travel with the tasks")
    for attempt in range(1, ATTEMPTS + 1):
        reached("first pass")
        looking = _look(client, workers, workspace, job, shared, partial(reached, "first pass"))
        try:
            data, fit_kwargs = await watch.during(looking, stopping, "looking at the data")
            break
        except WorkersLost as error:
            # Data that only the cluster held is gone for good; all other is read again.
            if attempt == ATTEMPTS or getattr(error.__cause__, "reason", None) != "scheduler-restart":
                raise
            logger.warning("the cluster was restarted while the data was looked at, which begins anew")
            await watch.wait_for_workers(stopping)
    context = _context(job, workspace, fit_kwargs, data, store_shared)
    return Opened(data, cloudpickle.dumps(context, protocol=5), shared, store_shared)


async def _look(
    client: Client, workers: Workers, workspace: Workspace, job: Job, shared: bool, looked: Callable[[int, int], None]
) -> tuple[Data, dict[str, Any]]:
    for_any = AnyWorkerClient(client, workers)
    fit_kwargs = await computed_arguments(for_any, job.fit_kwargs)
    if job.look_at_values:
        await check_first_rows(for_any, unwrap(job.estimator), job.data.X)
    data = await look_at_data(
        for_any,
        workspace,
        job.data,
        order_entropy=seed_for(job.entropy, 0, "order"),
        max_resource=job.schedule.plan().max_resource,
        shared=shared,
        held_before=partial(_held_before, client, workers, job.estimator),
        looked=looked,
    )
    computed = {name: value for name, value in fit_kwargs.items() if value is not job.fit_kwargs[name]}
    data.computed_arguments = describe(computed) if computed else ""
    if "classes" in fit_kwargs:
        check_labels(data.classes, fit_kwargs["classes"])
    elif job.data.with_classes:
        fit_kwargs["classes"] = data.classes
    return data, fit_kwargs


async def _held_before(client: Client, workers: Workers, estimator: Any) -> int:
    """Bytes that a worker holds before its first block, with all that a step imports; 0 if none tells in time."""
    pickled = cloudpickle.dumps(estimator, protocol=5)
    chosen = await workers.smallest(_ASKED_WORKERS)
    tasks = {a: client.submit(held_before_blocks, pickled, workers=[a], pure=False) for a in chosen}
    asking = {a: asyncio.ensure_future(fetch(client, task)) for a, task in tasks.items()}
    # Threads may be busy with others' tasks, and workers may die: nobody waits for an answer that only helps.
    done, late = await asyncio.wait(asking.values(), timeout=_ASKED_SECONDS)
    for answer in late:
        answer.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    answered = {a: answer.result() for a, answer in asking.items() if answer in done and answer.exception() is None}
    return max((held - chosen[a] for a, held in answered.items()), default=0)


def _context(job: Job, workspace: Workspace, fit_kwargs: dict[str, Any], data: Data, store_shared: bool) -> Context:
    scorers = {
        name: make_block_scorer(unwrap(job.estimator), scoring, fit_kwargs.get("classes"))
        for name, scoring in job.metrics.scoring.items()
    }
    return Context(
        run=workspace.run,
        estimator=job.estimator,
        fit_kwargs=fit_kwargs,
        classes_once=has_optional_classes(job.estimator),
        scorer=scorers.pop(job.metrics.deciding),
        order=data.order,
        split=data.split,
        entropy=job.entropy,
        store=workspace.models if store_shared else None,
        config=job.config,
        other_scorers=scorers,
        trial_timeout=job.limits.trial_timeout,
        trainer=job.trainer,
    )
