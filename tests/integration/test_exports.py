"""A real search in the forms of other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression, SGDClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import dhpo
from dhpo.compose import make_partial_fit_pipeline
from tests.unit.search.recording_callback import RecordingCallback

RNG = np.random.default_rng(0)
X = RNG.standard_normal((600, 5))
Y = (X[:, 0] > 0).astype(int)
LAZY = da.from_array(X, (100, 5)), da.from_array(Y, 100)


def told(study: Any) -> list[tuple[Any, ...]]:
    return [
        (t.state, t.value, t.params, t.distributions, t.intermediate_values, t.datetime_start, t.user_attrs)
        for t in study.trials
    ]


def test_a_search_is_the_same_study_from_wherever_it_is_asked_for(client: Any, tmp_path: Path) -> None:
    space = {"alpha": loguniform(1e-6, 1), "penalty": ["l1", "l2"]}
    search = dhpo.HyperbandSearchCV(SGDClassifier(), space, max_iter=3, random_state=0, verbose=0)
    run = search.start(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    search = run.result()
    study = search.to_optuna()
    assert told(run.to_optuna()) == told(study)
    assert told(dhpo.load(tmp_path / "run").to_optuna()) == told(study)
    assert study.best_params == search.best_params_
    assert study.best_value == search.best_score_
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE, TrialState.PRUNED}
    assert study.trials[0].distributions == {
        "alpha": FloatDistribution(1e-6, 1.0, log=True),
        "penalty": CategoricalDistribution(["l1", "l2"]),
    }
    for trial in study.trials:
        assert trial.datetime_start <= trial.datetime_complete
        assert max(trial.intermediate_values) == trial.user_attrs["resource"]


def test_whole_fits_are_a_study(client: Any) -> None:
    search = dhpo.GridSearchCV(SVC(), {"C": [0.1, 1.0]}, cv=2, verbose=0).fit(X, Y)
    study = search.to_optuna()
    assert study.best_params == search.best_params_
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 2
    assert study.trials[0].distributions == {"C": CategoricalDistribution([0.1, 1.0])}


def test_scikit_learns_callbacks_follow_a_search(client: Any, capsys: pytest.CaptureFixture[str]) -> None:
    callback = RecordingCallback()
    search = dhpo.HyperbandSearchCV(SGDClassifier(), {"alpha": loguniform(1e-6, 1)}, max_iter=3, random_state=0)
    search.set_callbacks(callback, ProgressBar()).fit(*LAZY, classes=[0, 1])
    ended = [metadata for name, task, _, metadata in callback.calls if (name, task) == ("end", "trial")]
    assert {told["trial"]: told["score"] for told in ended} == search.summary()["score"].to_dict()
    assert callback.calls[-1][0] == "teardown"
    printed = capsys.readouterr()
    assert "HyperbandSearchCV - fit" in printed.out  # that of scikit-learn
    assert "bracket" not in printed.err  # and not ours


@pytest.mark.parametrize("whole", [False, True])
def test_callbacks_that_can_be_sent_nowhere_are_not_sent(client: Any, whole: bool) -> None:
    estimator: Any = LogisticRegression()
    if not whole:
        scaler = StandardScaler().set_callbacks(RecordingCallback())
        estimator = make_partial_fit_pipeline(scaler, SGDClassifier(random_state=0))
    else:
        estimator.set_callbacks(RecordingCallback())
    space = {"C" if whole else "sgdclassifier__alpha": [0.01, 1.0]}
    search = dhpo.GridSearchCV(estimator, space, verbose=0).set_callbacks(RecordingCallback())
    with pytest.warns(UserWarning, match="callbacks of the estimator"):
        search.fit(*((X, Y) if whole else LAZY))
    assert search.best_score_ > 0.5


@pytest.mark.filterwarnings("ignore")  # MLflow warns of what it calls itself
def test_mlflow_has_a_run_for_the_search_and_one_for_each_trial(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    from mlflow.tracking import MlflowClient

    uri = f"sqlite:///{tmp_path}/mlflow.db"
    observer = dhpo.MLflowObserver(uri, experiment="digits", every=0.2)
    search = dhpo.HyperbandSearchCV(
        SGDClassifier(), {"alpha": loguniform(1e-6, 1)}, max_iter=3, callbacks=[observer], random_state=0, verbose=0
    )
    clone(search)
    search.fit(*LAZY, classes=[0, 1])
    assert observer.wait(60)
    server = MlflowClient(uri)
    experiment = server.get_experiment_by_name("digits")
    runs = server.search_runs([experiment.experiment_id], order_by=["attributes.start_time"])
    (parent,) = (run for run in runs if "mlflow.parentRunId" not in run.data.tags)
    trials = [run for run in runs if run is not parent]
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    assert {run.info.status for run in runs} == {"FINISHED"}
    assert parent.data.params["best_alpha"] == str(search.best_params_["alpha"])
    assert float(parent.data.metrics["partial_fit_calls"]) == search.metadata_["partial_fit_calls"]
    scores = {int(run.data.tags["trial"]): run.data.metrics["score"] for run in trials}
    assert scores == search.summary()["score"].to_dict()
    best = next(run for run in trials if run.data.tags["trial"] == parent.data.tags["best_trial"])
    steps = [metric.step for metric in server.get_metric_history(best.info.run_id, "score")]
    assert steps == [
        record["partial_fit_calls"] for record in search.history_ if record["params"] == search.best_params_
    ]


def test_a_report_judges_the_best_on_rows_that_are_given(client: Any, tmp_path: Path) -> None:
    space = {"alpha": loguniform(1e-6, 1)}
    search = dhpo.IncrementalSearchCV(SGDClassifier(), space, 3, max_iter=3, random_state=0, verbose=0)
    run = search.start(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    run.result()
    run.report(tmp_path / "run.html")
    dhpo.load(tmp_path / "run").report(tmp_path / "stored.html")
    search.report(tmp_path / "plain.html")
    search.report(tmp_path / "lazy.html", *LAZY)
    search.report(tmp_path / "memory.html", X, Y)
    for page in tmp_path.glob("*.html"):
        assert f"Best score <b>{search.best_score_:.4f}</b>" in page.read_text()
    accuracy = f"accuracy {(search.predict(X) == Y).mean():.4f}"
    judged = {page.stem for page in tmp_path.glob("*.html") if accuracy in page.read_text()}
    assert judged == {"lazy", "memory"}
    assert "IncrementalSearchCV" in (tmp_path / "stored.html").read_text()


def test_a_report_refuses_rows_that_judge_nothing(client: Any, tmp_path: Path) -> None:
    search = dhpo.GridSearchCV(LogisticRegression(), {"C": [0.1, 1.0]}, cv=2, verbose=0).fit(X, Y)
    file = tmp_path / "report.html"
    with pytest.raises(ValueError, match="give both X and y"):
        search.report(file, X)
    with pytest.raises(ValueError, match="X has 600 rows, and y has 599"):
        search.report(file, X, Y[1:])
    with pytest.raises(ValueError, match=r"y has the shape \(600, 2\)"):
        search.report(file, X, np.stack([Y, Y], axis=1))
    assert not file.exists()
    search.report(file, X, np.where(Y == 1, 2, 0))  # a class that was never learned
    assert "ROC curves" not in file.read_text()
    clusters = dhpo.IncrementalSearchCV(MiniBatchKMeans(n_init=1), {"n_clusters": [2, 3]}, 2, max_iter=2, verbose=0)
    with pytest.raises(ValueError, match="MiniBatchKMeans is neither"):
        clusters.fit(LAZY[0]).report(file, X, Y)
