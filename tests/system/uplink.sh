#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Sniffers that feed a node over TLS: ten at once; while numbered packets flow the node is killed and
# stopped, the network cut, a sniffer ended, killed and started again. Every number arrives once and
# in order, or is counted as dropped. Then buffers that fill, an interface that goes and comes back,
# keys of the wrong role, and peers that are no sniffers of ours.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
two_hosts uplink
PR_BIN=$(realpath "$PR_BIN")
DAEMON=${PR_DAEMON:-$(realpath "$PR_BUILD/node/packetrecorderd")}
cd "$SCRATCH" || exit 1
SNIFFERS=10
SERVER=wss://10.77.0.2:8443/ingest

make_certificates() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=test-ca \
        -keyout ca.key -out ca.pem &&
        openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=node \
            -keyout node.key -out node.csr &&
        openssl x509 -req -in node.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 \
            -extfile <(echo subjectAltName=IP:10.77.0.2) -out node.pem
}

# start_node DATABASE [OPTION…]: in B; its words go to node.log.
start_node() {
    local database=$1
    shift
    : >node.log
    ip netns exec "$NS_B" "$DAEMON" --http-addr 10.77.0.2:8443 --tls-cert node.pem --tls-key node.key \
        --database "$database" "$@" 2>node.log &
    NODE=$!
    at_exit kill -9 "$NODE"
    wait_for 10 grep -q 'is ready' node.log
}

# start_sniffer NAME PORT [OPTION…]: in A, captures the packets to that port on lo; sets $PID.
start_sniffer() {
    local name=$1 port=$2
    shift 2
    ip netns exec "$NS_A" "$DAEMON" sniff --server "$SERVER" --ca-file ca.pem --api-key-file ingest.key \
        --name "$name" -i "${IFACE:-lo}" -f "udp dst port $port" "$@" 2>>"$name.log" &
    PID=$!
    at_exit kill -9 "$PID"
    wait_for 10 grep -q 'capturing on' "$name.log"
}

# start_sender FIRST_PORT PORTS RATE [COUNT [BYTES]]
start_sender() {
    rm -f sent
    ip netns exec "$NS_A" python3 "$PR_SUPPORT/numbered_ports.py" send 127.0.0.1 "$1" "$2" "$3" sent "${@:4}" &
    SENDER=$!
    at_exit kill -9 "$SENDER"
}

stop_sender() {
    kill -TERM "$SENDER"
    wait "$SENDER"
    SENT=$(cat sent)
}

get() { in_b curl -s --cacert ca.pem -H "Authorization: Bearer $(cat admin.key)" "https://10.77.0.2:8443$1"; }
uplink_field() {
    get /api/v1/interfaces |
        python3 -c 'import json,sys; print(next(i for i in json.load(sys.stdin) if i["name"]==sys.argv[1])[sys.argv[2]])' "$1" "$2"
}
is_up() { [ "$(uplink_field "$1" state)" = up ]; }
has_packets() { [ "$(uplink_field "$1" packets)" -ge "$2" ]; }
all_are_up() {
    local i
    for ((i = 0; i < SNIFFERS; i++)); do
        is_up "s$i:lo" || return 1
    done
}

# export_port DATABASE PORT FILE: from the store, in the order that it was recorded.
export_port() {
    rm -f "$3"
    "$PR_BIN" export --database "$1" -s all -o "$3" -- "udp dst port $2" >/dev/null 2>&1
}

# check_numbers NAME DATABASE PORT SENT [--holes]
check_numbers() {
    local name=$1 file="port$3.pcapng"
    export_port "$2" "$3" "$file"
    if python3 "$PR_SUPPORT/numbered_ports.py" check "$3" "$4" "$file" "${@:5}" >/dev/null 2>why; then
        ok "$name"
    else
        not_ok "$name"
        sed 's/^/# /' why
    fi
}

# check_end NAME PID: SIGTERM ends it, with 0. Not by check_exit, whose subshell could not wait for it.
check_end() {
    local code=0
    stop "$2" || code=$?
    check_equal "$1" 0 "$code"
}

add_key() { "$PR_BIN" keys add --role "$1" --database "$2" >"$1.key" 2>/dev/null && chmod 600 "$1.key"; }
share_keys() { mkdir -p "$1.d" && cp -p node.db.d/api-keys "$1.d/"; }
need openssl zstd curl
make_certificates >openssl.log 2>&1 || skip_all "openssl cannot make certificates"
for role in ingest view admin; do
    add_key "$role" node.db || exit 1
done

# --- everything breaks while ten sniffers send -------------------------------------------------
start_node node.db --ingest-record || not_ok "the node starts"
PIDS=()
for ((i = 0; i < SNIFFERS; i++)); do
    start_sniffer "s$i" $((9000 + i)) --spool-dir "spool$i"
    PIDS+=("$PID")
done
check "ten sniffers are up" wait_for 15 all_are_up
start_sender 9000 "$SNIFFERS" 200
check "packets arrive" wait_for 10 has_packets s9:lo 100

kill -9 "$NODE"
wait "$NODE" 2>/dev/null
start_node node.db --ingest-record
check "all are back after the node was killed" wait_for 30 all_are_up

kill -STOP "$NODE"
waits_in_node() { [ "$(in_b ss -Htn state established sport = :8443 | awk '$1 > 0' | wc -l)" -ge "$SNIFFERS" ]; }
check "what comes meanwhile waits" wait_for 10 waits_in_node
kill -CONT "$NODE"
check "packets go on after the node was stopped" wait_for 10 has_packets s0:lo 10

ip -n "$NS_A" link set "$IF_A" down
waits_in_sniffers() { [ "$(in_a ss -Htn state established dport = :8443 | awk '$2 > 0' | wc -l)" -ge "$SNIFFERS" ]; }
check "what is sent meanwhile waits" wait_for 10 waits_in_sniffers
ip -n "$NS_A" link set "$IF_A" up
before=$(uplink_field s3:lo packets)
check "packets go on after the network was cut" wait_for 20 has_packets s3:lo $((before + 50))

check_end "a sniffer ends with 0" "${PIDS[1]}"
start_sniffer s1 9001 --spool-dir spool1
PIDS[1]=$PID
kill -9 "${PIDS[2]}"
wait "${PIDS[2]}" 2>/dev/null
start_sniffer s2 9002 --spool-dir spool2
PIDS[2]=$PID
check "the restarted ones are back" wait_for 30 all_are_up

stop_sender
for ((i = 0; i < SNIFFERS; i++)); do
    check_end "sniffer $i ends with 0" "${PIDS[i]}"
done
check_end "the node ends with 0" "$NODE"
for ((i = 0; i < SNIFFERS; i++)); do
    if [ "$i" = 1 ] || [ "$i" = 2 ]; then # nobody captured while they were away
        check_numbers "sniffer $i: no number comes twice" node.db $((9000 + i)) "$SENT" --holes
    else
        check_numbers "sniffer $i: every number once and in order ($SENT)" node.db $((9000 + i)) "$SENT"
    fi
    [ ! -d "spool$i" ] ||
        check_equal "sniffer $i: nothing is left in the spool" "" "$(find "spool$i" -name '*.pcapng')"
done

# --- a node that is away: memory, then disk, then drop -------------------------------------------
start_sniffer full 9100 --memory 1MiB --spool-dir spoolfull --spool-size 2MiB --no-compress
FULL=$PID
start_sniffer small 9100 --memory 1MiB
SMALL=$PID
start_sender 9100 1 4000 12000 1000
wait "$SENDER"
SENT=$(cat sent)
check "the spool is used" test -n "$(find spoolfull -name '*.pcapng')"
check "and keeps to its limit" test "$(du -sb spoolfull/lo | cut -f1)" -le $((2 * 1024 * 1024 + 65536))
check_equal "its files are the owner's alone" "" "$(find spoolfull -type f -perm /077)"
share_keys full.db
start_node full.db --ingest-record
is_full_up() { is_up full:lo && is_up small:lo; }
check "the sniffers come back" wait_for 30 is_full_up
all_came() { [ "$(uplink_field "$1" behind)" = 0 ] && [ "$(dropped_and_packets "$1")" = "$SENT" ]; }
dropped_and_packets() {
    get /api/v1/interfaces |
        python3 -c 'import json,sys; u=next(i for i in json.load(sys.stdin) if i["name"]==sys.argv[1]); print(u["packets"]+u["lost"]["dropped"])' "$1"
}
check "what came and what was dropped is what was captured (disk)" wait_for 15 all_came full:lo
check "what came and what was dropped is what was captured (memory)" wait_for 15 all_came small:lo
dropped=$(get /api/v1/interfaces | python3 -c 'import json,sys; print(next(i for i in json.load(sys.stdin) if i["name"]=="full:lo")["lost"]["dropped"])')
check "something was dropped" test "$dropped" -gt 0
get /metrics >metrics
check "metrics tell it" grep -q "^packetrecorder_uplink_dropped_packets_total{interface=\"full:lo\"} $dropped\$" metrics
check_end "the sniffer ends with 0" "$FULL"
stop "$SMALL"
check "the sniffer counts the same" grep -q " 0 in the spool, $dropped dropped" full.log

# --- an interface that goes and comes back ------------------------------------------------------
ip -n "$NS_A" link add gone0 type veth peer name gone1
ip -n "$NS_A" link set gone1 up
ip -n "$NS_A" addr add 10.78.0.1/24 dev gone0
ip -n "$NS_A" link set gone0 up
IFACE=gone0 start_sniffer dummy 9200
DUMMY=$PID
check "a sniffer of it is up" wait_for 10 is_up dummy:gone0
ip -n "$NS_A" link del gone0
check "that it is gone is told" wait_for 10 grep -q "it is tried again" dummy.log
check "its uplink stays up" is_up dummy:gone0
ip -n "$NS_A" link add gone0 type veth peer name gone1
ip -n "$NS_A" link set gone1 up
ip -n "$NS_A" addr add 10.78.0.1/24 dev gone0
ip -n "$NS_A" link set gone0 up
is_back() { [ "$(grep -c 'capturing on' dummy.log)" -ge 2 ]; }
check "it is captured again when it is back" wait_for 10 is_back
send_one() {
    in_a python3 -c 'import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("10.78.0.2", 9200))'
    has_packets dummy:gone0 1
}
ip -n "$NS_A" neigh add 10.78.0.2 lladdr 02:00:00:00:00:01 dev gone0
check "and its packets arrive" wait_for 10 send_one
stop "$DUMMY"

# --- keys, names, and peers that are no sniffers of ours ------------------------------------------
ip netns exec "$NS_A" "$DAEMON" sniff --server "$SERVER" --ca-file ca.pem --api-key-file view.key -i lo 2>wrong.log &
WRONG=$!
at_exit kill -9 "$WRONG"
check "a key of another role is refused with 403" wait_for 10 grep -q 'the node answered 403' wrong.log
stop "$WRONG"
check_exit "without TLS to another host: only with --insecure" 2 \
    "$DAEMON" sniff --server ws://10.77.0.2:8443/ingest --api-key-file ingest.key -i lo
check_exit "an interface that is not there is told at the start" 1 \
    "$DAEMON" sniff --server "$SERVER" --api-key-file ingest.key -i nothere0
stop "$NODE"
share_keys plain.db
ip netns exec "$NS_B" "$DAEMON" --http-addr 127.0.0.1:0 --database plain.db --ingest-buffer 1MiB 2>plain.log &
NODE=$!
at_exit kill -9 "$NODE"
wait_for 10 grep -q 'is ready' plain.log
PORT=$(grep -oE '127\.0\.0\.1:[0-9]+' plain.log | head -1 | cut -d: -f2)
peer() { in_b python3 "$PR_SUPPORT/uplink_peer.py" 127.0.0.1 "$PORT" "$(cat "${2:-ingest}.key")" "$1"; }
check_equal "a fair peer stays" open "$(peer fair)"
check_equal "text is ignored" open "$(peer text)"
check_equal "a zip bomb is too large" 1009 "$(peer bomb)"
check_equal "packets before there is credit" 1008 "$(peer early)"
check_equal "a count that is not true" 1003 "$(peer liar)"
check_equal "bytes that are no pcapng" 1003 "$(peer noise)"
check_equal "interfaces without end" 1009 "$(peer endless_interfaces)"
check_equal "a message without end" 1009 "$(peer huge)"
check_equal "a second sniffer of the same name" 409 "$(peer second)"
check_equal "a name that is a path" 400 "$(peer bad_name)"
check_equal "another version" 400 "$(peer old_version)"
check_equal "a key that may view" 403 "$(peer fair view)"
check_equal "the node takes fair ones still" open "$(peer fair)"
check_end "the node ends with 0 after all that" "$NODE"

[ -z "${PR_KEEP:-}" ] || cp -r "$SCRATCH" "$PR_KEEP"
# Nothing here is silent for so long.
check "no sniffer took a node that talks for a silent one" \
    sh -c '! grep -H "nothing was heard" ./*.log'
tap_done
