#!/bin/sh
# Installs EXTRA_PIP_PACKAGES, as Dask's own images do, and becomes the command.
set -eu

if [ -n "${EXTRA_APT_PACKAGES:-}${EXTRA_CONDA_PACKAGES:-}" ]; then
    echo "entrypoint.sh: EXTRA_APT_PACKAGES and EXTRA_CONDA_PACKAGES need root; build an image FROM this one" >&2
    exit 64
fi

if [ -n "${EXTRA_PIP_PACKAGES:-}" ]; then
    echo "entrypoint.sh: installing $EXTRA_PIP_PACKAGES" >&2
    extra=${EXTRA_PIP_FOLDER:-/tmp/extra-pip}
    # A venv over the one of the image, which stays as it is: what that one has, pip does not install again.
    below=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    python -m venv --without-pip "$extra"
    site=$("$extra/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    echo "$below" >"$site/image.pth"
    # Words, not one argument.
    # shellcheck disable=SC2086
    "$extra/bin/python" -m pip install --no-cache-dir --disable-pip-version-check $EXTRA_PIP_PACKAGES >&2
    # Commands of the image run its own Python, which finds the packages by this path.
    export PATH="$extra/bin:$PATH" PYTHONPATH="$site${PYTHONPATH:+:$PYTHONPATH}"
fi

exec "$@"
