#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A node relays over the very interface that it captures, at full rate for 30 seconds: its own
# traffic must not come back into what it sends. With --include-self it does, which shows that the
# test can fail.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
# shellcheck source=tests/support/tap.sh
. tests/support/tap.sh
# shellcheck source=tests/support/netns.sh
. tests/support/netns.sh

readonly PORT=8080 FRAME_BYTES=102 SECONDS_OF_FLOOD=30 PPS=100000
flood=$PR_BUILD/tests/bench/flood
viewer=$PR_BUILD/tests/bench/ws_viewer
daemon=$PR_BUILD/node/packetrecorderd

need_root
[ -x "$flood" ] && [ -x "$viewer" ] || skip_all "no flood generator in this build"
net_up || skip_all "no network namespaces here"
scratch_dir own_traffic

served() { in_a curl -sf "http://10.77.0.2:$PORT/" >/dev/null; }
field() { tr ' ' '\n' <"$1" | sed -n "s/^$2=//p"; }

# UDP datagrams that arrived in the namespace of the node; nobody listens for them.
datagrams() { in_b awk '/^Udp:/ && $2 ~ /^[0-9]/ { print $2 + $3 + $4 }' /proc/net/snmp; }

# start_node NAME OPTION…
start_node() {
    local name=$1
    shift
    start_in "$NS_B" "$daemon" --http-addr "10.77.0.2:$PORT" --insecure -d "$SCRATCH/p.db" "$@" \
        >"$SCRATCH/$name.log" 2>&1
    node=$STARTED
    wait_for 20 served
}

# watch NAME SECONDS FILTER: what a viewer in the other namespace was sent.
watch() {
    ip netns exec "$NS_A" "$viewer" "10.77.0.2:$PORT" \
        "/connections/$IF_B?format=pcapng$3" "$2" 0 "$key" >"$SCRATCH/$1" 2>"$SCRATCH/$1.err" &
    watching=$!
    wait_for 20 grep -q ready "$SCRATCH/$1.err"
}

key=$("$PR_BIN" keys add --role view -d "$SCRATCH/p.db" 2>/dev/null)
mac=$(in_b cat "/sys/class/net/$IF_B/address")

start_node plain
watch plain.out $((SECONDS_OF_FLOOD + 6)) ''
before=$(datagrams)
in_a "$flood" "$IF_A" "$mac" $((SECONDS_OF_FLOOD * PPS)) "$FRAME_BYTES" 1024 "$PPS" \
    >"$SCRATCH/flood.out" 2>&1
wait "$watching"
# The generator's own end of the wire may drop some: what the other host received counts.
sent=$(($(datagrams) - before))
got=$(field "$SCRATCH/plain.out" packets)
told=$(field "$SCRATCH/plain.out" told)
arrived=$(in_b cat "/sys/class/net/$IF_B/statistics/rx_packets")
echo "# sent $sent, got ${got:-none}, told ${told:-none}, frames at the interface $arrived"
# A little more is on the wire than the flood: ARP. The stream itself is tens of thousands of frames.
check "a viewer behind the captured interface gets what was sent and nothing of the stream" \
    test "$((${got:-0} + ${told:-0}))" -le "$((sent + 1000))"
check "and all of it, but for what is told" \
    test "$((${got:-0} + ${told:-0}))" -ge "$((sent * 999 / 1000))"
check "the stream went over that interface" test "$arrived" -gt "$((sent + 500))"
code=0
stop "$node" || code=$?
check_equal "the node ends well" 0 "$code"

start_node self --include-self
watch self.out 3 '&filter=tcp'
wait "$watching"
check "with --include-self the stream is seen" test "$(field "$SCRATCH/self.out" packets)" -gt 3
stop "$node"
tap_done
