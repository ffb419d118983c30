#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The program that was built without SQLCipher: everything works but encryption, which says so and
# leaves nothing half made; and both programs read each other's plain stores.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
[ -x "${PR_BIN_PLAIN:-}" ] || skip_all "no build without SQLCipher in PR_BIN_PLAIN"
need python3
plain=$(realpath "$PR_BIN_PLAIN")
full=$(realpath "$PR_BIN")
make_capture=$PR_SUPPORT/make_capture.py
scratch_dir plain || skip_all "no scratch folder"
cd "$SCRATCH" || exit 1
readonly PACKETS=500

# says TEXT COMMAND…: on standard error, whatever it ends with.
says() { [[ $("${@:2}" 2>&1 >/dev/null) == *"$1"* ]]; }
packets() { "$1" query -d "$2" --count "${@:3}" 2>/dev/null; }
"$make_capture" mixed mixed.pcap $PACKETS || exit 1
(umask 077 && "$plain" keys db-new >store.key)

test_everything_else() {
    local format
    check "the version says what is missing" \
        grep -q 'without encryption' <("$plain" --version)
    check "a capture file goes into a store" "$plain" capture --quiet -r mixed.pcap -d plain.db
    check "its sessions are listed" "$plain" sessions -d plain.db --json
    check_equal "they are queried" $PACKETS "$(packets "$plain" plain.db)"
    check_equal "through the index" "$(packets "$full" plain.db -f udp)" \
        "$(packets "$plain" plain.db -f udp)"
    for format in pcapng pcap json csv sqlite; do
        check "and exported to $format" "$plain" export -d plain.db -o "out.$format"
    done
    check_equal "and asked in SQL" $PACKETS \
        "$("$plain" sql -d plain.db 'SELECT count(*) FROM packets' | tail -n 1)"
    check "and replayed" "$plain" replay -d plain.db --display-only --speed 0
    check "and verified" "$plain" verify -d plain.db
    check_equal "the program with SQLCipher reads the store" $PACKETS "$(packets "$full" plain.db)"
    check "and writes to it" "$full" capture --quiet -r mixed.pcap -d plain.db
    check_equal "which is read in turn" $PACKETS "$(packets "$plain" plain.db -s last)"
    check "sessions are deleted" "$plain" delete -d plain.db last
    check "and pruned" "$plain" prune -d plain.db --max-age 1ms
}

test_encryption_says_so() {
    local key=(--encryption-key-file store.key)
    check_exit "no encrypted store is made" 1 "$plain" capture -r mixed.pcap -d new.db "${key[@]}"
    check "the reason is said" says "built without SQLCipher" \
        "$plain" capture -r mixed.pcap -d new.db "${key[@]}"
    check "and nothing is left of it" bash -c '! ls -d new.db*'
    check "an encrypted store is made elsewhere" \
        "$full" capture --quiet -r mixed.pcap -d sealed.db "${key[@]}"
    check_exit "it is not read" 1 "$plain" query -d sealed.db "${key[@]}"
    check "the reason is said" says "built without SQLCipher" \
        "$plain" query -d sealed.db "${key[@]}"
    check_exit "verify does not harm it" 1 "$plain" verify -d sealed.db "${key[@]}"
    check_equal "it stays as it was" $PACKETS "$(packets "$full" sealed.db "${key[@]}")"
    check_exit "a plain store has no key to change" 1 \
        "$plain" rekey -d plain.db --new-key-file store.key
}

test_everything_else
test_encryption_says_so
tap_done
