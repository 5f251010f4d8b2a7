#!/usr/bin/env bash
# Builds the image with neither a Docker engine nor a registry: buildah on plain files, and a base that debootstrap makes.
# As root on Debian or Ubuntu, after apt-get install --no-install-recommends buildah debootstrap:
#     docker/build_without_engine.sh STORE [OPTION OF buildah bud]...
# TARGET=jupyter builds the one with JupyterLab. All of it is in the folder STORE; remove it, and all is gone.
set -euo pipefail

store=$(realpath -m "${1:?the folder for images}")
shift
context=$(realpath "$(dirname "$0")/..")
base=localhost/dhpo-base:trixie
target=${TARGET:-runtime}
case $target in
runtime) image=localhost/dhpo:latest ;;
*) image=localhost/dhpo-$target:latest ;;
esac
buildah=(buildah --storage-driver vfs --root "$store/images" --runroot "$store/run")
mkdir -p "$store"

if ! "${buildah[@]}" inspect --type image "$base" >/dev/null 2>&1; then
    rm -rf "$store/rootfs"
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv trixie "$store/rootfs"
    rm -rf "$store"/rootfs/var/cache/apt/archives/*.deb "$store"/rootfs/var/lib/apt/lists/*
    container=$("${buildah[@]}" from scratch)
    "${buildah[@]}" copy --quiet "$container" "$store/rootfs" /
    "${buildah[@]}" commit --quiet --rm "$container" "$base"
    rm -rf "$store/rootfs"
fi

# Pip trusts whom this machine trusts, a proxy for one.
"${buildah[@]}" bud --isolation chroot --network host --build-arg "PYTHON_IMAGE=$base" \
    --volume /etc/ssl/certs:/etc/ssl/certs:ro \
    --target "$target" --tag "$image" "$@" --file "$context/docker/Dockerfile" "$context"
