#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each program of client_examples/ against a real node that wants keys, over the wire of netns.sh.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place examples
find_python || skip_all "needs python3-websockets and python3-scapy"
EXAMPLES=$(realpath "$PR_ROOT/client_examples")
export NODE_PATH=/usr/share/nodejs
cd "$SCRATCH" || exit 1
umask 077
for role in view capture inject; do
    add_key "$role" >"$role.key" || not_ok "keys add --role $role"
done
start_node node.log --allow-inject || {
    not_ok "the node starts"
    sed 's/^/# /' node.log
    tap_done
}
as() { PACKETRECORDER_API_KEY=$(cat "$1.key") in_b "${@:2}"; }

# watched: somebody looks at the interface now.
watched() {
    as view curl -s -H "Authorization: Bearer $(cat view.key)" "http://127.0.0.1:$NODE_PORT/metrics" |
        grep -E '^packetrecorder_viewers\{' | grep -qvE ' 0$'
}
not_watched() { ! watched; }

ping_b() { in_a ping -q -c "$1" -i 0.01 10.77.0.2 >ping.out; }

test_watch_py() {
    in_a ip neigh flush dev "$IF_A"
    check "watch.py injects an ARP probe and sees the answer" \
        as inject "$PR_PYTHON" "$EXAMPLES/watch.py" "127.0.0.1:$NODE_PORT" "$IF_B" --filter arp \
        --count 2 --arping 10.77.0.1
    as inject "$PR_PYTHON" "$EXAMPLES/watch.py" "127.0.0.1:$NODE_PORT" "$IF_B" --filter arp \
        --count 2 --arping 10.77.0.1 >watch.out 2>watch.err
    check "the answer is 10.77.0.1's, decoded by scapy" \
        grep -q "$(in_a cat "/sys/class/net/$IF_A/address").*10.77.0.1" watch.out
    check_exit "watch.py without the right to look ends with 1" 1 \
        in_b "$PR_PYTHON" "$EXAMPLES/watch.py" "127.0.0.1:$NODE_PORT" "$IF_B"
}

test_record_js() {
    wait_for 5 not_watched
    local pid code=0
    PACKETRECORDER_API_KEY=$(cat view.key) start_in "$NS_B" nodejs "$EXAMPLES/record.js" \
        "http://127.0.0.1:$NODE_PORT" "$IF_B" out.pcapng 'icmp' 60 2>record.err
    pid=$STARTED
    wait_for 10 watched || not_ok "record.js watches"
    ping_b 5
    wait_for 10 pcapng_has 10
    kill -INT "$pid"
    wait "$pid" || code=$?
    check_equal "record.js: exit 0 after an interrupt" 0 "$code"
    check_equal "record.js: five pings and five answers in the file" 10 \
        "$(tshark -r out.pcapng -Y icmp 2>/dev/null | wc -l)"
    code=0
    timeout 10 ip netns exec "$NS_B" nodejs "$EXAMPLES/record.js" "http://127.0.0.1:$NODE_PORT" "$IF_B" \
        x.pcapng 2>refused || code=$?
    check_equal "record.js: a refusal ends it at once with 1" 1 "$code"
    check "record.js: a refusal is told with the node's words" grep -q 401 refused
}
pcapng_has() { [ "$(tshark -r out.pcapng 2>/dev/null | wc -l)" -ge "$1" ]; }

test_frames_c() {
    local line
    line=$(grep -oE 'cc -O2 .*frames\.c$' "$EXAMPLES/frames.c")
    cp "$EXAMPLES/frames.c" .
    check "frames.c builds with the line that it says" sh -c "$line -Werror"
    wait_for 5 not_watched
    local pid code=0
    PACKETRECORDER_API_KEY=$(cat view.key) start_in "$NS_B" ./frames 127.0.0.1 "$NODE_PORT" "$IF_B" 6 \
        >frames.out 2>frames.err
    pid=$STARTED
    wait_for 10 watched || not_ok "frames watches"
    ping_b 5
    wait_for 10 has_ended "$pid"
    wait "$pid" || code=$?
    check_equal "frames: exit 0 after six packets" 0 "$code"
    check_equal "frames: a line each" 6 "$(grep -cE '^[1-6] [0-9]+ ([0-9a-f]{2}:){5}' frames.out)"
    check_exit "frames: a refusal ends with 1" 1 in_b ./frames 127.0.0.1 "$NODE_PORT" "$IF_B"
}

test_tour_sh() {
    ping_b 200 &
    local pinging=$!
    as capture "$EXAMPLES/tour.sh" "http://127.0.0.1:$NODE_PORT" "$IF_B" tour.pcapng >tour.out 2>tour.err
    check_equal "tour.sh: exit 0" 0 "$?"
    sed 's/^/# /' tour.err
    wait "$pinging"
    check_equal "tour.sh: five packets in the file" 5 "$(tshark -r tour.pcapng 2>/dev/null | wc -l)"
    check "tour.sh: the session is listed as complete" grep -qE '	tour	complete	5	' tour.out
    check "tour.sh: packets are shown" grep -qE '^1	[0-9-]{10}T' tour.out
    check "tour.sh: events tell of the capture" grep -q 'capture.ended' tour.out
    check_exit "tour.sh: a refusal ends with 1" 1 as view "$EXAMPLES/tour.sh" \
        "http://127.0.0.1:$NODE_PORT" "$IF_B" tour.pcapng
}

test_readme() {
    local name
    for name in "$EXAMPLES"/*; do
        name=$(basename "$name")
        [ "$name" = README.md ] || check "README.md says how to run $name" \
            grep -q "$name" "$EXAMPLES/README.md"
    done
}

test_watch_py
test_record_js
test_frames_c
test_tour_sh
test_readme
stop "$NODE_PID"
check_equal "the node ends with 0" 0 "$?"
tap_done
