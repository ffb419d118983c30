#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a user, or a script with a mistake in it, meets at the edges of the contract: nothing of
# theirs is destroyed, nothing is left out in silence, no failure leaves a session behind.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
need python3 cmp
scratch_dir acceptance || skip_all "no scratch folder"
mkdir "$SCRATCH/bin"
ln -s "$(realpath "$PR_BIN")" "$SCRATCH/bin/packetrecorder"
PATH=$SCRATCH/bin:$PATH
make_capture=$PR_SUPPORT/make_capture.py
cd "$SCRATCH" || exit 1
readonly PACKETS=20000 # more than one read of the file holds

n_sessions() { packetrecorder sessions -d "$1" --json | python3 -c 'import json, sys
print(len(json.load(sys.stdin)))'; }
# says TEXT COMMAND…: on standard error, whatever it ends with.
says() { [[ $("${@:2}" 2>&1 >/dev/null) == *"$1"* ]]; }
capture() { packetrecorder capture --quiet "$@"; }
with_input() { "${@:2}" <"$1"; }

test_inputs_survive() {
    cp mixed.pcap input.pcap
    check_exit "-w does not take the file of -r" 2 capture -r input.pcap -w input.pcap
    check_exit "nor under another name" 2 capture -r input.pcap -w ./input.pcap
    check_exit "nor as standard input" 2 with_input input.pcap capture -r - -w input.pcap
    check_exit "-p does not either" 2 capture -r input.pcap -d new.db -p input.pcap
    check "and the file is as it was" cmp mixed.pcap input.pcap
    check "an import into a store works" capture -r input.pcap -d store.db
    cp store.db before.db
    check_exit "-p does not take the store" 2 capture -r input.pcap -d store.db -p store.db
    check_equal "which is still one" 1 "$(n_sessions store.db)"
}

test_no_session_without_capture() {
    capture -r two.pcapng -d none.db -p none.pcap 2>/dev/null
    check_equal "a file beside that cannot hold the packets makes no session" 0 \
        "$(n_sessions none.db)"
    capture -r mixed.pcap -d none.db -p /no/such/place.pcap 2>/dev/null
    check_equal "nor does one that cannot be made" 0 "$(n_sessions none.db)"
}

test_names() {
    local name
    for name in last all $'\xff' "$(printf 'x%.0s' {1..256})"; do
        check_exit "a session is not named $(printf %.4q "$name")" 2 \
            capture -r mixed.pcap -d names.db --name "$name"
    done
    name=$'a "quoted"\nÜñí name'
    check "a session may have a strange name" capture -r mixed.pcap -d names.db --name "$name"
    check_equal "and is found by it" $PACKETS \
        "$(packetrecorder query -d names.db -s "$name" --count)"
}

test_places() {
    local db
    for db in ':memory:' 'file:x.db?mode=memory' $'a "b"\n\'c.db' -dash.db; do
        check "a store may be called $(printf %.20q "$db")" capture -r mixed.pcap "-d$db"
        check_equal "and is found again" $PACKETS "$(packetrecorder query "-d$db" --count)"
    done
}

test_empty_words() {
    local option
    for option in -d -w -p -r -i --encryption-key-file; do
        check_exit "capture $option '' is wrong usage" 2 capture -r mixed.pcap $option ''
    done
    check_exit "-s '' is wrong usage" 2 packetrecorder query -d store.db -s ''
    check_exit "-o '' is wrong usage" 2 packetrecorder export -d store.db -o ''
}

test_filter_without_meaning() {
    capture -r two.pcapng -d two.db 2>/dev/null
    check "query names the link type that a filter cannot match" \
        says "no packet of link type RAW matches" packetrecorder query -d two.db -f 'ether host 1:2:3:4:5:6'
    check "export does" says "no packet of link type RAW matches" \
        packetrecorder export -d two.db -f 'ether host 1:2:3:4:5:6' -o two-ether.pcapng
    check "a filter that fits says nothing" \
        bash -c '[ -z "$(packetrecorder query -l 0 -d two.db -f ip 2>&1 >/dev/null)" ]'
}

# is_quiet_for_head CODES COMMAND…: only the first line is read; no error is said, and how it ends.
is_quiet_for_head() {
    local codes=$1 code
    shift
    timeout 20 "$@" 2>errors | head -n 1 >/dev/null
    code=${PIPESTATUS[0]}
    ! grep '^packetrecorder:' errors && [[ " $codes " == *" $code "* ]]
}

test_reader_has_enough() {
    local flags
    check "query | head ends by SIGPIPE" \
        is_quiet_for_head 141 packetrecorder query -d store.db -l 0
    check "replay --display-only | head ends well" \
        is_quiet_for_head 0 packetrecorder replay -d store.db --display-only --speed 0
    for flags in pcapng pcap json csv; do
        check "export --format $flags -o - | head ends well" \
            is_quiet_for_head 0 packetrecorder export -d store.db --format $flags -o -
    done
    check "capture -w - | head ends well" \
        is_quiet_for_head 0 packetrecorder capture -r mixed.pcap -w -
    check_exit "a full disk behind standard output is a failure" 1 \
        sh -c 'packetrecorder replay -d store.db --display-only --speed 0 >/dev/full'
}

"$make_capture" mixed mixed.pcap $PACKETS || exit 1
"$make_capture" two two.pcapng 10 || exit 1
test_inputs_survive
test_no_session_without_capture
test_names
test_places
test_empty_words
test_filter_without_meaning
test_reader_has_enough
tap_done
