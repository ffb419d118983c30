# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by whoever needs two hosts on this machine (system tests, bench, demo.sh): two network
# namespaces joined by one wire, with names of this process, and everything gone at exit.
#   $NS_A, interface $IF_A, 10.77.0.1/24   --- veth ---   $NS_B, interface $IF_B, 10.77.0.2/24
# Send from A, capture in B: in_b packetrecorder capture -i "$IF_B" …
# There is no IPv6 unless net_up is told `ipv6` (fd77::1, fd77::2), so that nothing but the test's
# own packets and ARP is on the wire. Needs root, iproute2 and ethtool.

NS_A=pr-a-$$
NS_B=pr-b-$$
IF_A=pra$$
IF_B=prb$$
exit_steps=()

# at_exit COMMAND…: runs it when the script ends, the last one first, whatever ends the script.
at_exit() {
    local step
    printf -v step '%q ' "$@"
    exit_steps=("$step" "${exit_steps[@]}")
    trap run_exit_steps EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
}

run_exit_steps() {
    local code=$? step
    trap - EXIT INT TERM HUP
    for step in "${exit_steps[@]}"; do
        eval "$step" >/dev/null 2>&1 || true
    done
    exit "$code"
}

in_a() { ip netns exec "$NS_A" "$@"; }
in_b() { ip netns exec "$NS_B" "$@"; }

# start_in NAMESPACE COMMAND…: in the background; $STARTED is the process id of the command itself
# (a shell function in the background would be a shell that no signal passes through).
start_in() {
    ip netns exec "$@" &
    STARTED=$!
    at_exit kill -9 "$STARTED"
}

# stop PID: SIGTERM, and waits; its exit code.
stop() {
    kill -TERM "$1" 2>/dev/null || true
    wait "$1"
}

# net_up [ipv6]: false, with a reason on stderr, where namespaces are not allowed.
net_up() {
    local ns
    at_exit net_down
    for ns in "$NS_A" "$NS_B"; do
        ip netns add "$ns" || return 1
        [ "${1:-}" = ipv6 ] ||
            ip netns exec "$ns" sh -c 'echo 1 >/proc/sys/net/ipv6/conf/default/disable_ipv6' \
                2>/dev/null || true
    done
    ip -n "$NS_A" link add "$IF_A" type veth peer name "$IF_B" netns "$NS_B" || return 1
    ip -n "$NS_A" addr add 10.77.0.1/24 dev "$IF_A"
    ip -n "$NS_B" addr add 10.77.0.2/24 dev "$IF_B"
    if [ "${1:-}" = ipv6 ]; then
        ip -n "$NS_A" addr add fd77::1/64 dev "$IF_A" nodad
        ip -n "$NS_B" addr add fd77::2/64 dev "$IF_B" nodad
    fi
    ip -n "$NS_A" link set lo up
    ip -n "$NS_B" link set lo up
    ip -n "$NS_A" link set "$IF_A" up
    ip -n "$NS_B" link set "$IF_B" up
    # Generic receive offload gives the receiving end NAPI, which the flood generator needs.
    in_b ethtool -K "$IF_B" gro on >/dev/null
    wait_for 10 link_is_up
}

link_is_up() { [ "$(in_b cat "/sys/class/net/$IF_B/operstate")" = up ]; }

# Processes left in the namespaces are ended too.
net_down() {
    local ns
    for ns in "$NS_A" "$NS_B"; do
        ip netns pids "$ns" 2>/dev/null | xargs -r kill -9
        ip netns del "$ns"
    done
}

# wait_for SECONDS COMMAND…: until the command succeeds; false when the time is over.
wait_for() {
    local deadline=$((${EPOCHREALTIME/./} + $1 * 1000000))
    shift
    until "$@" >/dev/null 2>&1; do
        if [ "${EPOCHREALTIME/./}" -ge "$deadline" ]; then
            return 1
        fi
        sleep 0.02
    done
}

# has_ended PID: for wait_for, also of a child that was not waited for yet.
has_ended() {
    local state
    state=$(awk '$1 == "State:" { print $2 }' "/proc/$1/status" 2>/dev/null)
    [ -z "$state" ] || [ "$state" = Z ]
}

# is_capturing LOG: true once tcpdump or ours has said on stderr, which goes to LOG, that it listens.
# What is sent after that is seen. (An open packet socket is not enough: libpcap binds it first, and
# a ring of 32 MiB takes a tenth of a second more.)
is_capturing() { grep -qE 'listening on|^capturing on' "$1"; }

# flood COUNT FRAME_BYTES [FLOWS [PPS]]: from A to B, with a MAC address that is nobody's, so that
# B's kernel drops each frame right after the capture saw it.
flood() {
    in_a "${PR_BUILD:-build/release}/tests/bench/flood" "$IF_A" 02:00:00:00:00:99 "$@"
}

# scratch_dir [NAME]: sets $SCRATCH to a new folder in memory where there is one, removed at exit.
scratch_dir() {
    local base=/tmp
    [ ! -w /dev/shm ] || base=/dev/shm
    SCRATCH=$(mktemp -d "$base/packetrecorder-${1:-test}.XXXXXX") || return 1
    at_exit rm -rf "$SCRATCH"
}
