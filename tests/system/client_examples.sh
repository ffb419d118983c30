#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Each program of client_examples/ against a real node that wants keys, over the wire of netns.sh.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place examples
{ find_python && "$PR_PYTHON" -c 'import msgpack, nacl' 2>/dev/null; } ||
    skip_all "needs python3-websockets, python3-scapy, python3-msgpack and python3-nacl"
EXAMPLES=$(realpath "$PR_ROOT/client_examples")
export NODE_PATH=/usr/share/nodejs
cd "$SCRATCH" || exit 1
umask 077
for role in view capture inject; do
    add_key "$role" >"$role.key" || not_ok "keys add --role $role"
done
start_node node.log --allow-inject --rpc-addr 127.0.0.1:0 --rpc-socket "$SCRATCH/rpc.sock" || {
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

call_py() { in_b "$PR_PYTHON" "$EXAMPLES/call.py" --socket "$SCRATCH/rpc.sock" "$@"; }
pull_py() { as capture "$PR_PYTHON" "$EXAMPLES/pull.py" "127.0.0.1:$(rpc_port)" "$@"; }
rpc_port() { grep -oE 'rpc on 127\.0\.0\.1:[0-9]+' node.log | grep -oE '[0-9]+$' | head -n 1; }
has_lines() { [ "$(wc -l <"$2")" -ge "$1" ]; }

# After test_tour_sh, whose session it reads.
test_call_py() {
    local pid code=0
    check_equal "call.py: a method by its name" "$IF_B" \
        "$(call_py node.interfaces | jq -r ".[] | select(.name == \"$IF_B\").name")"
    check_equal "call.py: with arguments" tour \
        "$(call_py session.list '{"limit": 1}' | jq -r '.[].name')"
    check_exit "call.py: an error of the node ends with 1" 1 call_py session.delete \
        '{"session_id": "none"}'
    check "call.py: and is told in the node's words" \
        grep -q 'not_found' <(call_py session.delete '{"session_id": "none"}' 2>&1)
    check_exit "call.py: where no node is, too" 1 in_b "$PR_PYTHON" "$EXAMPLES/call.py" \
        --socket "$SCRATCH/none.sock" node.info
    start_in "$NS_B" "$PR_PYTHON" "$EXAMPLES/call.py" --socket "$SCRATCH/rpc.sock" \
        events.subscribe '{"types": ["capture.started", "capture.ended"]}' --events 2 >call.out 2>call.err
    pid=$STARTED
    wait_for 10 has_lines 1 call.out || not_ok "call.py subscribes"
    call_py capture.start "{\"interface\": \"$IF_B\", \"max_packets\": 3, \"name\": \"called\"}" >/dev/null
    ping_b 5
    wait "$pid" || code=$?
    check_equal "call.py: exit 0 after two events" 0 "$code"
    check_equal "call.py: which are those that happened" "capture.started capture.ended" \
        "$(jq -r 'select(.type).type' call.out | paste -sd ' ')"
}

test_pull_py() {
    wait_for 10 rpc_port >/dev/null
    check "pull.py: lists the sessions" grep -qE '	complete	5	tour$' <(pull_py)
    check "pull.py: pulls one" pull_py tour pulled.pcapng
    check_equal "pull.py: with all its packets" 5 "$(tshark -r pulled.pcapng 2>/dev/null | wc -l)"
    call_py capture.start "{\"interface\": \"$IF_B\", \"max_packets\": 4000, \"name\": \"many\"}" >/dev/null
    in_a ping -q -c 2010 -s 1400 -i 0.001 10.77.0.2 >ping.out
    wait_for 10 session_is_complete many || not_ok "a session of 4,000 packets"
    # In answers of 4 KiB, which are more frames of a way than one key is for.
    check "pull.py: in small pieces" pull_py many small.pcapng --chunk 4KiB
    check "pull.py: and at once" pull_py many whole.pcapng --chunk 4MiB
    check "pull.py: both are the same" cmp small.pcapng whole.pcapng
    check_equal "pull.py: with a filter, onto standard output" 2000 \
        "$(pull_py many - --filter 'icmp[0] == 8' | tshark -r - 2>/dev/null | wc -l)"
    check_exit "pull.py: a session that is not there ends with 1" 1 pull_py none none.pcapng
    check_exit "pull.py: so does a key of too small a role" 1 as view "$PR_PYTHON" \
        "$EXAMPLES/pull.py" "127.0.0.1:$(rpc_port)" tour none.pcapng
    check "pull.py: a wrong secret is told" grep -q 'secret of the API key is wrong' <(
        PACKETRECORDER_API_KEY=$(cut -c1-12 capture.key)$(printf 'A%.0s' {1..43}) \
            in_b "$PR_PYTHON" "$EXAMPLES/pull.py" "127.0.0.1:$(rpc_port)" 2>&1)
    check "pull.py: so is a port that is no channel" grep -q 'no packetrecorder' <(
        as capture "$PR_PYTHON" "$EXAMPLES/pull.py" "127.0.0.1:$NODE_PORT" 2>&1)
}
session_is_complete() {
    call_py session.list | jq -e "any(.[]; .name == \"$1\" and .state == \"complete\")" >/dev/null
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
test_call_py
test_pull_py
test_readme
stop "$NODE_PID"
check_equal "the node ends with 0" 0 "$?"
tap_done
