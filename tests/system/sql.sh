#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# sql and the extension of the stock sqlite3 shell: they say what query says, of plain and encrypted
# stores, and write nothing.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
scratch_dir sql || skip_all "no scratch folder"
PR_BIN=$(realpath "$PR_BIN")
extension=$(realpath "$PR_BUILD")/packetrecorder_sql
make_capture=$PR_SUPPORT/make_capture.py
cd "$SCRATCH" || exit 1
unset PACKETRECORDER_DB_KEY PACKETRECORDER_DB_KEY_FILE

sql() { "$PR_BIN" sql -d plain.db "$@"; }
query() { "$PR_BIN" query -d plain.db "$@"; }

# says TEXT COMMAND…
says() { [[ $("${@:2}" 2>&1) == *"$1"* ]]; }

columns="session, number, time, iface AS interface, caplen, len, link_type, src, dst, sport, dport,
    proto, flags, info, data"

# The rows of a JSON array, or of objects a line, one sorted object a line.
normal() {
    python3 -c 'import json, sys
text = sys.stdin.read()
rows = json.loads(text) if text.startswith("[") else [json.loads(l) for l in text.splitlines()]
for row in rows: print(json.dumps(row, sort_keys=True))'
}

# same_rows WHERE QUERY-OPTIONS…: every column of every row is what query --json says.
same_rows() {
    local where=$1
    shift
    sql --json "SELECT $columns FROM packets WHERE $where" | normal >rows.sql || return 1
    query -l 0 --json --show-data "$@" | normal >rows.query || return 1
    [ -s rows.query ] && diff rows.query rows.sql | head -n 5 | cut -c 1-300
    cmp rows.query rows.sql
}

test_same_as_query() {
    check "all rows of a session" same_rows "session = 'mixed'" -s mixed
    check "rows of two interfaces" same_rows "session = 'two'" -s two
    check "rows of strange packets" same_rows "session = 'strange'" -s strange
    check "all sessions in time order" same_rows "1 ORDER BY time" -s all
    check "a BPF filter" same_rows "session = 'mixed' AND filter = 'tcp port 443'" \
        -s mixed -- tcp port 443
    check "a time range" same_rows "session = 'mixed' AND time BETWEEN '2023-11-14T22:13:20.1Z' AND
        '2023-11-14T22:13:20.3Z'" -s mixed --from 2023-11-14T22:13:20.1Z --to 2023-11-14T22:13:20.3Z
    check "a host" same_rows "session = 'mixed' AND host = '10.0.0.1' AND port = 53" \
        -s mixed -- "(host 10.0.0.1 and port 53) or (vlan and host 10.0.0.1 and port 53)"
}

test_output() {
    check_equal "tab-separated lines with names" "$(printf 'a\tb\n1\tx\\ty')" \
        "$(sql "SELECT 1 AS a, 'x' || char(9) || 'y' AS b")"
    check_equal "NULL is empty, blobs are hex" "$(printf 'a\tb\n\t0aff')" \
        "$(sql "SELECT NULL AS a, x'0aff' AS b")"
    check_equal "JSON values" '[{"a":1,"b":2.5,"c":null,"d":"0aff","e":""}]' \
        "$(sql --json "SELECT 1 a, 2.5 b, NULL c, x'0aff' d, '' e" | tr -d '\n')"
    check_equal "no rows are an empty array" '[]' "$(sql --json 'SELECT 1 WHERE 0')"
    check_equal "statements from standard input" "$(printf '1\n1\n2\n2')" \
        "$(printf 'SELECT 1;\n-- a comment\nSELECT 2;\n' | sql -)"
    check_equal "on a terminal numbers are aligned" "$(printf '  n  t\n  1  a\n100  b')" \
        "$(script -qec "'$PR_BIN' sql -d plain.db \"SELECT 1 AS n, 'a' AS t UNION SELECT 100, 'b'\"" \
            /dev/null </dev/null | tr -d '\r')"
}

test_errors() {
    check_exit "a mistake is wrong usage" 2 sql 'SELECT numbr FROM packets'
    check "with its place" says "no such column: numbr, at character 8" \
        sql 'SELECT numbr FROM packets'
    check_exit "no statement is wrong usage" 2 "$PR_BIN" sql -d plain.db
    check_exit "a bad filter is a failure" 1 sql "SELECT 1 FROM packets WHERE filter = 'tcp prot 1'"
    check_exit "no store is a failure" 1 "$PR_BIN" sql -d none.db 'SELECT 1'
    check_exit "full output is a failure" 1 sh -c "'$PR_BIN' sql -d plain.db 'SELECT 1' >/dev/full"
}

test_read_only() {
    local before
    before=$(cat plain.db plain.db.d/* | cksum)
    check_exit "packets cannot be deleted" 2 sql 'DELETE FROM packets'
    check_exit "no file can be attached" 2 sql "ATTACH 'plain.db' AS x"
    check_exit "no file can be written" 1 sql "VACUUM INTO 'copy.db'"
    check "none was" test ! -e copy.db
    check_equal "tables in memory work" "$(printf 'n\n8')" \
        "$(sql 'CREATE TABLE t AS SELECT 1 x; INSERT INTO t VALUES (7); SELECT sum(x) n FROM t')"
    check_equal "the store is as it was" "$before" "$(cat plain.db plain.db.d/* | cksum)"
}

test_encrypted() {
    check_equal "an encrypted store with its key" "$(printf 'count(*)\n2000')" \
        "$("$PR_BIN" sql -d sealed.db --encryption-key-file key 'SELECT count(*) FROM packets')"
    check "and without it" says "is encrypted" "$PR_BIN" sql -d sealed.db 'SELECT 1'
}

test_damage() {
    cp -a plain.db damaged.db
    cp -a plain.db.d damaged.db.d
    local segment
    segment=$(find damaged.db.d -name '*.seg' -size +100k | head -n 1)
    printf 'damage' | dd of="$segment" bs=1 seek=20000 conv=notrunc 2>/dev/null
    check_exit "damage is told and ends with 3" 3 \
        "$PR_BIN" sql -d damaged.db 'SELECT count(*) FROM packets'
    [ -z "$can_load" ] || check "the extension fails in place of leaving packets out" \
        says "could not be read" shell "CREATE VIRTUAL TABLE temp.p USING packets('damaged.db');
        SELECT count(*) FROM p;"
    [ -z "$can_load" ] || check "unless it is told to" shell \
        "CREATE VIRTUAL TABLE temp.p USING packets('damaged.db', skip-damaged);
        SELECT count(*) FROM p;"
}

# shell SQL: in the stock shell, with the extension.
shell() { printf '.bail on\n.load %s\n%s\n' "$extension" "$1" | sqlite3 :memory:; }

test_extension() {
    local table="CREATE VIRTUAL TABLE temp.p USING packets('plain.db');"
    if [ -z "$can_load" ]; then
        skip "the extension" "no sqlite3 shell, or packetrecorder_sql is not built"
        return
    fi
    check_equal "the shell counts the packets" "$(query -s all --count)" \
        "$(shell "$table SELECT count(*) FROM p;")"
    check_equal "the shell filters" "$(query -s mixed --count -- tcp port 443)" \
        "$(shell "$table SELECT count(*) FROM p WHERE session = 'mixed' AND filter = 'tcp port 443';")"
    check_equal "the shell says what sql says" \
        "$(sql "SELECT time, src, dst, info, data FROM packets WHERE proto = 'udp' AND session = 'mixed'" |
            tail -n +2 | cksum)" \
        "$(shell "$table
.mode tabs
SELECT time, src, dst, info, lower(hex(data)) FROM p WHERE proto = 'udp' AND session = 'mixed';" | cksum)"
    check "the index is asked" says "host= port=" shell "$table
        EXPLAIN QUERY PLAN SELECT * FROM p WHERE host = '10.0.0.1' AND port = 53;"
    check_equal "sessions and interfaces" "mixed|1 strange|3 two|2 wide|1" "$(shell \
        "CREATE VIRTUAL TABLE temp.s USING packet_sessions('plain.db');
        CREATE VIRTUAL TABLE temp.i USING packet_interfaces('plain.db');
        SELECT s.name, count(*) FROM s JOIN i ON i.session = s.id GROUP BY 1;" | paste -sd ' ')"
    check "an encrypted store is answered with the ways out" says "packetrecorder sql -d 'sealed.db'" \
        shell "CREATE VIRTUAL TABLE temp.p USING packets('sealed.db');"
    check "so is a missing one" says "no store 'none.db'" \
        shell "CREATE VIRTUAL TABLE temp.p USING packets('none.db');"
    check "and a table without a store" says "name the store" shell "SELECT * FROM packets;"
    check_equal "no symbol but the door is seen" "T sqlite3_packetrecordersql_init" \
        "$(nm -D --defined-only "$extension.so" | cut -d ' ' -f 2-)"
}

for kind in mixed two strange; do
    python3 "$make_capture" "$kind" "$kind.cap" 2000
    "$PR_BIN" capture -r "$kind.cap" -d plain.db --name "$kind" --quiet >/dev/null 2>&1
done
python3 "$make_capture" flood flood.cap 20000
"$PR_BIN" capture -r flood.cap -d plain.db --name wide --quiet >/dev/null 2>&1
(umask 077 && "$PR_BIN" keys db-new >key)
"$PR_BIN" capture -r mixed.cap -d sealed.db --encryption-key-file key --quiet >/dev/null 2>&1
can_load=
command -v sqlite3 >/dev/null && [ -e "$extension.so" ] && can_load=1

test_same_as_query
test_output
test_errors
test_read_only
[ ! -e sealed.db ] || test_encrypted
test_damage
test_extension
tap_done
