from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]
TITANIC = Path("/work/shared/data/titanic.csv")


def run(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / name), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )


def test_quickstart() -> None:
    done = run("quickstart.py")
    assert done.returncode == 0, done.stderr
    assert "alpha" in done.stdout


@pytest.mark.skipif(not TITANIC.exists(), reason=f"{TITANIC} is not here")
def test_titanic() -> None:
    done = run("titanic.py", str(TITANIC), "--max-iter=9")
    assert done.returncode == 0, done.stderr
    assert "blocks: 7, roc_auc: 0.8" in done.stdout


@pytest.mark.parametrize("kind", ["npy", pytest.param("zarr", marks=pytest.mark.benchmarks)])
def test_larger_than_memory(kind: str, tmp_path: Path) -> None:
    # On Python 3.13 numba, which dask-ml brings, takes 120 MB of each worker.
    arguments = ["--size=20MB", "--block=1MB", "--memory=1.5GB", "--workers=2", "--max-iter=9"]
    done = run("larger_than_memory.py", *arguments, f"--format={kind}", f"--path={tmp_path}")
    assert done.returncode == 0, done.stderr
    assert "best score: 0.9" in done.stdout
    assert done.stdout.count("peak memory of") == 2
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--size=2GB", "--memory=100MB"], "Say --memory 500MB, or for a tenth of the data --size 5GB"),
        (["--size=4GB", "--workers=2"], "Say --memory 1000MB, or for a tenth of the data --size 10GB"),
        (["--workers=0"], "--workers 0: at least 1"),
        (["--block=10"], "from one row of 256 bytes to --size"),
    ],
)
def test_larger_than_memory_says_what_it_needs(arguments: list[str], message: str) -> None:
    done = run("larger_than_memory.py", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.parametrize("kind", ["npy", pytest.param("zarr", marks=pytest.mark.benchmarks)])
def test_both_formats_hold_the_same(kind: str, tmp_path: Path) -> None:
    path = ROOT / "examples" / "larger_than_memory.py"
    spec = importlib.util.spec_from_file_location("larger_than_memory", path)
    assert spec is not None
    assert spec.loader is not None
    example = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(example)
    X, y = example.WRITERS[kind](tmp_path, 3, 100, 7)
    blocks = [example.make_block(number, 100, 7) for number in range(3)]
    assert X.numblocks == (3, 1)
    np.testing.assert_array_equal(X.compute(), np.concatenate([block[0] for block in blocks]))
    np.testing.assert_array_equal(y.compute(), np.concatenate([block[1] for block in blocks]))
    assert set(y.compute()) == {0, 1}
