#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Packets that went into a store come out again: query and every format of export against what
# tcpdump, tshark, capinfos, jq and the sqlite3 shell make of the same capture; plain and encrypted
# stores; one session and several; and what delete and prune leave.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
need tcpdump tshark capinfos mergecap jq sqlite3 python3
scratch_dir read-back || skip_all "no scratch folder"
mkdir "$SCRATCH/bin"
ln -s "$(realpath "$PR_BIN")" "$SCRATCH/bin/packetrecorder"
PATH=$SCRATCH/bin:$PATH
make_capture=$PR_SUPPORT/make_capture.py
cd "$SCRATCH" || exit 1
readonly PACKETS=2000
readonly FILTER='udp and port 9999'

capture_of() { "$make_capture" "$@"; }
import() { packetrecorder capture --quiet -r "$@" 2>/dev/null; }
query() { packetrecorder query "$@"; }
quiet_export() { packetrecorder export --quiet "$@"; }

# Every byte of every packet with its time: what two captures must have in common.
dump() { tcpdump -nn -tt -xx --time-stamp-precision=nano -r "$1" 2>/dev/null; }
packets_in() { capinfos -Mc "$1" 2>/dev/null | awk '/Number of packets:/ { print $NF }'; }
lines() { tcpdump -nn -t -r "$1" "${@:2}" 2>/dev/null | tr -s ' '; }
# tcpdump names VLAN tags only with -e, and then all of the Ethernet header.
without_time() { cut -d' ' -f2- | sed 's/^vlan [0-9]*, p [0-9], ethertype IPv4, //' | tr -s ' '; }
same_packets() { cmp <(dump "$1") <(dump "$2"); }
# fails_with TEXT COMMAND…: it fails and prints TEXT on standard error.
fails_with() {
    local text=$1 said
    shift
    ! said=$("$@" 2>&1 >/dev/null) && [[ $said == *"$text"* ]]
}
stderr_has() {
    local text=$1
    shift
    [[ $("$@" 2>&1 >/dev/null) == *"$text"* ]]
}
# Nothing hidden is left behind in a folder.
no_leftovers() { [ -z "$(find "${1:-.}" -name '.*part*')" ]; }

prepare() {
    capture_of mixed mixed.pcap $PACKETS
    capture_of shifted shifted.pcap $PACKETS
    capture_of two two.pcapng 200
    capture_of strange strange.pcapng
    packetrecorder keys db-new >store.key && chmod 600 store.key
    import mixed.pcap -d plain.db --name mixed --tag case=7 &&
        import mixed.pcap -d sealed.db --encryption-key-file store.key --name mixed
}

test_query_lines() {
    local db=$1
    shift
    check "query shows tcpdump's lines ($db)" \
        cmp <(query -d "$db" "$@" -l 0 | without_time) <(lines mixed.pcap)
    check "query with a filter shows tcpdump's lines ($db)" \
        cmp <(query -d "$db" "$@" -l 0 -- "$FILTER" | without_time) <(lines mixed.pcap "$FILTER")
    check_equal "times are to the nanosecond ($db)" \
        "$(tshark -r mixed.pcap -T fields -e frame.time_epoch 2>/dev/null | md5sum)" \
        "$(query -d "$db" "$@" -l 0 --json |
            jq -r '(.time[0:19] + "Z" | fromdate | tostring) + .time[19:29]' | md5sum)"
    check_equal "--count counts ($db)" "$PACKETS" "$(query -d "$db" "$@" --count)"
    check_equal "--count with a filter counts ($db)" "$(lines mixed.pcap "$FILTER" | wc -l)" \
        "$(query -d "$db" "$@" --count -l 3 -- "$FILTER")"
    check "--show-data shows tcpdump's hex ($db)" \
        cmp <(query -d "$db" "$@" -l 0 --show-data | grep -a 0x00) \
        <(tcpdump -nn -t -XX -r mixed.pcap 2>/dev/null | grep -a 0x00)
}

test_query_options() {
    local first='2023-11-14T22:13:20.5Z'
    check_equal "ten packets are shown" 10 "$(query -d plain.db 2>/dev/null | wc -l)"
    check "what was left out is said" stderr_has "10 of $PACKETS packets shown: -l 0 shows all" \
        query -d plain.db
    check "with a filter too" stderr_has "-l 0 shows all" query -d plain.db -l 2 -- udp
    check "not when nothing was" test -z "$(query -d plain.db -l 0 2>&1 >/dev/null)"
    check "--offset leaves out the first" cmp <(query -d plain.db -l 5 --offset 20 2>/dev/null) \
        <(query -d plain.db -l 0 | sed -n 21,25p)
    check_equal "--from and --to narrow" 101 \
        "$(query -d plain.db --count --from $first --to 2023-11-14T22:13:20.6005Z)"
    check_exit "no match is no failure" 0 query -d plain.db -- port 1
    check_equal "and prints nothing" "" "$(query -d plain.db -- port 1 2>&1)"
    check_exit "a wrong filter fails" 1 query -d plain.db -- prot 80
    check "and names the word" fails_with prot query -d plain.db -- prot 80
    check_exit "a time range that is none is wrong usage" 2 query -d plain.db --from now --to -10m
    check_exit "a session that is not there fails" 1 query -d plain.db -s nosuch
    check_exit "a store that is not there fails" 1 query -d nosuch.db
    check_exit "a sealed store needs its key" 1 query -d sealed.db
    packetrecorder keys db-new >other.key && chmod 600 other.key
    check_exit "and no other" 1 query -d sealed.db --encryption-key-file other.key
    check_equal "the key may come from the environment" "$PACKETS" \
        "$(PACKETRECORDER_DB_KEY_FILE=store.key query -d sealed.db --count)"
}

test_json_shape() {
    local keys='session,number,time,interface,caplen,len,link_type,src,dst,sport,dport,proto,flags,info'
    check_equal "a JSON line has the keys of the contract" "$keys" \
        "$(query -d plain.db -l 1 --json 2>/dev/null | jq -r 'keys_unsorted | join(",")')"
    check_equal "--show-data adds data" "$keys,data" \
        "$(query -d plain.db -l 1 --json --show-data 2>/dev/null | jq -r 'keys_unsorted | join(",")')"
    check_equal "unknown values are null" null \
        "$(query -d plain.db -l 1 --json -- arp 2>/dev/null | jq .sport)"
    check_equal "numbers count from 1" "1 $PACKETS" \
        "$(query -d plain.db -l 0 --json | jq -s -r '"\(.[0].number) \(.[-1].number)"')"
    check "data is the packet" cmp \
        <(query -d plain.db -l 0 --json --show-data | jq -r .data) \
        <(tcpdump -nn -t -xx -r mixed.pcap 2>/dev/null |
            awk '/^\t0x/ { sub(/^\t0x[0-9a-f]*: */, ""); gsub(/ /, ""); line = line $0; next }
                 { if (NR > 1) print line; line = "" } END { print line }')
}

test_exports() {
    local db=$1
    shift
    quiet_export -d "$db" "$@" -o out.pcapng --force
    check "pcapng holds the packets ($db)" same_packets out.pcapng mixed.pcap
    check_equal "capinfos reads it ($db)" "$PACKETS" \
        "$(packets_in out.pcapng)"
    quiet_export -d "$db" "$@" -o out.pcap --force
    check "classic pcap is byte for byte the original ($db)" cmp out.pcap mixed.pcap
    quiet_export -d "$db" "$@" -o filtered.pcapng --force -- "$FILTER"
    tcpdump -r mixed.pcap -w wanted.pcap --time-stamp-precision=nano "$FILTER" 2>/dev/null
    check "a filter leaves what tcpdump's leaves ($db)" same_packets filtered.pcapng wanted.pcap
    quiet_export -d "$db" "$@" -o out.ndjson --force
    check "json is query --json ($db)" cmp out.ndjson <(query -d "$db" "$@" -l 0 --json)
    quiet_export -d "$db" "$@" -o out.csv --force
    check "csv holds the same ($db)" python3 - <<'PY'
import csv, json
rows = list(csv.DictReader(open("out.csv", newline="")))
objects = [json.loads(line) for line in open("out.ndjson")]
texts = [{k: "" if v is None else str(v) for k, v in o.items()} for o in objects]
assert rows == texts, next((a, b) for a, b in zip(rows, texts) if a != b)
assert open("out.csv", "rb").read().count(b"\r\n") == len(rows) + 1
PY
    quiet_export -d "$db" "$@" -o out.sqlite --force
    check_equal "sqlite is a plain file ($db)" "SQLite format 3" "$(head -c 15 out.sqlite)"
    check_equal "the stock shell reads it ($db)" "$PACKETS|ok" \
        "$(sqlite3 out.sqlite 'SELECT count(*), (SELECT * FROM pragma_integrity_check) FROM packets')"
    check "sqlite holds the same ($db)" python3 - <<'PY'
import json, sqlite3
db = sqlite3.connect("out.sqlite")
db.row_factory = sqlite3.Row
objects = [json.loads(line) for line in open("out.ndjson")]
rows = [dict(row) for row in db.execute("SELECT * FROM packets ORDER BY number")]
assert len(rows) == len(objects)
for row, o in zip(rows, objects):
    assert {k: row[k] for k in o} == o, (row, o)
    assert len(row["data"]) == row["caplen"]
    assert row["time_ns"] % 10**9 == int(row["time"][20:29])
assert db.execute("SELECT count(*) FROM packets JOIN sessions ON id = session").fetchone()[0] == len(rows)
PY
}

test_output_rules() {
    check_equal "a file is its owner's alone" 600 "$(stat -c %a out.pcapng)"
    check_exit "a file is not overwritten" 1 quiet_export -d plain.db -o out.pcapng
    check "and --force is named" fails_with --force quiet_export -d plain.db -o out.pcapng
    ln -s nowhere dangling.pcapng
    check_exit "not even a link to nowhere" 1 quiet_export -d plain.db -o dangling.pcapng
    check "standard output holds packets alone" \
        same_packets <(packetrecorder export -d plain.db -o - 2>/dev/null) mixed.pcap
    check "in classic format when asked" \
        cmp <(packetrecorder export -d plain.db -o - --format pcap 2>/dev/null) mixed.pcap
    check "a pipe by name is written straight" \
        cmp <(packetrecorder export -d plain.db -o /dev/stdout --format pcap 2>/dev/null | cat) mixed.pcap
    check_exit "a device stays one" 0 quiet_export -d plain.db -o /dev/null --force
    check "really" test -c /dev/null
    check_exit "sqlite needs a file" 2 quiet_export -d plain.db -o - --format sqlite
    check_exit "a reader that leaves is no failure" 0 \
        bash -c 'set -o pipefail; packetrecorder export -d plain.db -o - | head -c 10 >/dev/null'
    check_exit "no -o is wrong usage" 2 quiet_export -d plain.db
    check_exit "a format that is none is wrong usage" 2 quiet_export -d plain.db -o x --format xml
    check_exit "a folder that is not there fails" 1 quiet_export -d plain.db -o no/such/file.pcap
    check_exit "a folder is no file" 2 quiet_export -d plain.db -o .
    check_equal "--limit limits" 5 "$(packetrecorder export -d plain.db -o - --limit 5 \
        --format json 2>/dev/null | wc -l)"
    check_equal "--json tells on standard output" "$PACKETS pcapng" \
        "$(quiet_export --json -d plain.db -o out.ntar | jq -r '"\(.packets) \(.format)"')"
    check "the suffix decides in any case" bash -c \
        'packetrecorder export --quiet -d plain.db -o OUT.PCAP && cmp OUT.PCAP mixed.pcap'
    cp plain.db plain.before
    check_exit "the store is not replaced by what is in it" 2 quiet_export -d plain.db -o ./plain.db --force
    check_exit "nor one of its segments" 2 \
        quiet_export -d plain.db -o "$(ls plain.db.d/*.seg)" --format pcapng --force
    check "really" cmp plain.db plain.before
    mkfifo unread
    check_exit "an interrupt ends a wait for a reader" 124 \
        timeout -s INT 0.3 packetrecorder export --quiet -d plain.db -o unread
    check "nothing hidden is left" no_leftovers
}

# A file system that is full in the middle: the error names it, and nothing is left.
test_disk_full() {
    if [ "$(id -u)" != 0 ]; then
        skip "an export to a full disk" "needs root"
        return
    fi
    local format
    mkdir small
    if ! mount -t tmpfs -o size=128k tmpfs small; then
        skip "an export to a full disk" "no tmpfs"
        return
    fi
    for format in pcapng json sqlite; do
        check_exit "a full disk fails ($format)" 1 quiet_export -d plain.db -o "small/a.$format" \
            --format "$format" --show-data
        check_equal "and nothing is left ($format)" "" "$(ls -A small)"
    done
    umount small
}

# Waits for the hidden file, then interrupts. Ends with 130 and nothing left.
test_interrupt() {
    local pid code=0 i
    capture_of flood flood.pcap 60000
    import flood.pcap -d flood.db
    mkdir interrupted
    packetrecorder export --quiet -d flood.db -o interrupted/a.sqlite 2>/dev/null &
    pid=$!
    for ((i = 0; i < 1000; i++)); do
        [ -z "$(ls -A interrupted)" ] || break
        sleep 0.001
    done
    kill -INT $pid
    wait $pid || code=$?
    if [ $code = 0 ]; then
        skip "an interrupted export" "it was done before the signal came"
    else
        check_equal "an interrupted export ends with 130" 130 $code
        check_equal "and leaves nothing" "" "$(ls -A interrupted)"
    fi
}

test_several_sessions() {
    import shifted.pcap -d plain.db --name shifted
    check_exit "several sessions and no -s is wrong usage" 2 query -d plain.db
    check "and the ways are named" fails_with "'last' or 'all'" query -d plain.db
    check_equal "names choose" "$PACKETS" "$(query -d plain.db -s shifted --count)"
    check_equal "last chooses" shifted "$(packetrecorder sessions -d plain.db --json | jq -r '.[-1].name')"
    check_equal "-s may be repeated, each counts once" $((2 * PACKETS)) \
        "$(query -d plain.db -s mixed -s last -s mixed --count)"
    check_equal "a prefix of the id chooses" "$PACKETS" \
        "$(query -d plain.db --count -s "$(packetrecorder sessions -d plain.db --json | jq -r '.[0].id')")"
    check "all come in time order" sort -c <(query -d plain.db -s all -l 0 | cut -d' ' -f1)
    check_equal "and all of them" $((2 * PACKETS)) "$(query -d plain.db -s all -l 0 | wc -l)"
    quiet_export -d plain.db -s all -o merged.pcapng
    check_equal "a merged export has an interface a session, in time order" "2 True $((2 * PACKETS))" \
        "$(capinfos -M merged.pcapng 2>/dev/null | awk -F': *' '
            /interfaces in file/ { i = $2 } /Strict time order/ { t = $2 } /^Number of packets/ { n = $2 }
            END { print i, t, n }')"
    mergecap -w wanted.pcapng mixed.pcap shifted.pcap 2>/dev/null
    check "and the packets of mergecap" same_packets merged.pcapng wanted.pcapng
    quiet_export -d plain.db -s all -o merged.pcap
    check "in a classic file too" same_packets merged.pcap wanted.pcapng
}

test_interfaces() {
    import two.pcapng -d two.db
    check "an interface is named when there are several" test \
        "$(query -d two.db -l 2 2>/dev/null | cut -d' ' -f2 | xargs)" = "eth0 tun0"
    quiet_export -d two.db -o two-out.pcapng
    check "two link types in pcapng" cmp <(dump two-out.pcapng) <(dump two.pcapng)
    check_equal "the comments of packets stay" "$(tshark -r two.pcapng -T fields -e pkt_comment 2>/dev/null)" \
        "$(tshark -r two-out.pcapng -T fields -e pkt_comment 2>/dev/null)"
    check_equal "the names of interfaces too" "$(tshark -r two.pcapng -T fields -e frame.interface_name 2>/dev/null)" \
        "$(tshark -r two-out.pcapng -T fields -e frame.interface_name 2>/dev/null)"
    check_exit "not in a classic file" 1 quiet_export -d two.db -o two.pcap
    check "and pcapng is named" fails_with "pcapng" quiet_export -d two.db -o two.pcap
    check "of which nothing is left" test ! -e two.pcap
    check_exit "but what a filter leaves of one" 0 quiet_export -d two.db -o one.pcap -- ether proto 0x800 and port 53
    check_equal "and it is all there" 100 "$(packets_in one.pcap)"
    check "nothing hidden is left of either" no_leftovers
}

test_strange() {
    if ! import strange.pcapng -d strange.db; then
        skip "strange names and times" "the import refuses them"
        return
    fi
    check_equal "five strange packets come back" 5 "$(query -d strange.db -l 0 | wc -l)"
    check "no control byte reaches the terminal" bash -c \
        "! packetrecorder query -d strange.db -l 0 | LC_ALL=C grep -qP '[\\x00-\\x09\\x0b-\\x1f\\x7f]'"
    check_equal "JSON stays JSON" 5 "$(query -d strange.db -l 0 --json --show-data | jq -s length)"
    check_equal "an empty packet is one" '0 0 ""' \
        "$(query -d strange.db -l 0 --json --show-data | jq -rs '.[1] | "\(.caplen) \(.len) \(.data | tojson)"')"
    check_equal "len may be above caplen" '20 9000' \
        "$(query -d strange.db -l 0 --json | jq -rs '.[2] | "\(.caplen) \(.len)"')"
    check_equal "2264 is told to the nanosecond" 2264-09-14T21:20:00.000000000Z \
        "$(query -d strange.db -l 0 --json | jq -rs '.[4].time')"
    quiet_export -d strange.db -o strange.csv
    check_equal "CSV quotes what is strange" 'a "quoted", name' "$(python3 -c '
import csv
print(list(csv.DictReader(open("strange.csv", newline="", errors="replace")))[0]["interface"].strip())')"
    quiet_export -d strange.db -o strange-out.pcapng
    check_equal "pcapng holds all five" 5 "$(packets_in strange-out.pcapng)"
    check_exit "times after 2106 do not fit classic pcap: partly done" 3 \
        quiet_export -d strange.db -o strange.pcap
    check_equal "the others are there" 3 "$(packets_in strange.pcap)"
    quiet_export -d strange.db -o strange.sqlite
    check_equal "sqlite orders times after 2262" 2264 \
        "$(sqlite3 strange.sqlite 'SELECT substr(time, 1, 4) FROM packets ORDER BY time_ns DESC LIMIT 1')"
}

# One byte in the middle of the segment: one frame is lost and told, the others come.
test_damage() {
    local segment size lost
    import flood.pcap -d damaged.db --compression off
    segment=$(ls damaged.db.d/*.seg)
    size=$(stat -c %s "$segment")
    printf 'X' | dd of="$segment" bs=1 seek=$((size / 2)) conv=notrunc 2>/dev/null
    check_exit "a damaged frame: partly done" 3 query -d damaged.db -l 0
    lost=$((60000 - $(query -d damaged.db -l 0 2>/dev/null | wc -l)))
    check "a part is missing, the rest is there" test $lost -gt 0 -a $lost -lt 10000
    check "how many is said" stderr_has "$lost packets in 1 damaged frames" query -d damaged.db -l 0
    check_exit "an export is partly done" 3 quiet_export -d damaged.db -o damaged.pcapng
    check_equal "and holds the rest" $((60000 - lost)) "$(packets_in damaged.pcapng)"
    check_equal "--json says it too" $lost \
        "$(quiet_export --json -d damaged.db -o damaged.json 2>/dev/null | jq .damaged_packets)"
    check_exit "what is in front of the damage is whole" 0 query -d damaged.db -l 10
}

test_sessions() {
    check_equal "sessions are a JSON array, oldest first" '["mixed","shifted"]' \
        "$(packetrecorder sessions -d plain.db --json | jq -c '[.[].name]')"
    check_equal "packets and bytes are those of the file" \
        "$PACKETS $(tshark -r mixed.pcap -T fields -e frame.cap_len 2>/dev/null | awk '{ n += $1 } END { print n }')" \
        "$(packetrecorder sessions -d plain.db --json | jq -r '.[0] | "\(.packets) \(.bytes)"')"
    check_equal "and say whether they are encrypted" 'true false' \
        "$(packetrecorder sessions -d sealed.db --encryption-key-file store.key --json | jq -r '.[0].encrypted') \
$(packetrecorder sessions -d plain.db --json | jq -r '.[0].encrypted')"
    check_equal "the table has a line each" 3 "$(packetrecorder sessions -d plain.db | wc -l)"
}

test_delete() {
    local before after id
    id=$(packetrecorder sessions -d plain.db --json | jq -r '.[0].id')
    check_exit "a session that is not there deletes nothing" 1 packetrecorder delete -d plain.db "$id" nosuch
    check_equal "really" 2 "$(packetrecorder sessions -d plain.db --json | jq length)"
    check_exit "'all' deletes nothing" 2 packetrecorder delete -d plain.db all
    check_exit "no session is wrong usage" 2 packetrecorder delete -d plain.db
    before=$(du -sb plain.db.d | cut -f1)
    check_equal "a deleted session is told" "$id $PACKETS" \
        "$(packetrecorder delete -d plain.db --json "${id:0:13}" | jq -r '"\(.sessions[0]) \(.packets)"')"
    after=$(du -sb plain.db.d | cut -f1)
    check "and its bytes are free" test "$after" -lt $((before * 2 / 3))
    check_equal "the other stays" shifted "$(packetrecorder sessions -d plain.db --json | jq -r '.[].name')"
}

test_prune() {
    local i size
    import mixed.pcap -d prune.db --name s1 --tag keep=yes
    for i in 2 3 4; do
        import mixed.pcap -d prune.db --name "s$i"
    done
    names() { packetrecorder sessions -d prune.db --json | jq -r '[.[].name] | join(" ")'; }
    check_exit "no rule is wrong usage" 2 packetrecorder prune -d prune.db
    check_exit "a tag alone is none" 2 packetrecorder prune -d prune.db --keep-tag keep
    check_exit "nothing old, nothing deleted" 0 packetrecorder prune -d prune.db --max-age 1d
    check_equal "really" "s1 s2 s3 s4" "$(names)"
    size=$(packetrecorder prune -d prune.db --max-age 1d --json | jq .disk_bytes)
    check_exit "the oldest go first" 0 packetrecorder prune -d prune.db --max-bytes $((size - 1000)) \
        --keep-tag keep=yes
    check_equal "but for those with the tag" "s1 s3 s4" "$(names)"
    check_exit "what is kept may be too much: partly done" 3 \
        packetrecorder prune -d prune.db --max-bytes 1k --keep-tag keep
    check_equal "and is kept" "s1" "$(names)"
    check_equal "--json tells" 1 "$(packetrecorder prune --json -d prune.db --max-age 1ns | jq .sessions)"
}

prepare || { not_ok "the captures go into the stores"; tap_done; }
test_query_lines plain.db
test_query_lines sealed.db --encryption-key-file store.key
test_query_options
test_json_shape
test_exports plain.db
test_exports sealed.db --encryption-key-file store.key
test_output_rules
test_disk_full
test_interrupt
test_several_sessions
test_interfaces
test_strange
test_damage
test_sessions
test_delete
test_prune
tap_done
