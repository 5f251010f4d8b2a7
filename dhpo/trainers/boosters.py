"""How models of XGBoost and LightGBM get more boosting rounds, as if all had been trained at once."""

from __future__ import annotations

import numbers
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from dhpo.trainers.fit_settings import FitSettings

__all__ = ["is_booster", "more_rounds", "neutral_start"]

_SAMPLING = ("subsample", "colsample_bytree", "colsample_bylevel", "colsample_bynode")


def is_booster(model: Any) -> bool:
    """Whether an estimator is a booster of XGBoost or LightGBM."""
    return _settings_of(model) is not None


def more_rounds(model: Any, before: int, after: int, exactly: bool = True) -> FitSettings | None:
    """The settings with which a booster that has some rounds gets more.

    Rows and columns that each round samples are drawn with a seed of that round, so that they do not depend on where a
    fit ends and another begins.

    Parameters
    ----------
    model : estimator
    before, after : int
        Rounds that it has, and is to have.
    exactly : bool, default True
        Whether it has to be the same as if it had been trained at once.

    Returns
    -------
    FitSettings or None
        None where it cannot go on, or would not be the same.
    """
    settings = _settings_of(model)
    if settings is None or (before and not model.__sklearn_is_fitted__()):
        return None
    return settings(model, before, after, exactly)


def neutral_start(model: Any, n_rows: int, n_classes: int) -> FitSettings:
    """The settings of a first fit that takes all classes for equally likely, and not for what the rows have of them.

    A class that none of them has would be taken for impossible, and many rounds would not change that.
    """
    if _settings_of(model) is _of_xgboost:
        return FitSettings({"base_score": 0.5})
    return FitSettings({}, {"init_score": np.zeros(n_rows if n_classes == 2 else (n_rows, n_classes))})


def _settings_of(model: Any) -> Callable[[Any, int, int, bool], FitSettings | None] | None:
    names = {f"{cls.__module__.partition('.')[0]}.{cls.__name__}" for cls in type(model).__mro__}
    if "xgboost.XGBModel" in names:
        # Their rounds are one, of many trees.
        return None if names & {"xgboost.XGBRFClassifier", "xgboost.XGBRFRegressor"} else _of_xgboost
    return _of_lightgbm if "lightgbm.LGBMModel" in names else None


def _seed(random_state: Any, boosting_round: int, kind: int = 0) -> int:
    base = int(random_state) if isinstance(random_state, numbers.Integral) else 0
    # Generators of boosters begin alike with seeds that are neighbours.
    return int(np.random.SeedSequence((base, boosting_round, kind)).generate_state(1)[0] >> 1)


def _of_xgboost(model: Any, before: int, after: int, exactly: bool) -> FitSettings | None:
    from xgboost.callback import TrainingCallback

    params = model.get_params()
    if exactly and params.get("booster") == "gblinear":  # which draws in its own ways, and which XGBoost will give up
        return None
    samples = any(params.get(name) not in (None, 1) for name in _SAMPLING)

    class BeginsEachRoundAnew(TrainingCallback):
        """Puts what draws rows and columns where a model that was read from a file has it."""

        def before_iteration(self, model: Any, epoch: int, evals_log: Any) -> bool:
            if samples:  # what draws columns is made with a booster, and is not a part of what is stored of it
                config = model.save_config()
                model.load_model(model.save_raw("ubj"))
                model.load_config(config)
            # With seed_per_iteration, each fit would begin to count anew.
            model.set_param({"seed": _seed(params["random_state"], before + epoch), "seed_per_iteration": False})
            return False

    callbacks = [*(params["callbacks"] or ()), BeginsEachRoundAnew()]
    return FitSettings(
        {"n_estimators": after - before, "callbacks": callbacks, "early_stopping_rounds": None, **_one_thread(params)},
        {"xgb_model": model.get_booster()} if before else {},
    )


def _of_lightgbm(model: Any, before: int, after: int, exactly: bool) -> FitSettings | None:
    import lightgbm

    params = model.get_params()
    given = {name: value for name, value in params.items() if value is not None}
    kind = given.get("boosting", given["boosting_type"])
    goes_on_otherwise = (
        "goss" in (kind, given.get("data_sample_strategy"))  # takes all rows in its first rounds, and would again
        or kind == "dart"  # does not drop the trees that it had
        or given.get("linear_tree")  # rounds otherwise
        or given.keys() & {"pos_bagging_fraction", "neg_bagging_fraction"}
    )
    if kind in ("rf", "random_forest") or (exactly and goes_on_otherwise):
        return None

    def seed(kind: int, every: int, epoch: int) -> int:
        return _seed(params["random_state"], (before + epoch) // every, kind)

    kinds = ("feature_fraction_seed", "extra_seed")
    by_round: dict[str, Any] = {name: partial(seed, kind, 1) for kind, name in enumerate(kinds)}
    share = given.get("bagging_fraction", given["subsample"])
    every = given.get("bagging_freq", given["subsample_freq"])
    if share < 1 and every > 0:
        # A seed is heeded where the share is another one than before.
        shares = [float(np.nextafter(share, 1)), float(np.nextafter(np.nextafter(share, 1), 1))]
        by_round |= {
            "bagging_seed": partial(seed, len(kinds), every),
            "bagging_fraction": lambda epoch: shares[(before + epoch) % 2],
        }
    fit_params: dict[str, Any] = {"callbacks": [lightgbm.reset_parameter(**by_round)]}
    if before:
        fit_params["init_model"] = model.booster_
    return FitSettings({"n_estimators": after - before, **_one_thread(params)}, fit_params)


def _one_thread(params: dict[str, Any]) -> dict[str, Any]:
    """One thread, unless the user said how many: the threads of a worker are all at work, and more change the bits."""
    return {"n_jobs": 1} if params.get("n_jobs") is None else {}
