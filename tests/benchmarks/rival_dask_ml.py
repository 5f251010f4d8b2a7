"""One measured HyperbandSearchCV of dask-ml; `hyperband.py` runs it in dask-ml's own environment."""

from __future__ import annotations

import argparse

import hyperband_once
import measure


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    hyperband_once.add_arguments(parser)
    arguments = parser.parse_args()
    from dask_ml.model_selection import HyperbandSearchCV

    figures = hyperband_once.run_once(HyperbandSearchCV, arguments)
    figures["versions"] = measure.versions("dask-ml", "dask", "distributed", "scikit-learn", "numpy")
    measure.print_json(figures)


if __name__ == "__main__":
    main()
