#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A node relays over the very interface that it captures, at full rate for 10 seconds (30 with
# --long): its own traffic must not come back into what it sends, not one packet, also over an
# address that its host gets meanwhile, and addresses that come and go lose nothing: what a viewer
# got and was told of is what arrived, to the packet. With --include-self it does come back, which
# shows that the test can fail.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"

readonly PORT=8080 FRAME_BYTES=102 FRAMES_A_RUN=1000000 NEW=10.77.0.3 SWAPS=20
readonly SECONDS_OF_FLOOD=$((PR_LONG ? 30 : 10))
# A stream that feeds itself never falls quiet: viewers end by then.
readonly LONGEST=$((SECONDS_OF_FLOOD + 25))
flood=$PR_BUILD/tests/bench/flood
viewer=$PR_BUILD/tests/bench/ws_viewer
daemon=$PR_BUILD/node/packetrecorderd

if [ ! -x "$flood" ] || [ ! -x "$viewer" ]; then
    skip_all "no flood generator in this build"
fi
two_hosts own_traffic
# No ARP in between: what is on the wire is the flood, the node's streams, and ICMP that refuses it.
ip -n "$NS_A" neigh replace 10.77.0.2 dev "$IF_A" nud permanent \
    lladdr "$(in_b cat "/sys/class/net/$IF_B/address")"
ip -n "$NS_A" neigh replace "$NEW" dev "$IF_A" nud permanent \
    lladdr "$(in_b cat "/sys/class/net/$IF_B/address")"
ip -n "$NS_B" neigh replace 10.77.0.1 dev "$IF_B" nud permanent \
    lladdr "$(in_a cat "/sys/class/net/$IF_A/address")"

served() { in_a curl -sf "http://10.77.0.2:$PORT/" >/dev/null; }
field() { tr ' ' '\n' <"$1" | sed -n "s/^$2=//p"; }

# UDP datagrams that arrived in the namespace of the node; nobody listens for them.
datagrams() { in_b awk '/^Udp:/ && $2 ~ /^[0-9]/ { print $2 + $3 + $4 }' /proc/net/snmp; }

# start_node NAME OPTION…
start_node() {
    local name=$1
    shift
    start_in "$NS_B" "$daemon" --http-addr "0.0.0.0:$PORT" --allow-host 10.77.0.2 \
        --allow-host "$NEW" --insecure -d "$SCRATCH/p.db" "$@" >"$SCRATCH/$name.log" 2>&1
    node=$STARTED
    wait_for 20 served
}

# watch NAME SECONDS FILTER [ADDRESS]: what a viewer in the other namespace is sent.
watch() {
    ip netns exec "$NS_A" "$viewer" "${4:-10.77.0.2}:$PORT" \
        "/connections/$IF_B?format=pcapng$3" "$2" 0 "$key" >"$SCRATCH/$1" 2>"$SCRATCH/$1.err" &
    watching=$!
    wait_for 20 grep -q ready "$SCRATCH/$1.err"
}

ask() { in_a curl -sf -H "Authorization: Bearer $key" "http://10.77.0.2:$PORT$1"; }

# The sum of a family of /metrics.
metric() { ask /metrics | awk -v name="$1" 'index($1, name "{") == 1 { n += $2 } END { printf "%d", n }'; }

# The streams' JSON says that this address is left out.
excludes() { ask /api/v1/stats | grep -qE "${1//./\\.}[ )]"; }
includes() { ! excludes "$1"; }

# Filters that are swapped under full load, SWAPS times.
swap_filters() {
    local i
    for ((i = 0; i < SWAPS; i += 2)); do
        in_b ip addr add 10.77.0.99/24 dev "$IF_B"
        wait_for 5 excludes 10.77.0.99 || return 1
        in_b ip addr del 10.77.0.99/24 dev "$IF_B"
        wait_for 5 includes 10.77.0.99 || return 1
    done
}

# As fast as it goes, run after run.
flood_on() {
    local until=$((SECONDS + SECONDS_OF_FLOOD))
    while [ "$SECONDS" -lt "$until" ]; do
        in_a "$flood" "$IF_A" "$mac" "$FRAMES_A_RUN" "$FRAME_BYTES" 1024 0
    done >"$SCRATCH/flood.out" 2>&1
}

key=$("$PR_BIN" keys add --role view -d "$SCRATCH/p.db" 2>/dev/null)
mac=$(in_b cat "/sys/class/net/$IF_B/address")

start_node plain
watch plain.out "$LONGEST" ''
all=$watching
watch tcp.out "$LONGEST" '&filter=tcp'
tcp=$watching
watch rest.out "$LONGEST" '&filter=not%20udp%20and%20not%20tcp'
rest=$watching
before=$(datagrams)
flood_on &
flooding=$!
check "no viewer is told of the new address yet" includes "$NEW"
in_b ip addr add "$NEW/24" dev "$IF_B"
check "an address that comes is left out in running captures" wait_for 5 excludes "$NEW"
watch new.out "$LONGEST" '' "$NEW"
new=$watching
check "$SWAPS changes of addresses under load are followed" swap_filters
check "all while the flood went on" kill -0 "$flooding"
wait "$flooding"
# They end when nothing has come for a while.
for pid in "$all" "$tcp" "$rest" "$new"; do
    stop "$pid"
done
# The generator's own end of the wire may drop some: what the other host received counts.
sent=$(($(datagrams) - before))
got=$(field "$SCRATCH/plain.out" packets)
told=$(field "$SCRATCH/plain.out" told)
kernel=$(metric packetrecorder_stream_lost_kernel_total)
arrived=$(in_b cat "/sys/class/net/$IF_B/statistics/rx_packets")
sum=$((${got:-0} + ${told:-0} + kernel))
others=$(field "$SCRATCH/rest.out" packets)
echo "# sent $sent, others ${others:-none}, got ${got:-none}, told ${told:-none}, lost in the" \
    "kernel $kernel: $sum; frames at the interface $arrived, $(grep -c . "$SCRATCH/flood.out") runs"
check_equal "a viewer behind the captured interface gets what arrived and nothing of the streams" \
    "$((sent + ${others:-0}))" "$sum"
check_equal "no frame of any viewer's connection was captured" 0 "$(field "$SCRATCH/tcp.out" packets)"
check "a viewer over the new address got packets too" test "$(field "$SCRATCH/new.out" packets)" -gt 1000
check "the streams went over that interface" test "$arrived" -gt "$((sent + 500))"
code=0
stop "$node" || code=$?
check_equal "the node ends well" 0 "$code"

start_node self --include-self
watch self.out 3 '&filter=tcp'
wait "$watching"
check "with --include-self the stream is seen" test "$(field "$SCRATCH/self.out" packets)" -gt 3
stop "$node"
tap_done
