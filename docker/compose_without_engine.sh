#!/usr/bin/env bash
# Runs podman-compose with compose.yaml and the image of build_without_engine.sh, with no Docker engine:
#     docker/compose_without_engine.sh STORE up --detach
#     docker/compose_without_engine.sh STORE --profile driver run --rm -T driver
#     docker/compose_without_engine.sh STORE down --volumes
# As root, after apt-get install --no-install-recommends podman runc netavark aardvark-dns iptables, and
# pip install podman-compose. In a network namespace (unshare --net, ip link set lo up) it leaves that of this machine alone.
set -euo pipefail

store=$(realpath "${1:?the folder of build_without_engine.sh}")
shift
cat >"$store/storage.conf" <<END
[storage]
driver = "vfs"
graphroot = "$store/images"
runroot = "$store/run"
END
# crun, the other runtime, refuses the hybrid cgroups of some machines.
cat >"$store/containers.conf" <<END
[containers]
log_driver = "k8s-file"
default_ulimits = ["nofile=1024:1024", "nproc=1024:1024"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
tmp_dir = "$store/tmp"
[network]
network_backend = "netavark"
network_config_dir = "$store/networks"
END
# Netavark before 1.9 lets the bridge change its hardware address when a container comes or goes. Containers that are not
# told send their questions for names to the old address for half a minute, and Dask gives up.
if [ -w /proc/sys/net/ipv4/conf/default/arp_notify ]; then
    echo 1 >/proc/sys/net/ipv4/conf/default/arp_notify
fi
export CONTAINERS_STORAGE_CONF="$store/storage.conf" CONTAINERS_CONF="$store/containers.conf"
export DHPO_IMAGE=localhost/dhpo:latest DHPO_JUPYTER_IMAGE=localhost/dhpo-jupyter:latest
if [ "$1" = podman ]; then
    exec "$@"
fi
exec podman-compose --file "$(dirname "$(realpath "$0")")/compose.yaml" "$@"
