# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced in place of tap.sh, which it brings along, by the system tests of the node whose checks are in Python:
#   node_place NAME [ipv6]        root, two namespaces, a scratch folder, the programs; else skips all
#   run_checks FILE [ARGUMENT…]   tests/support/FILE inside namespace B, with $SCRATCH in front
# $PR_NODE is packetrecorderd beside $PR_BIN; $PR_PYTHON a Python that has Debian's packages.

# shellcheck source=tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/tap.sh"

node_place() {
    two_hosts "$@"
    PR_BIN=$(realpath "$PR_BIN")
    PR_NODE=$(realpath "${PR_NODE:-$PR_BUILD/node/packetrecorderd}")
    [ -x "$PR_NODE" ] || skip_all "no packetrecorderd"
    export PR_BIN PR_NODE PR_BUILD PR_ROOT NS_A NS_B IF_A IF_B SCRATCH PR_LONG
    export PACKETRECORDERD=$PR_NODE PYTHONDONTWRITEBYTECODE=1
}

# A python3 that comes first in PATH is not always Debian's, with Debian's modules.
find_python() {
    local candidate
    for candidate in python3 /usr/bin/python3; do
        if "$candidate" -c 'import websockets, scapy' 2>/dev/null; then
            PR_PYTHON=$candidate
            export PR_PYTHON
            return
        fi
    done
    return 1
}

run_checks() {
    local file=$1
    shift
    in_b "${PR_PYTHON:-python3}" "$PR_SUPPORT/$file" "$SCRATCH" "$@" ||
        tap_failures=$((tap_failures + 1))
}

# start_node LOG OPTION…: packetrecorderd in namespace B, on loopback and a free port, with its store
# in $SCRATCH; sets $NODE_PID and $NODE_PORT. False when it does not come up.
start_node() {
    local log=$1
    shift
    : >"$log"
    ip netns exec "$NS_B" "$PR_NODE" --http-addr 127.0.0.1:0 --database "$SCRATCH/packets.db" "$@" \
        2>"$log" </dev/null &
    NODE_PID=$!
    at_exit kill -9 "$NODE_PID"
    # shellcheck disable=SC2034  # for the script that sources this
    wait_for 15 node_port "$log" && NODE_PORT=$(node_port "$log")
}

# node_port LOG: where the node says that it listens.
node_port() { grep -oE 'https? on .*127\.0\.0\.1:[0-9]+' "$1" | grep -oE '[0-9]+$' | head -n 1 | grep .; }

# add_key ROLE: a new key of this role for the node in $SCRATCH, on standard output.
add_key() { "$PR_BIN" keys add --role "$1" --database "$SCRATCH/packets.db"; }
