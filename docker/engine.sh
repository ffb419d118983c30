# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by docker/test.sh: an engine to test with, and a compose to drive it. Brings tests/support/netns.sh
# along, for its at_exit and wait_for.
#   engine_up     the engine that runs; else, as root, one of our own, with its state below build/docker and gone
#                 at exit, but for that state: the next start finds its images there. False with the reason.
#   compose …     docker compose, of either generation

# shellcheck source=../tests/support/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../tests/support/netns.sh"

engine_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)/build/docker

engine_runs() { timeout 20 docker version >/dev/null 2>&1; }

# How dockerd is tried, the first that starts is taken: as it comes, for file systems that have no overlay, and for
# hosts whose kernel has no netfilter, where what a container sends to elsewhere than its networks goes nowhere;
# $engine_network is then what an image has to be built on.
engine_ways=('' '--storage-driver=vfs' '--storage-driver=vfs --iptables=false --ip-masq=false')

engine_up() {
    local way run=/run/packetrecorder-docker-$$
    if command -v docker >/dev/null && engine_runs; then
        need_compose
        return
    fi
    if [ "$(id -u)" != 0 ]; then
        echo "no docker engine answers, and only root can start one" >&2
        return 1
    fi
    "$(dirname "${BASH_SOURCE[0]}")/../setup.sh" docker || return 1
    mkdir -p "$engine_root" "$run"
    at_exit rm -rf "$run"
    export DOCKER_HOST=unix://$run/sock
    engine_remember
    for way in "${engine_ways[@]}"; do
        # shellcheck disable=SC2086  # words
        dockerd --data-root "$engine_root/state" --exec-root "$run/exec" -p "$run/pid" -H "$DOCKER_HOST" $way \
            >"$engine_root/dockerd.log" 2>&1 </dev/null &
        engine_pid=$!
        if wait_for 30 engine_runs_or_ended && engine_runs; then
            at_exit engine_down
            [[ $way != *--iptables=false* ]] || export engine_network=host
            echo "started dockerd $way"
            return
        fi
        kill -TERM "$engine_pid" 2>/dev/null
        wait "$engine_pid"
    done
    echo "dockerd does not start here: $(grep -E 'level=(error|fatal)|failed' "$engine_root/dockerd.log" | tail -n 1)" >&2
    return 1
}

engine_runs_or_ended() { engine_runs || has_ended "$engine_pid"; }

# dockerd leaves its rules, which drop what is forwarded, its bridge and forwarding behind; the host gets back what
# it had before, other tests live on it.
engine_remember() {
    local tool
    engine_forward=$(cat /proc/sys/net/ipv4/ip_forward)
    engine_had_bridge=0
    [ ! -e /sys/class/net/docker0 ] || engine_had_bridge=1
    for tool in iptables ip6tables; do
        "$tool-save" >"$engine_root/$tool.before" 2>/dev/null
    done
}

engine_down() {
    local tool table
    kill -TERM "$engine_pid"
    wait "$engine_pid"
    for tool in iptables ip6tables; do
        for table in filter nat; do
            if grep -qx "\*$table" "$engine_root/$tool.before"; then
                "$tool-restore" -T "$table" <"$engine_root/$tool.before"
            else
                [ "$table" = nat ] || "$tool" -P FORWARD ACCEPT
                "$tool" -t "$table" -F
                "$tool" -t "$table" -X
            fi
        done
    done
    [ "$engine_had_bridge" = 1 ] || ip link del docker0
    echo "$engine_forward" >/proc/sys/net/ipv4/ip_forward
}

need_compose() {
    docker compose version >/dev/null 2>&1 || command -v docker-compose >/dev/null || {
        echo "there is neither docker compose nor docker-compose" >&2
        return 1
    }
}

compose() {
    if [ -z "${engine_compose:-}" ]; then
        engine_compose='docker compose'
        docker compose version >/dev/null 2>&1 || engine_compose=docker-compose
    fi
    # shellcheck disable=SC2086  # words
    $engine_compose -f "$(dirname "${BASH_SOURCE[0]}")/docker-compose.yml" "$@"
}
