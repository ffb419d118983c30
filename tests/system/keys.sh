#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# packetrecorder keys: what is printed where, who can read what, and that API keys and the store do
# not get into each other's way: before the first capture, while one writes, after salvage.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
need python3
bin=$(realpath "$PR_BIN")
make_capture=$PR_SUPPORT/make_capture.py
scratch_dir keys || skip_all "no scratch folder"
cd "$SCRATCH" || exit 1
readonly KEY='^pr_[a-z2-7]{8}_[A-Za-z0-9_-]{43}$'
readonly PACKETS=200
"$make_capture" mixed mixed.pcap $PACKETS || exit 1

keys() { "$bin" keys "$@" -d p.db; }
# field NAME FILTER: of the keys whose name is FILTER, by JSON
field() {
    keys list --json | python3 -c 'import json, sys
print(*[k[sys.argv[1]] for k in json.load(sys.stdin) if k["name"] == sys.argv[2]])' "$@"
}
id_of() { field id "$1"; }

test_adding() {
    keys add --role view --name laptop --expires 30d >view.key 2>hint
    check "a key is one line on standard output" grep -Eqx "$KEY" view.key
    check_equal "and nothing else" 1 "$(wc -l <view.key)"
    check "the hint is on standard error" grep -q "shown this once" hint
    check_equal "the secret is not in the hint" 0 "$(grep -cF "$(cut -c13- view.key)" hint)"
    check_equal "nor in the file" 0 "$(grep -cF "$(cut -c13- view.key)" p.db.d/api-keys)"
    check_equal "which only its owner can read" 600 "$(stat -c %a p.db.d/api-keys)"
    check_equal "in a directory that only its owner can open" 700 "$(stat -c %a p.db.d)"
    check_equal "no other file is left" api-keys "$(ls -A p.db.d)"
    check_equal "--quiet says nothing" "" "$(keys add --quiet --role ingest 2>&1 >/dev/null)"
    check_exit "a role is needed" 2 keys add --name x
    check_exit "and must be one" 2 keys add --role root
    check_exit "the past is no expiry" 2 keys add --role view --expires 2020-01-01
    check_exit "nor is a word" 2 keys add --role view --expires soon
    check_exit "a name steers no terminal" 2 keys add --role view --name $'a\e[31m'
}

test_listing() {
    check_equal "the list knows the role" view "$(field role laptop)"
    check_equal "and the state" active "$(field state laptop)"
    check_equal "and no secret" 0 "$(keys list --json | grep -c hash)"
    check "as a table, too" grep -Eq "^$(id_of laptop) +laptop +view .* active$" <(keys list)
    keys add --role view --name brief --expires 1ms >/dev/null 2>&1
    check_equal "an expired key is told" expired "$(field state brief)"
    check_equal "no keys are an empty array" "[]" "$("$bin" keys list --json -d none.db)"
    check_equal "and make no directory" "no" "$([ -e none.db.d ] && echo yes || echo no)"
}

test_the_store() {
    check "a store is made beside the keys" "$bin" capture --quiet -r mixed.pcap -d p.db
    check "and verified" "$bin" verify -d p.db
    keys add --role admin --name later >/dev/null 2>&1
    check_equal "keys may come later" admin "$(field role later)"
    rm p.db
    check "a catalogue that was lost is made anew" "$bin" verify -d p.db
    check_equal "with all packets" $PACKETS "$("$bin" query --count -d p.db)"
    check_equal "and all keys" admin "$(field role later)"
    "$bin" keys db-new >db.key 2>/dev/null
    chmod 600 db.key
    "$bin" keys add --role view --name e -d e.db >/dev/null 2>&1
    check "an encrypted store is made beside keys" \
        "$bin" capture --quiet -r mixed.pcap -d e.db --encryption-key-file db.key
    check_equal "whose keys need no store key" 1 \
        "$("$bin" keys list --json -d e.db | grep -c '"name": "e"')"
    check_exit "revoking where there are no keys fails" 1 \
        "$bin" keys revoke e -d none.db
}

test_revoking() {
    local id
    id=$(id_of later)
    check_exit "a word that fits nothing is told" 1 keys revoke zzzzzzzz
    check "a key is revoked by the start of its id" keys revoke "${id:0:6}"
    check_equal "and gone" "" "$(id_of later)"
    check "by its name" keys revoke brief
    check "by the whole key" keys revoke "$(cat view.key)"
    check_equal "and the others stay" 1 "$(keys list --json | grep -c '"id"')"
    "$bin" keys add -d last.db --role view --name a >a.key 2>a.err
    "$bin" keys add -d last.db --role view --name b >b.key 2>b.err
    check_equal "one of two revoked is no warning" 0 \
        "$("$bin" keys revoke -d last.db a 2>&1 | grep -c 'warning')"
    check_equal "that the last one is gone is a warning" 1 \
        "$("$bin" keys revoke -d last.db b 2>&1 | grep -c 'warning: that was the last key')"
    chmod 644 p.db.d/api-keys
    check_exit "a file that others can read is refused" 1 keys list
    check "with the way out" grep -q 'chmod 600' <(keys list 2>&1)
    chmod 600 p.db.d/api-keys
    echo '[{' >p.db.d/api-keys
    check "a damaged file is refused by its line" grep -q 'line' <(keys list 2>&1)
    check_exit "and not overwritten" 1 keys add --role view
    check_equal "at all" '[{' "$(cat p.db.d/api-keys)"
}

test_the_cluster() {
    local next
    local before
    before=$(ls -A)
    "$bin" keys cluster-new >c.out 2>c.err
    check "a cluster key is one line" grep -Eqx 'prc_[A-Za-z0-9_-]{22}_[A-Za-z0-9_-]{43}' c.out
    check_equal "and nothing else is said" "1 0" "$(wc -l <c.out) $(wc -c <c.err)"
    check_equal "no cluster comes twice" 0 "$("$bin" keys cluster-new | grep -c "$(cut -c1-26 c.out)")"
    check_exit "it takes no name" 2 "$bin" keys cluster-new --name x
    chmod 600 c.out
    next=$("$bin" keys cluster-new --of c.out)
    check_equal "another key for a cluster has its id" "$(cut -c1-27 c.out)" "${next:0:27}"
    check "and another secret" test "$(cat c.out)" != "$next"
    check_exit "of a file that holds one" 1 "$bin" keys cluster-new --of c.err
    check_exit "and of no other action" 2 "$bin" keys db-new --of c.out
    rm c.out c.err
    check_equal "and no file is made" "$before" "$(ls -A)"
}

test_adding
test_the_cluster
test_listing
test_the_store
test_revoking
tap_done
