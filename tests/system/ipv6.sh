#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# IPv6: a node on [::1], on an address of a network and on a link-local one; how Host and Origin
# name it; `view` and `sniff` over it; its own traffic over IPv6, which never feeds back.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place ipv6 ipv6

readonly PACKETS=500 LOG=$SCRATCH/node.log

# link_local NAMESPACE IFACE: its address in fe80::/10, once it may be used.
link_local() {
    ip -n "$1" -6 -o addr show dev "$2" scope link -tentative | sed -n 's|.* inet6 \([^/]*\)/.*|\1|p' | grep .
}
wait_for 10 link_local "$NS_B" "$IF_B" || skip_all "no link-local addresses here"
wait_for 10 link_local "$NS_A" "$IF_A" || skip_all "no link-local addresses here"
LINK_B=$(link_local "$NS_B" "$IF_B")

# port_of ADDRESS: where the node says that it listens.
port_of() { grep -F " on $1:" "$LOG" | grep -oE '[0-9]+$' | head -n 1 | grep .; }

# status NAMESPACE URL OPTION…: of an answer.
status() {
    ip netns exec "$1" curl -g -s -o /dev/null -m 10 -w '%{http_code}' "${@:3}" \
        -H "Authorization: Bearer $key" "$2"
}

send_datagrams() {
    in_a python3 -c 'import socket, sys
s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
for n in range(int(sys.argv[1])):
    s.sendto(b"%08d" % n, ("fd77::2", 5555))' "$PACKETS"
}

key=$(add_key capture 2>/dev/null) || skip_all "no keys"
ingest=$(add_key ingest 2>/dev/null) || skip_all "no keys"
printf '%s\n' "$key" >"$SCRATCH/key"
printf '%s\n' "$ingest" >"$SCRATCH/ingest"
chmod 600 "$SCRATCH/key" "$SCRATCH/ingest"
if start_node "$LOG" --http-addr '[::1]:0' --http-addr '[fd77::2]:0' \
    --http-addr "[$LINK_B%$IF_B]:0" --insecure; then
    ok "a node listens on IPv6"
else
    not_ok "a node listens on IPv6"
fi
loopback=$(port_of '[::1]')
port=$(port_of '[fd77::2]')
check "and says where, in brackets" test -n "$loopback" -a -n "$port"
link=$(port_of "[$LINK_B%$IF_B]") || link=$(port_of "[$LINK_B]")

check_equal "[::1] answers" 200 "$(status "$NS_B" "http://[::1]:$loopback/interfaces")"
check_equal "localhost is its name" 200 \
    "$(status "$NS_B" "http://[::1]:$loopback/interfaces" -H "Host: localhost:$loopback")"
check_equal "an address of the network answers" 200 "$(status "$NS_A" "http://[fd77::2]:$port/interfaces")"
check_equal "a link-local address answers" 200 \
    "$(status "$NS_A" "http://[$LINK_B%25$IF_A]:$link/interfaces")"

# host HOST WANTED: on a connection to [fd77::2].
host() {
    check_equal "Host: $1 is $2" "$2" "$(status "$NS_A" "http://[fd77::2]:$port/interfaces" -H "Host: $1")"
}
host "[fd77::2]" 200
host "[FD77::2]:$port" 200
host "[fd77:0:0:0:0:0:0:2]:$port" 200
host "[fd77::0.0.0.2]" 200
host "[fd77::3]:$port" 403
host "[::1]:$port" 403
host "[::ffff:127.0.0.1]" 403
host "localhost:$port" 200
host "fd77::2" 400
host "[fd77::2" 400
host "[fd77::2]x" 400
host "[]" 400
check_equal "a page of the node itself may ask" 200 \
    "$(status "$NS_A" "http://[fd77::2]:$port/interfaces" -H "Origin: http://[fd77::2]:$port")"
check_equal "one of another port may not" 403 \
    "$(status "$NS_A" "http://[fd77::2]:$port/interfaces" -H "Origin: http://[fd77::2]:1")"

# view follows it over the very wire that is captured.
start_in "$NS_A" "$PR_BIN" view "http://[fd77::2]:$port" --api-key-file "$SCRATCH/key" -i "$IF_B" \
    -w "$SCRATCH/all.pcapng" 2>"$SCRATCH/all.err"
all=$STARTED
start_in "$NS_A" "$PR_BIN" view "[fd77::2]:$port" --api-key-file "$SCRATCH/key" -i "$IF_B" \
    -f 'udp dst port 5555' -w "$SCRATCH/udp.pcapng" 2>"$SCRATCH/udp.err"
udp=$STARTED
streams() { [ "$(status_text /metrics | grep -c '^packetrecorder_stream_packets_total{')" -ge "$1" ]; }
status_text() { in_a curl -g -s -m 10 -H "Authorization: Bearer $key" "http://[fd77::2]:$port$1"; }
check "view http://[ADDRESS]:PORT follows it" wait_for 15 streams 2
send_datagrams

# in_file FILE FILTER: packets.
in_file() { tcpdump -n -r "$1" "$2" 2>/dev/null | grep -c .; }
has_all() { [ "$(in_file "$1" 'udp dst port 5555')" -ge "$PACKETS" ]; }
check "and writes every packet" wait_for 15 has_all "$SCRATCH/udp.pcapng"
check "with no filter too" wait_for 15 has_all "$SCRATCH/all.pcapng"

# A sniffer dials it.
start_in "$NS_A" "$PR_NODE" sniff --server "ws://[fd77::2]:$port/ingest" --insecure --name far \
    --api-key-file "$SCRATCH/ingest" -i "$IF_A" --spool-dir "$SCRATCH/spool" 2>"$SCRATCH/sniff.err"
sniffer=$STARTED
far_is_listed() { status_text /interfaces | grep -q "far:$IF_A"; }
check "sniff --server ws://[ADDRESS]:PORT feeds it" wait_for 15 far_is_listed

stop "$sniffer" >/dev/null
stop "$all"
stop "$udp"
check_equal "to the packet" "$PACKETS" "$(in_file "$SCRATCH/all.pcapng" 'udp dst port 5555')"
check_equal "own traffic over IPv6 is left out" 0 "$(in_file "$SCRATCH/all.pcapng" 'tcp')"
code=0
stop "$NODE_PID" || code=$?
check_equal "the node ends well" 0 "$code"
[ "$tap_failures" = 0 ] || sed 's/^/# /' "$LOG" "$SCRATCH"/*.err
tap_done
