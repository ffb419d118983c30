#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# capture on live interfaces: limits, several interfaces, files beside and in place of a store,
# rotation, signals, what is said at the start and the end, and the errors with their way out.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
two_hosts capture
PR_BIN=$(realpath "$PR_BIN")
cd "$SCRATCH" || exit 1
chmod 755 . # one test runs as nobody

# start_capture ARGUMENT…: in B, in the background, once it sees packets. Its words go to log, its
# answer to out, its process id to $PID.
start_capture() {
    : >log
    ip netns exec "$NS_B" "$PR_BIN" capture "$@" >out 2>log &
    PID=$!
    at_exit kill -9 "$PID"
    wait_for 10 has_said '^session '
}

has_said() { grep -q -- "$1" log; }

# end_of SECONDS: waits for the capture; its exit code, or 124 when it did not end.
end_of() {
    if ! wait_for "$1" has_ended "$PID"; then
        kill -9 "$PID"
        return 124
    fi
    wait "$PID"
}

# send COUNT [FRAME_BYTES]: UDP frames from A, not faster than a few thousand a second.
send() {
    in_a python3 - "$IF_A" "$1" "${2:-100}" <<'PYTHON'
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
size = int(sys.argv[3])
head = bytes.fromhex("0200000000990200000000010800")
for n in range(int(sys.argv[2])):
    ip = bytes.fromhex("4500%04x000000004011000a0a4d00010a4d0002" % (size - 14))
    udp = bytes.fromhex("04d2270f%04x0000" % (size - 34))
    s.send((head + ip + udp).ljust(size, b"a"))
PYTHON
}

packets_in() { tcpdump -nn -r "$1" 2>/dev/null | wc -l; }
counter() { awk -v words="$2" 'index($0, " " words) && $1 ~ /^[0-9]/ { n = $1 } END { print n }' "$1"; }
# check_end NAME CODE: the capture ends, and with this code. Not by check_exit, whose subshell could
# not wait for it.
check_end() {
    local code=0
    end_of 10 || code=$?
    check_equal "$1" "$2" "$code"
}
only=(-- udp port 9999)

test_count() {
    start_capture -i "$IF_B" -w c.pcapng -c 70 "${only[@]}" || not_ok "capture starts"
    send 100
    check_end "-c: ends by itself" 0
    check_equal "-c: exactly so many packets" 70 "$(packets_in c.pcapng)"
    check_equal "-c: captured" 70 "$(counter log 'packets captured')"
    check_equal "-c: the mode of the file" 600 "$(stat -c %a c.pcapng)"
    check "the file says what wrote it" grep -q packetrecorder c.pcapng
    check "the start tells the session" grep -Eqx 'session [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}' log
    check "the start tells the parsed limits" grep -qx 'count 70' log
    check "the end has the lines of tcpdump" sh -c \
        'grep -qx "[0-9]* packets received by filter" log && grep -qx "0 packets dropped by kernel" log'
    check_equal "received is captured and what the limit left" "$(counter log 'packets received')" \
        "$((70 + $(counter log 'packets dropped at the limit')))"
}

test_limits() {
    start_capture -i "$IF_B" -w b.pcapng --max-bytes 1050 "${only[@]}"
    send 20
    check_end "--max-bytes: ends by itself" 0
    check_equal "--max-bytes is not exceeded" 10 "$(packets_in b.pcapng)"
    check "--max-bytes: told as parsed" grep -q '^max-bytes 1050' log

    local began=${EPOCHREALTIME/./}
    start_capture -i "$IF_B" -w t.pcapng -t 700ms "${only[@]}"
    send 5
    check_end "-t: ends by itself" 0
    check_equal "-t: what came before is there" 5 "$(packets_in t.pcapng)"
    check "-t: after the time" test $((${EPOCHREALTIME/./} - began)) -ge 700000

    start_capture -i "$IF_B" -w s.pcapng -s 60 -c 3 "${only[@]}"
    send 3 200
    end_of 10
    check_equal "-s cuts packets" "60 200" "$(tshark -r s.pcapng -T fields -e frame.cap_len \
        -e frame.len 2>/dev/null | sort -u | tr '\t' ' ')"
}

test_interfaces() {
    start_capture -i "$IF_B" -i lo -w m.pcapng -c 8 -- udp or icmp
    send 4
    in_b ping -q -c 2 127.0.0.1 >/dev/null
    check_end "several -i: one session" 0
    check_equal "several -i: both are in the file" "$IF_B lo" \
        "$(tshark -r m.pcapng -T fields -e frame.interface_name 2>/dev/null | sort -ru | xargs)"
    start_capture -i any -w any.pcapng -c 4 "${only[@]}"
    send 4
    check_end "any: captures" 0
    check_equal "any: cooked packets with their interface" 4 \
        "$(tshark -r any.pcapng -Y 'sll.ifindex && udp.port == 9999' 2>/dev/null | wc -l)"
    start_capture -i "$IF_B" -w dir.pcapng --direction out -c 2 -t 5 -- icmp
    in_b ping -q -c 2 -i 0.2 10.77.0.1 >/dev/null
    end_of 10
    check_equal "--direction out: requests alone" "8 8" \
        "$(tshark -r dir.pcapng -T fields -e icmp.type 2>/dev/null | xargs)"
    check_exit "an interface named twice is wrong usage" 2 "$PR_BIN" capture -i lo -i lo -w x
}

test_targets() {
    start_capture -i "$IF_B" -w - -c 5 "${only[@]}"
    send 5
    check_end "-w -: ends" 0
    check_equal "-w -: packets and nothing else" 5 "$(packets_in out)"

    start_capture -i "$IF_B" -d p.db -p beside.pcap -c 6 --name both --tag a=1 --json "${only[@]}"
    send 6
    check_end "-p: ends" 0
    check_equal "-p: the file" 6 "$(packets_in beside.pcap)"
    check_equal "-p .pcap is classic with nanoseconds" 4d3cb2a1 \
        "$(od -An -tx1 -N 4 beside.pcap | tr -d ' ')"
    check_equal "--json: the session object" "6 complete both 1 $IF_B EN10MB 0" "$(jq -r \
        '"\(.packets) \(.state) \(.name) \(.tags.a) \(.interfaces[0].name) \(.interfaces[0].link_type) \(.loss.kernel)"' out)"
    check_equal "the store: the same packets" 6 "$("$PR_BIN" query -d p.db --count)"
    check_equal "the store: the id that was told" "$(sed -n 's/^session //p' log)" \
        "$("$PR_BIN" sessions -d p.db --json | jq -r '.[0].id')"

    : >log
    ip netns exec "$NS_B" "$PR_BIN" capture -i "$IF_B" -w - -t 20 "${only[@]}" 2>log \
        > >(head -c 200 >/dev/null) &
    PID=$!
    wait_for 10 has_said '^session '
    send 50
    check_end "a closed pipe ends it cleanly" 0
    check "a closed pipe: with counters" grep -q 'packets captured' log
}

test_rotation() {
    start_capture -i "$IF_B" -w r.pcapng --rotate-size 2000 -c 60 "${only[@]}"
    send 60
    end_of 10
    local files=(r_000*.pcapng) sum=0 file large=0
    for file in "${files[@]}"; do
        sum=$((sum + $(packets_in "$file")))
        [ "$(stat -c %s "$file")" -le 2000 ] || large=1
    done
    check "--rotate-size: several files, named in order" \
        sh -c 'ls r_00001_2*.pcapng r_00002_2*.pcapng'
    check_equal "--rotate-size: no packet is missing" 60 "$sum"
    check_equal "--rotate-size is kept" 0 "$large"
    start_capture -i "$IF_B" -w n.pcapng --rotate-size 2000 --rotate-files 2 -c 60 "${only[@]}"
    send 60
    end_of 10
    check_equal "--rotate-files keeps the newest" 2 "$(find . -name 'n_*.pcapng' | wc -l)"
    start_capture -i "$IF_B" -w q.pcapng --rotate-time 300ms -t 1500ms "${only[@]}"
    for _ in 1 2 3 4 5 6; do
        send 2
        sleep 0.15
    done
    end_of 10
    check "--rotate-time: several files" test "$(find . -name 'q_*.pcapng' | wc -l)" -ge 3
    check_exit "rotation of standard output is wrong usage" 2 \
        in_b "$PR_BIN" capture -i "$IF_B" -w - --rotate-size 1k
}

test_signals() {
    local signal
    for signal in INT TERM; do
        start_capture -i "$IF_B" -w "$signal.pcapng" "${only[@]}"
        send 9
        kill -$signal "$PID"
        check_end "SIG$signal: ends with everything written" 0
        check_equal "SIG$signal: all packets" 9 "$(packets_in "$signal.pcapng")"
        check_equal "SIG$signal: told at the end" 9 "$(counter log 'packets captured')"
    done
    start_capture -i "$IF_B" -w usr.pcapng "${only[@]}"
    send 3
    kill -USR1 "$PID"
    check "SIGUSR1 prints the counters" wait_for 5 has_said '^3 packets captured'
    send 2
    kill -INT "$PID"
    check_end "SIGUSR1: the capture goes on" 0
    check_equal "SIGUSR1: and has all packets" 5 "$(packets_in usr.pcapng)"
    test_second_interrupt
}

# A reader that does not read holds up the end; the second interrupt does not wait for it.
test_second_interrupt() {
    mkfifo fifo
    exec 9<>fifo # open at both ends, and never read
    start_capture -i "$IF_B" -w fifo "${only[@]}"
    send 3000 1400
    kill -INT "$PID"
    sleep 0.5
    kill -INT "$PID"
    check_end "a second SIGINT ends at once with 130" 130
    exec 9<&-

    start_capture -i "$IF_B" -d two.db -p two.pcapng "${only[@]}"
    send 20
    kill -INT "$PID"
    kill -INT "$PID"
    end_of 10
    check "two SIGINTs leave a valid file" capinfos two.pcapng
    check "two SIGINTs leave a valid store" "$PR_BIN" verify -d two.db
}

test_errors() {
    local said
    said=$(in_b "$PR_BIN" capture -i "${IF_B}x" -w x 2>&1)
    check_equal "no such interface: exit 1" 1 $?
    check "no such interface: the nearest is named" grep -q "'$IF_B'" <<<"$said"
    said=$(in_b "$PR_BIN" capture -i "$IF_B" -w x -- tcp prot 80 2>&1)
    check_equal "a bad filter: exit 1" 1 $?
    check "a bad filter: the word is named" grep -q "prot" <<<"$said"
    said=$(in_b "$PR_BIN" capture 2>&1)
    check_equal "no source: wrong usage" 2 $?
    check "no source: the interfaces are named" grep -q "$IF_B" <<<"$said"
    check_exit "-i and -r exclude each other" 2 "$PR_BIN" capture -i lo -r x
    check_exit "-w and -d exclude each other" 2 "$PR_BIN" capture -i lo -w x -d y.db
    cp "$PR_BIN" pr && chmod 755 pr
    said=$(in_b setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all \
        ./pr capture -i "$IF_B" -w /dev/null 2>&1)
    check_equal "no permission: exit 1" 1 $?
    check "no permission: the capability" grep -q CAP_NET_RAW <<<"$said"
    check "no permission: the setcap line" \
        grep -q "setcap cap_net_raw,cap_net_admin=eip $SCRATCH/pr" <<<"$said"
}

# Numbered packets as fast as they can be sent, so that many come while the filter is set.
send_numbers() {
    cat >numbers.py <<'PYTHON'
import itertools, socket, struct, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind((sys.argv[1], 0))
head = bytes.fromhex("0200000000990200000000010800"
                     "4500002c000000004011000a0a4d00010a4d000204d2270f00180000")
for n in itertools.count():
    s.send(head + b"NUMBERED" + struct.pack("<Q", n))
PYTHON
    start_in "$NS_A" python3 numbers.py "$IF_A"
}

gaps_in() {
    PYTHONPATH=$PR_SUPPORT python3 - "$1" <<'PYTHON'
import sys
from recorder import numbers_of, read_pcap
numbers = numbers_of(read_pcap(open(sys.argv[1], "rb").read()))
print([(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1] if numbers else "nothing")
PYTHON
}

# What the ring held before the filter was set is not followed by a hole.
test_start() {
    local i gaps=""
    send_numbers
    for i in 1 2 3 4 5 6 7 8 9 10; do
        in_b "$PR_BIN" capture -i "$IF_B" -w start.pcap -c 500 -t 20 "${only[@]}" 2>log
        gaps+=$(gaps_in start.pcap)
        [ "$(counter log 'packets received')" = $((500 + $(counter log 'packets dropped at the limit') + \
            $(counter log 'packets dropped by kernel'))) ] || gaps+=" $(cat log)"
    done
    check_equal "ten captures in a flood begin without a gap, and count what they got" \
        "[][][][][][][][][][]" "$gaps"
    kill -9 "$STARTED" && wait "$STARTED" 2>/dev/null
}

test_vanishing() {
    in_b ip link add gone0 type veth peer name gone1
    in_b ip link set gone0 up
    in_b ip link set gone1 up
    in_b ip addr add 10.78.0.1/24 dev gone0
    start_capture -i gone0 -w gone.pcapng
    in_b ping -q -c 1 -W 1 10.78.0.9 >/dev/null
    wait_for 5 grep -aq . gone.pcapng
    in_b ip link del gone0
    check_end "an interface that vanishes ends the capture with 1" 1
    check "an interface that vanishes: it is named" has_said "gone0"
    check "an interface that vanishes: the counters are told" has_said 'packets captured'
    check "an interface that vanishes: the file is valid" capinfos gone.pcapng
}

test_full_disk() {
    mkdir full
    if ! mount -t tmpfs -o size=200k tmpfs full; then
        skip "a full disk" "no tmpfs can be mounted"
        return
    fi
    at_exit umount full
    start_capture -i "$IF_B" -w full/f.pcapng "${only[@]}"
    send 1000 1000
    check_end "a full disk ends it with 1" 1
    check "a full disk is named" has_said 'full'
    check "a full disk: the file is valid up to there" \
        test "$(packets_in full/f.pcapng)" -gt 100
    check "a full disk: nothing is cut" sh -c '! capinfos full/f.pcapng 2>&1 | grep -qi "cut short"'
}

test_flood() {
    if ! flood 1 100 >/dev/null 2>&1; then
        skip "a flood" "the flood generator does not run here"
        return
    fi
    start_capture -i "$IF_B" -w flood.pcapng "${only[@]}"
    flood 300000 102 >/dev/null
    kill -INT "$PID"
    end_of 10
    local captured lost
    captured=$(counter log 'packets captured')
    lost=$(($(counter log 'packets dropped by kernel') + $(counter log 'packets dropped at the file')))
    check_equal "a flood: every packet is captured or counted as lost" 300000 \
        $((captured + $(counter log 'packets dropped by kernel')))
    check_equal "a flood: the file holds what is not lost" $((300000 - lost)) \
        "$(capinfos -Mc flood.pcapng | awk '/Number of packets/ { print $NF }')"
    check_equal "a flood: the ledger adds up" "$(counter log 'packets received')" \
        $((captured + $(counter log 'packets dropped by kernel')))
}

test_count
test_limits
test_interfaces
test_targets
test_rotation
test_signals
test_errors
test_start
test_vanishing
test_full_disk
test_flood
tap_done
