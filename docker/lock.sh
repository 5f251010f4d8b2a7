#!/usr/bin/env bash
# Writes the lock files anew, for every Python and platform that dhpo supports: pip install uv && docker/lock.sh [--upgrade]
# The hashes are those of PyPI, whatever index pip is told to use here.
set -euo pipefail
cd "$(dirname "$0")/.."
options=("$@")

lock() { # OUTPUT OPTION...
    local output=$1
    shift
    uv pip compile --quiet --universal --fork-strategy fewest --python-version 3.11 --generate-hashes --no-annotate \
        --no-config --default-index https://pypi.org/simple --custom-compile-command docker/lock.sh \
        --output-file "$output" "${options[@]}" "$@"
}

lock docker/requirements.lock --extra ssh --extra zarr pyproject.toml
lock docker/jupyter.lock --constraints docker/requirements.lock - <<<jupyterlab
lock docker/build.lock - < <(python3 -c '
import tomllib
print(*tomllib.load(open("pyproject.toml", "rb"))["build-system"]["requires"], sep="\n")')
