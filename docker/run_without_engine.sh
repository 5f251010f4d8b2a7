#!/usr/bin/env bash
# Runs a command in the image of build_without_engine.sh, as its user, in a network that has loopback alone:
#     docker/run_without_engine.sh STORE [COMMAND]...          (default: dhpo demo)
# NETWORK=host gives it the network of this machine, which EXTRA_PIP_PACKAGES needs.
set -euo pipefail

store=$(realpath "${1:?the folder of build_without_engine.sh}")
shift
if [ "${NETWORK:-none}" != host ] && [ -z "${DHPO_IN_NAMESPACE:-}" ]; then
    exec env DHPO_IN_NAMESPACE=1 unshare --net -- "$0" "$store" "$@"
fi
if [ -n "${DHPO_IN_NAMESPACE:-}" ]; then
    ip link set lo up
fi
[ $# -gt 0 ] || set -- dhpo demo

buildah=(buildah --storage-driver vfs --root "$store/images" --runroot "$store/run")
container=$("${buildah[@]}" from --pull-never localhost/dhpo:latest)
trap '"${buildah[@]}" rm "$container" >/dev/null' EXIT
# -s: tini is not the first process here, and orphans come to it all the same.
"${buildah[@]}" run --isolation chroot --network host --volume /etc/ssl/certs:/etc/ssl/certs:ro \
    --env EXTRA_PIP_PACKAGES="${EXTRA_PIP_PACKAGES:-}" "$container" -- \
    tini -s -g -- entrypoint.sh "$@"
