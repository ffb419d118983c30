#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# docker/test.sh [--image NAME]: builds the image (or takes NAME, and NAME-traffic), starts docker-compose.yml for real, in a project and with keys of its own, and
# checks what a swarm of containers is for. As root it needs nothing installed: it brings an engine (engine.sh) and,
# where no registry can be reached, the base image (base-image.sh). One line a check; the last line is
# `N passed, N failed, N skipped`, and exit is 0 only when nothing failed and it could run.
set -uo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=engine.sh
. "$here/engine.sh"
export LC_ALL=C.UTF-8

passed=0 failed=0 skipped=0
check() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then
        echo "ok - $name"
        passed=$((passed + 1))
    else
        echo "not ok - $name"
        printf '# failed: %s\n%s\n' "$*" "$(printf '%s' "$out" | tail -n 20 | sed 's/^/# /')"
        failed=$((failed + 1))
    fi
}
summary() { printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"; }
cannot_run() {
    echo "not ok - docker # $*"
    failed=1
    summary
    exit 1
}
step() { printf '# %d s: %s\n' "$SECONDS" "$*"; }

case "$#:${1:-}" in
0:) image='' ;;
2:--image) image=$2 ;;
*)
    echo "usage: docker/test.sh [--image NAME]" >&2
    exit 2
    ;;
esac
export COMPOSE_PROJECT_NAME=prtest$$ PACKETRECORDER_IMAGE=${image:-packetrecorder-test}
readonly NODES=(node1 node2 node3) PORT=4444

engine_up || cannot_run "no engine"
scratch_dir docker || cannot_run "no scratch folder"
export PACKETRECORDER_SECRETS=$SCRATCH/secrets
# Without address translation, only the host's network leads to the mirror.
build() {
    if [ -z "${engine_network:-}" ]; then
        compose build
        return
    fi
    docker build --network "$engine_network" -f "$here/Dockerfile" -t "$PACKETRECORDER_IMAGE" "$here/.." &&
        docker build --network "$engine_network" -f "$here/Dockerfile" --target traffic \
            -t "$PACKETRECORDER_IMAGE-traffic" "$here/.."
}
if [ -z "$image" ]; then
    "$here/base-image.sh" || cannot_run "no base image"
    step "building"
    build >"$SCRATCH/build.log" 2>&1 || {
        tail -n 30 "$SCRATCH/build.log"
        cannot_run "the image does not build"
    }
fi
"$here/make-secrets.sh" "$PACKETRECORDER_IMAGE" || cannot_run "no secrets"
at_exit compose down -v --timeout 2
step "starting"
compose up -d --no-build >"$SCRATCH/up.log" 2>&1 || {
    cat "$SCRATCH/up.log"
    cannot_run "compose up failed"
}
declare -A id
for service in "${NODES[@]}" cli traffic; do
    id[$service]=$(compose ps -q "$service")
done

# manage NODE COMMAND…: from the container of the command line, by the API key.
manage() {
    local node=$1
    shift
    docker exec "${id[cli]}" packetrecorder manage --endpoint "$node:50051" "$@"
}
field() { jq -r "$@"; }

alive_at() { manage "$1" members --json | field '[.[] | select(.state == "alive").name] | sort | join(" ")'; }
sees() { [ "$(alive_at "$1")" = "$2" ]; }
all_see_all() {
    local node
    for node in "${NODES[@]}"; do
        sees "$node" "${NODES[*]}" || return 1
    done
}

# The interface of a node that is on its own network.
lan_of() {
    local node=$1 address
    address=$(docker inspect "${id[$node]}" |
        field --arg net "${COMPOSE_PROJECT_NAME}_lan${node#node}" '.[0].NetworkSettings.Networks[$net].IPAddress')
    manage "$node" list-interfaces --json |
        field --arg address "$address/" '.[] | select(any(.addresses[]; startswith($address))).name'
}

# Of JSON lines of query --show-data: the numbers of traffic.sh's datagrams, one a line.
numbers_of_data() {
    field .data | sed 's/../& /g' |
        while read -r -a bytes; do
            # Ethernet, IPv4 and UDP without options: 42 bytes.
            printf '%b' "$(printf '\\x%s' "${bytes[@]:42}")"
        done | sed -n 's/^packet \([0-9]*\) .*/\1/p'
}
# Those in a session of a node.
numbers() { manage "$1" query -s "$2" -l 0 --json --show-data -f "udp port $PORT" | numbers_of_data; }

# FILE.lines gets the packets of a capture file of the command line's container, in its order.
read_merged() {
    local db=/tmp/$RANDOM$RANDOM.db
    docker exec "${id[cli]}" packetrecorder capture -r "$1" -d "$db" --quiet >/dev/null || return 1
    docker exec "${id[cli]}" packetrecorder query -d "$db" -l 0 --json --show-data -f "udp port $PORT" \
        >"$SCRATCH/$(basename "$1").lines"
}
# FILE NODE: the numbers that came from the node's own network.
numbers_from() {
    field --arg iface "$2/${lan[$2]}" 'select(.interface == $iface)' -c <"$SCRATCH/$(basename "$1").lines" | numbers_of_data
}
is_in_order() { field -s 'map(.time) | . == sort' <"$SCRATCH/$(basename "$1").lines" | grep -qx true; }

# FILE FROM: every number from the first on, without a gap or a double; FROM more than so many.
no_gap() {
    awk -v least="$2" 'NR == 1 { next_one = $1 } $1 != next_one { print "after " next_one - 1 " came " $1; bad = 1; exit }
        { next_one++ } END { if (NR < least) { print NR " numbers, not " least; bad = 1 } exit bad }' "$1"
}
state_of() { manage "$1" sessions --json | field --arg name "$2" '.[] | select(.name == $name).state'; }
is_in_state() { [ "$(state_of "$1" "$2")" = "$3" ]; }
packets_of() { manage "$1" sessions --json | field --arg name "$2" '.[] | select(.name == $name).packets'; }
has_packets() { [ "$(packets_of "$1" "$2")" -ge "$3" ]; }
health_of() { docker inspect "${id[$1]}" | field '.[0].State.Health.Status'; }
is_healthy() { [ "$(health_of "$1")" = healthy ]; }

# shellcheck source=checks.sh
. "$here/checks.sh"

step "done"
summary
[ "$failed" = 0 ]
