"""A real search in the forms of other programs."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import dask.array as da
import numpy as np
import pytest
from distributed import Client
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from scipy.stats import loguniform
from sklearn.base import clone
from sklearn.callback import ProgressBar
from sklearn.cluster import MiniBatchKMeans
from sklearn.linear_model import LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

import dhpo
from dhpo.compose import make_partial_fit_pipeline
from dhpo.history.judgement import BestJudged, ClassJudgement
from tests.conftest import two_workers
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
    assert observer.wait(300)
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


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("own", [False, True])
def test_the_best_is_judged_by_all_rows_held_out(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool, own: bool
) -> None:
    monkeypatch.setattr("dhpo.driver.judgement._LEAST_SECONDS", 60.0)
    if not shared:
        monkeypatch.setattr("dhpo.cluster.workers.holds_token", lambda *args: False)
    space = {"alpha": loguniform(1e-6, 1)}
    search = dhpo.IncrementalSearchCV(SGDClassifier(), space, 3, max_iter=3, random_state=0, verbose=0, test_size=0.3)
    validation = LAZY if own else None
    for _ in range(2):  # the second time from its journal, where it is told already
        run = search.start(*LAZY, classes=[0, 1], journal=tmp_path / "run", validation_data=validation)
        run.result()
        judgement = run.history.judgement
        assert judgement.n_rows == (600 if own else 180)
        right = sum(count for true, predicted, count in judgement.counts if true == predicted)
        assert right / judgement.n_rows == search.best_score_
        assert set(judgement.areas) == {1}
        assert sum(isinstance(event, BestJudged) for event in run.history.events) == 1
    assert dhpo.load(tmp_path / "run").history.judgement == judgement
    dhpo.load(tmp_path / "run").report(tmp_path / "stored.html")
    page = (tmp_path / "stored.html").read_text()
    assert f"held out</h2><p>{judgement.n_rows} rows</p>" in page
    assert f"accuracy {search.best_score_:.4f}" in page


def test_of_many_rows_held_out_some_are_drawn(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dhpo.driver.judgement._LEAST_SECONDS", 60.0)
    monkeypatch.setattr("dhpo.driver.judgement._MOST_ROWS", 90)
    search = dhpo.IncrementalSearchCV(
        SGDRegressor(), {"alpha": [1e-4]}, 1, max_iter=3, random_state=0, verbose=0, test_size=0.3
    )
    run = search.start(LAZY[0], LAZY[0][:, 0])
    run.result()
    assert 85 <= run.history.judgement.n_rows <= 95
    assert run.history.judgement.metrics["R²"] == pytest.approx(search.best_score_, abs=0.1)


class Odd(SGDClassifier):
    """Can be trained and scored; what it does where it is judged is a parameter."""

    def __init__(self, alpha: float = 1e-4, deed: str = "") -> None:
        super().__init__(alpha=alpha, random_state=0)
        self.deed = deed

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        return float((super().predict(X) == y).mean())

    def predict(self, X: Any) -> Any:
        match self.deed:
            case "raises":
                raise RuntimeError("no predictions")
            case "waits":
                time.sleep(10)
            case "kills":
                os.kill(os.getpid(), signal.SIGKILL)
            case "writes":
                X *= -1
                return super().predict(-X)
            case "rejects":
                return np.where(np.abs(self.decision_function(X)) < 0.5, -1, super().predict(X))
        return super().predict(X)


def judged(deed: str, folder: Path, **options: Any) -> dhpo.Run:
    search = dhpo.GridSearchCV(Odd(deed=deed), {"alpha": [1e-4, 1e-3]}, max_iter=2, random_state=0, verbose=0)
    run = search.set_params(**options).start(*LAZY, classes=[0, 1], journal=folder)
    run.result(timeout=600)
    return run


@pytest.mark.parametrize("deed", ["raises", "waits", "kills"])
@pytest.mark.filterwarnings("ignore")
def test_a_search_is_whole_without_being_judged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, deed: str
) -> None:
    monkeypatch.setattr("dhpo.driver.judgement._LEAST_SECONDS", 0.5 if deed == "waits" else 600.0)
    with two_workers() as cluster, Client(cluster):
        caplog.set_level("INFO", "dhpo.driver.judgement")  # Dask makes its handler silent where a cluster starts
        run = judged(deed, tmp_path / "run")
    assert run.best is not None
    assert run.status == "done"
    assert run.history.judgement is None
    why = {
        "raises": "RuntimeError: no predictions",
        "waits": "TimeoutError",
        "kills": "dhpo.errors.SearchFailed: judging the best: the workers that do it die",
    }
    assert f"was not judged by the rows held out: {why[deed]}" in caplog.text


def test_who_stops_a_search_does_not_wait_for_it_to_be_judged(client: Any, tmp_path: Path) -> None:
    search = dhpo.GridSearchCV(Odd(deed="waits"), {"alpha": [1e-4, 1e-3]}, max_iter=2, random_state=0, verbose=0)
    run = search.start(*LAZY, classes=[0, 1], journal=tmp_path / "run")
    while run.status != "judging the best":
        assert not run.done
        time.sleep(0.01)
    ends_at = time.monotonic() + 300
    while dhpo.load(tmp_path / "run").best != run.best:  # what was paid for is safe before
        assert time.monotonic() < ends_at
        time.sleep(0.01)
    run.stop()
    run.result(timeout=300)
    assert run.status == "done"  # nothing was left to train
    assert run.history.judgement is None


@pytest.mark.parametrize(("deed", "classes"), [("writes", ("0", "1")), ("rejects", ("-1", "0", "1"))])
def test_odd_classifiers_are_judged_by_what_they_predict(
    client: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deed: str, classes: tuple[str, ...]
) -> None:
    monkeypatch.setattr("dhpo.driver.judgement._LEAST_SECONDS", 60.0)
    judgement = judged(deed, tmp_path / "run", test_size=0.5).history.judgement
    assert isinstance(judgement, ClassJudgement)
    assert judgement.classes == classes
    assert judgement.n_rows == 300
    if deed == "writes":
        right = sum(count for true, predicted, count in judgement.counts if true == predicted)
        assert right / 300 == dhpo.load(tmp_path / "run").best.report.score
    dhpo.load(tmp_path / "run").report(tmp_path / "report.html")


def test_what_has_no_classes_and_no_numbers_is_not_judged(client: Any) -> None:
    options: dict[str, Any] = {"n_initial_parameters": 2, "max_iter": 3, "random_state": 0, "verbose": 0}
    run = dhpo.IncrementalSearchCV(MiniBatchKMeans(), {"n_clusters": [2, 3]}, **options).start(LAZY[0])
    run.result()
    assert run.history.judgement is None
    folds = dhpo.IncrementalSearchCV(SGDClassifier(), {"alpha": loguniform(1e-6, 1)}, **options, cv=2)
    run = folds.start(*LAZY, classes=[0, 1])
    run.result()
    assert run.history.judgement is None
    two = da.stack([LAZY[0][:, 0], LAZY[0][:, 1]], axis=1)
    several = dhpo.IncrementalSearchCV(MLPRegressor(hidden_layer_sizes=(5,)), {"alpha": loguniform(1e-6, 1)}, **options)
    run = several.start(LAZY[0], two)
    run.result()
    assert run.history.judgement is None


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
