"""Has workers predict the rows held out by the best model, and judges it by them."""

from __future__ import annotations

import asyncio
import logging
import math
import random
import uuid
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sklearn.base import is_classifier, is_regressor

from dhpo.cluster.tasks import AnyWorkerClient, gather
from dhpo.data.reader import BlockSpec
from dhpo.data.rows import concatenate
from dhpo.driver.startup import Opened
from dhpo.errors.user_code import said
from dhpo.history.events import Checkpoint
from dhpo.history.judgement import Judgement
from dhpo.scoring.judgement import judge
from dhpo.storage.kept_models import KeptModels
from dhpo.worker.predictions import Predictions, predict_held_out

__all__ = ["judge_best"]

logger = logging.getLogger(__name__)

# Judging may take this share of the time of the search, and so many seconds in any case.
_SHARE_OF_TIME, _LEAST_SECONDS = 0.05, 5.0
# More rows are not needed to count errors and to draw curves, nor more scores (each row has one for each class).
_MOST_ROWS, _MOST_SCORES = 100_000, 5_000_000
# Of a larger hold-out so many groups of blocks are read, drawn at random.
_MOST_GROUPS = 200
# A larger model that has to travel does so once.
_TRAVELS_OFTEN_BYTES = 1_000_000


async def judge_best(
    client: AnyWorkerClient,
    run: str,
    opened: Opened,
    models: KeptModels,
    model: Any,
    stored: Checkpoint,
    *,
    search_seconds: float,
) -> Judgement | None:
    """Judge the best model of a search by rows that were held out, where there are some.

    Parameters
    ----------
    client : AnyWorkerClient
    run : str
        Name of the search.
    opened : Opened
    models : KeptModels
    model : estimator
        The best, as the driver has it.
    stored : Checkpoint
        Where it lies.
    search_seconds : float
        That the search has taken; judging takes a small share of that at most.

    Returns
    -------
    Judgement or None
        None where there is nothing to judge by, and where it could not be done, or not in time: the log says why.
    """
    if opened.data.split.n_folds or not opened.data.n_validation:
        return None
    try:
        if not (is_classifier(model) or is_regressor(model)) or not hasattr(model, "predict"):
            return None
        async with asyncio.timeout(max(_SHARE_OF_TIME * search_seconds, _LEAST_SECONDS)):
            carried = stored if opened.store_shared else await asyncio.to_thread(models.read, stored)
            found = await _predictions(client, run, opened, model, carried)
            return await asyncio.to_thread(_judged, model, found)
    except Exception as error:  # of the model, of the metrics, or of the cluster: the search is whole without
        logger.info("the best model was not judged by the rows held out: %s", said(error))
        return None


async def _predictions(
    client: AnyWorkerClient, run: str, opened: Opened, model: Any, carried: Checkpoint | bytes
) -> list[Predictions]:
    data = opened.data
    numbers = list(range(len(data.validation)))
    if len(numbers) > _MOST_GROUPS:
        numbers = sorted(random.Random(data.split.entropy).sample(numbers, _MOST_GROUPS))
    n_rows = data.n_validation * len(numbers) / len(data.validation)
    share = min(_most_rows(model) / max(n_rows, 1.0), 1.0)
    travels = isinstance(carried, bytes) and len(carried) > _TRAVELS_OFTEN_BYTES
    size = len(numbers) if travels else math.ceil(len(numbers) / max(client.workers.n_threads, 1))
    parts = [{n: data.validation[n] for n in numbers[first : first + size]} for first in range(0, len(numbers), size)]
    await client.workers.some_alive()
    memory_limit = min(client.workers.memory_limit(address) for address in client.workers.alive)

    def submit(part: Mapping[int, Sequence[BlockSpec]], **where: Any) -> list[Any]:
        names = [key for group in part.values() for spec in group for key in spec.supplied]
        values = [data.validation_futures[key] for key in names]
        arguments = run, opened.context, carried, part, share, memory_limit, names, values
        key = f"judge-{run}-{uuid.uuid4().hex}"
        return [client.client.submit(predict_held_out, *arguments, key=key, pure=False, **where)]

    tasks = [client.send(partial(submit, part)) for part in parts]
    by_task = await gather(client, tasks, "judging the best", more_deaths=0)
    return [predictions for of_task in by_task for predictions in of_task]


def _most_rows(model: Any) -> int:
    n_classes = len(model.classes_) if is_classifier(model) else 1
    return min(_MOST_ROWS, max(_MOST_SCORES // max(n_classes, 1), 1))


def _judged(model: Any, found: Sequence[Predictions]) -> Judgement:
    y_true, y_pred = (concatenate([getattr(part, name) for part in found]) for name in ("y_true", "y_pred"))
    has_scores = all(part.y_score is not None for part in found)
    y_score = concatenate([part.y_score for part in found]) if has_scores else None
    return judge(y_true, y_pred, y_score, model.classes_ if is_classifier(model) else None)
