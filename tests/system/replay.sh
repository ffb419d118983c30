#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# replay: what is sent from one namespace is captured in the other, byte by byte and in order; how
# well the recorded gaps are kept; what is not sent and why; that looking on needs no rights.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
two_hosts replay
PR_BIN=$(realpath "$PR_BIN")
cd "$SCRATCH" || exit 1

# frames.py FILE COUNT GAP_US [KIND]: Ethernet frames, each different, of 60 to 1518 bytes, every
# fifth with a VLAN tag. KIND `odd` adds one cut, one over the MTU, one raw IP and one too short.
cat >frames.py <<'PYTHON'
import random
import struct
import sys

path, count, gap_us = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
random.seed(count)
now = 1_700_000_000_000_000_000


def block(kind, body):
    body += b"\0" * (-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def interface(link_type, name):
    options = struct.pack("<HH", 2, len(name)) + name + b"\0" * (-len(name) % 4)
    options += struct.pack("<HHBxxx", 9, 1, 9) + struct.pack("<HH", 0, 0)
    return block(1, struct.pack("<HHI", link_type, 0, 0) + options)


def packet(iface, data, wire=None):
    global now
    now += gap_us * 1000
    size = len(data) if wire is None else wire
    head = struct.pack("<IIIII", iface, now >> 32, now & 0xFFFFFFFF, len(data), size)
    return block(6, head + data)


def frame(n, size):
    head = bytes.fromhex("020000000099020000000001")
    tag = struct.pack(">HH", 0x8100, n % 4000 + 1) if n % 5 == 0 else b""
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, size - 14, n & 0xFFFF, 0, 64, 17, 0,
                     b"\x0a\x4d\x00\x01", b"\x0a\x4d\x00\x02")
    udp = struct.pack(">HHHH", 1000 + n % 500, 53 if n % 2 else 9999, size - 34, 0)
    body = random.randbytes(size - 42)
    return head + tag + struct.pack(">H", 0x0800) + ip + udp + body


with open(path, "wb") as out:
    out.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
    out.write(interface(1, b"eth-recorded") + interface(101, b"tun-recorded"))
    for n in range(count):
        out.write(packet(0, frame(n, random.choice((60, 61, 128, 590, 1514)))))
    if sys.argv[4:] == ["odd"]:
        out.write(packet(0, frame(1, 100)[:60], 100))
        out.write(packet(0, frame(1, 9000)))
        out.write(packet(1, frame(1, 100)[14:]))
        out.write(packet(0, b"short"))
PYTHON

packetrecorder() { "$PR_BIN" "$@"; }
replay_in_a() { in_a "$PR_BIN" replay "$@"; }

# bytes_of FILE…: the captured bytes in hex, a line a packet, as a query of our own prints them.
bytes_of() {
    rm -rf "$1.db" "$1.db.d"
    "$PR_BIN" capture -r "$1" -d "$1.db" --quiet >/dev/null 2>&1 &&
        "$PR_BIN" query -d "$1.db" -l 0 --json --show-data -- "${@:2}" |
        python3 -c 'import json, sys
for line in sys.stdin: print(json.loads(line)["data"])'
}

# from_json KEY…: a value of a JSON object on standard input.
from_json() {
    python3 -c 'import json, sys
value = json.load(sys.stdin)
for key in sys.argv[1:]: value = value[key]
print(value)' "$@"
}

# captured_while FILE COUNT COMMAND…: captures COUNT packets in B into FILE while the command runs.
captured_while() {
    local file=$1 count=$2 pid
    shift 2
    : >capture.log
    in_b "$PR_BIN" capture -i "$IF_B" -w "$file" -c "$count" -t 60 2>capture.log \
        -- ether dst 02:00:00:00:00:99 &
    pid=$!
    wait_for 10 is_capturing capture.log || return 1
    "$@" || return 1
    wait_for 20 has_ended "$pid" || kill -INT "$pid"
    wait "$pid"
}

same_bytes() { cmp <(bytes_of "$1" "${@:3}") <(bytes_of "$2"); }

test_bytes() {
    check "real time: everything arrives" \
        captured_while real.pcapng 500 replay_in_a -r whole.pcapng -i "$IF_A"
    check "real time: the same bytes in the same order" same_bytes whole.pcapng real.pcapng
    check "as fast as possible: everything arrives" \
        captured_while fast.pcapng 500 replay_in_a -r whole.pcapng -i "$IF_A" --speed 0
    check "as fast as possible: the same bytes in the same order" \
        same_bytes whole.pcapng fast.pcapng
    check "from a store: everything arrives" \
        captured_while store.pcapng 500 replay_in_a -d whole.db -i "$IF_A" --speed 100
    check "from a store: the same bytes in the same order" same_bytes whole.pcapng store.pcapng
    check "with a filter: everything arrives" captured_while dns.pcapng 200 \
        replay_in_a -d whole.db -i "$IF_A" --speed 0 -- udp port 53
    check "with a filter: the packets that match" \
        same_bytes whole.pcapng dns.pcapng udp port 53
}

test_counts() {
    check_equal "-c ends after so many" 7 \
        "$(replay_in_a -r whole.pcapng -i "$IF_A" --speed 0 -c 7 --json | from_json sent)"
    check_equal "--loop repeats" 1500 \
        "$(replay_in_a -r whole.pcapng -i "$IF_A" --speed 0 --loop 3 --json | from_json sent)"
    check_equal "-c counts over all loops" 1234 \
        "$(replay_in_a -d whole.db -i "$IF_A" --speed 0 --loop 0 -c 1234 --json | from_json sent)"
    check_equal "a loop without packets ends" 0 \
        "$(replay_in_a -r whole.pcapng -i "$IF_A" --loop 0 --json -- tcp | from_json sent)"
    check_exit "standard input cannot be looped" 2 replay_in_a -r - -i "$IF_A" --loop 2
    check "standard input is replayed" replay_in_a -r - -i "$IF_A" --speed 0 <whole.pcapng
}

# timing_is_kept OPTIONS…: other work on the machine can spoil a run; five are made at most.
timing_is_kept() {
    local try
    for try in 1 2 3 4 5; do
        in_a nice -n -20 "$PR_BIN" replay "$@" -i "$IF_A" --json >timing.json || return 1
        if [ "$(from_json gap_error median_ns <timing.json)" -le 50000 ] &&
            [ "$(from_json gap_error p99_ns <timing.json)" -le 1000000 ]; then
            return 0
        fi
        echo "try $try: other work on this machine?"
    done
    cat timing.json
    return 1
}

# near WANTED FOUND PERCENT
near() { [ $((($2 - $1) * 100)) -le $(($1 * $3)) ] && [ $((($1 - $2) * 100)) -le $(($1 * $3)) ]; }

test_timing() {
    check "a packet a millisecond: gaps within 50 us, 99 % within 1 ms" \
        timing_is_kept -r whole.pcapng
    check "half a second is half a second" \
        near 499000000 "$(from_json duration_ns <timing.json)" 5
    check "50000 packets a second: gaps within 50 us, 99 % within 1 ms" timing_is_kept -r dense.pcapng
    check "twice as fast" timing_is_kept -r whole.pcapng --speed 2
    check "half a second is a quarter" near 249500000 "$(from_json duration_ns <timing.json)" 5
    check_equal "as fast as possible has no timing error" None \
        "$(replay_in_a -r whole.pcapng -i "$IF_A" --speed 0 --json | from_json gap_error p99_ns)"
}

test_reasons() {
    check_exit "what cannot be sent ends with 3" 3 \
        replay_in_a -r odd.pcapng -i "$IF_A" --speed 0
    replay_in_a -r odd.pcapng -i "$IF_A" --speed 0 --json >odd.json 2>odd.log
    check_equal "the others are sent" 20 "$(from_json sent <odd.json)"
    check_equal "one was cut" 1 "$(from_json not_sent cut <odd.json)"
    check_equal "one is over the MTU" 1 "$(from_json not_sent over_mtu <odd.json)"
    check_equal "one is of another link type" 1 "$(from_json not_sent link_type <odd.json)"
    check_equal "one has no whole header" 1 "$(from_json not_sent malformed <odd.json)"
    check_equal "each reason has a line" 4 \
        "$(replay_in_a -r odd.pcapng -i "$IF_A" --speed 0 2>/dev/null | grep -c 'packets not sent:')"
    ip -n "$NS_A" link set "$IF_A" mtu 9000
    check_equal "what the other end does not take is counted" 1 \
        "$(replay_in_a -r odd.pcapng -i "$IF_A" --speed 0 --json 2>/dev/null |
            from_json not_sent refused)"
    ip -n "$NS_B" link set "$IF_B" mtu 9000
    check_equal "with a larger MTU on both ends it is sent" 21 \
        "$(replay_in_a -r odd.pcapng -i "$IF_A" --speed 0 --json 2>/dev/null | from_json sent)"
    ip -n "$NS_A" link set "$IF_A" mtu 1500
    ip -n "$NS_B" link set "$IF_B" mtu 1500
}

# says TEXT COMMAND…
says() { [[ $("${@:2}" 2>&1) == *"$1"* ]]; }

test_refusals() {
    check "the loopback is refused by name" says "'lo'" replay_in_a -r whole.pcapng -i lo
    check_exit "and that is a failure" 1 replay_in_a -r whole.pcapng -i lo
    check "a missing interface is answered with the nearest" says "did you mean '$IF_A'" \
        replay_in_a -r whole.pcapng -i "${IF_A}x"
    check "the recorded interface is the default" says "eth-recorded" replay_in_a -r whole.pcapng
    check "without rights the capability and the setcap line are named" \
        says "setcap cap_net_raw" in_a setpriv --bounding-set=-all --inh-caps=-all \
        --reuid 65534 --clear-groups "$PR_BIN" replay -r whole.pcapng -i "$IF_A"
    ip -n "$NS_A" link set "$IF_A" down
    check "an interface that is down is named" says "is down" \
        replay_in_a -r whole.pcapng -i "$IF_A"
    ip -n "$NS_A" link set "$IF_A" up
    wait_for 10 link_is_up
}

test_recorded_interface() {
    : >capture.log
    in_a "$PR_BIN" capture -i "$IF_A" -d recorded.db -c 5 -t 20 2>capture.log \
        -- ether dst 02:00:00:00:00:99 >/dev/null &
    local pid=$!
    wait_for 10 is_capturing capture.log
    replay_in_a -r whole.pcapng -i "$IF_A" --speed 0 >/dev/null
    wait "$pid"
    check_equal "a session goes out where it was recorded" 5 \
        "$(replay_in_a -d recorded.db --speed 0 --json | from_json sent)"
}

test_display() {
    setpriv --reuid 65534 --clear-groups "$PR_BIN" replay -r whole.pcapng --display-only --speed 10 \
        >shown.txt 2>shown.log
    check_equal "--display-only prints every packet, without rights" 500 "$(wc -l <shown.txt)"
    check "as query prints them" cmp shown.txt \
        <(packetrecorder query -d whole.db -l 0)
    check_equal "as objects with --json" 53 "$(packetrecorder replay -r whole.pcapng --json \
        --display-only --speed 0 -c 2 2>/dev/null | tail -n 1 | from_json dport)"
    check "the summary is on standard error" grep -q '^500 packets shown' shown.log
}

test_interrupt() {
    replay_in_a -r whole.pcapng -i "$IF_A" --speed 0.01 >interrupt.txt 2>&1 &
    local pid=$! code=0
    sleep 0.3
    kill -INT "$(pgrep -P "$pid" -x packetrecorder || echo "$pid")"
    wait_for 5 has_ended "$pid"
    wait "$pid" || code=$?
    check_equal "an interrupt ends it cleanly" 0 "$code"
    check "with the summary" grep -q 'packets sent' interrupt.txt
}

python3 frames.py whole.pcapng 500 1000
python3 frames.py dense.pcapng 50000 20
python3 frames.py odd.pcapng 20 1000 odd
"$PR_BIN" capture -r whole.pcapng -d whole.db --quiet >/dev/null 2>&1
chmod -R a+rX .
test_bytes
test_counts
test_timing
test_reasons
test_refusals
test_recorded_interface
test_display
test_interrupt
tap_done
