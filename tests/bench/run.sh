#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--rows A,B…] [--runs N] [--packets N] [--size BYTES] [--long] [--out FILE]: measures us and
# our peers side by side and prints one markdown table; each figure is the median of N (5) runs with
# the smallest and the largest. Peer and we take turns in each run, so that both see the same
# machine. Needs root for the live rows. Rows:
#   live-store live-store-encrypted live-write     3 million frames of 102 bytes at flood rate
#   import-plain import-sealed import-compressed-sealed    `capture -r` of a mixed capture of 1 GiB
#   store-size store-index export-raw export-compressed query-5tuple
#   query-5tuple-sealed                            what was imported
#   memory                                         for 60 s, with --long 10 minutes
#   replay                                         50,000 packets a second, timed at the other end
#   relay-pcapng-flood relay-raw-flood             2 million frames of 102 bytes to one viewer
#   relay-view                                     the same into a file, with `view -w`
#   relay-memory relay-tls                         the relay alone, as fast as its client reads
#   relay-100-viewers                              20 kpps for 30 s, one viewer is stopped
#   relay-1000-idle relay-1000-idle-tls relay-latency
#   wire                                           the codecs (bench_wire), without a target
#   channel                                        the channel of calls (bench_channel), without one
#   rpc-calls rpc-clients rpc-cold                 1,000 calls at once; a call of a new client
#   rpc-pull                                       a session of 1 GiB, while the node records
# $RPCAP_DIR, a libpcap built from source with `./configure --enable-remote && make`, adds its
# rpcapd as a peer of the floods; Debian packages neither rpcapd nor a client for it.
# Everything is in memory (/dev/shm), so that no disk is measured. Exit 0 when every row was
# measured, whether or not its target was met; the table says that.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export LC_ALL=C

all_rows=(live-store live-store-encrypted live-write import-plain import-sealed
    import-compressed-sealed store-size store-index export-raw export-compressed query-5tuple
    query-5tuple-sealed memory
    replay relay-pcapng-flood relay-raw-flood relay-view relay-memory relay-tls relay-100-viewers
    relay-1000-idle relay-1000-idle-tls relay-latency wire channel rpc-calls rpc-clients rpc-cold
    rpc-pull)
rows=("${all_rows[@]}")
runs=5
packets=3000000
size=1073741824
seconds=60
table_file=''
readonly FRAME_BYTES=102
readonly BUFFER=32MiB
readonly RARE='host 10.1.0.7 and host 198.18.99.99 and tcp port 43210 and tcp port 443'

usage() {
    sed -n '4,26s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case "$1" in
    --rows) IFS=, read -r -a rows <<<"${2:-}" && shift ;;
    --runs) runs=${2:-} && shift ;;
    --packets) packets=${2:-} && shift ;;
    --size) size=${2:-} && shift ;;
    --out) table_file=${2:-} && shift ;;
    --long) seconds=600 ;;
    *) usage ;;
    esac
    shift || usage
done

PR_BUILD=${PR_BUILD:-$PWD/build/release}
PR_BIN=${PR_BIN:-$PR_BUILD/cli/packetrecorder}
PR_NODE=${PR_NODE:-$PR_BUILD/node/packetrecorderd}
tools=$PR_BUILD/tests/bench
# shellcheck source=tests/support/netns.sh
. tests/support/netns.sh
# shellcheck source=tests/support/node.sh
. tests/support/node.sh
# shellcheck source=tests/bench/node_rows.sh
. tests/bench/node_rows.sh

note() { printf 'bench: %s\n' "$*" >&2; }

die() {
    note "$*"
    exit 1
}

# add NAME VALUE: one sample. The file of samples is what the table is made of.
add() { printf '%s\n' "$2" >>"$SCRATCH/samples/$1"; }

# calc EXPRESSION
calc() { awk "BEGIN { printf \"%.9g\", ($1) }"; }

# stat NAME WHICH: median, min or max of the samples.
stat() {
    sort -g "$SCRATCH/samples/$1" | awk -v which="$2" '{ v[NR] = $1 }
        END { m = NR % 2 ? v[(NR + 1) / 2] : (v[NR / 2] + v[NR / 2 + 1]) / 2
              printf "%.9g", which == "min" ? v[1] : which == "max" ? v[NR] : m }'
}

# shown NAME UNIT: "0.19 (0.18–0.21) µs"; one sample has no spread. $digits count.
digits=3
shown() {
    local median min max
    [ -f "$SCRATCH/samples/$1" ] || { printf '–' && return; }
    median=$(stat "$1" median) min=$(stat "$1" min) max=$(stat "$1" max)
    if [ "$min" = "$max" ]; then
        printf "%.${digits}g %s" "$median" "$2"
    else
        printf "%.${digits}g (%.${digits}g–%.${digits}g) %s" "$median" "$min" "$max" "$2"
    fi
}

# put_row NAME WHAT PEER UNIT RATIO SIGN TARGET [NOTE]: RATIO is a number; met when `RATIO SIGN
# TARGET` holds and no NOTE says that packets are missing.
put_row() {
    local met=no target sign=$6
    [ "$(calc "$5 $6 $7 ? 1 : 0")" = 1 ] && [ -z "${8:-}" ] && met=yes
    [ "$sign" = '<=' ] && target="≤ $7" || target="≥ $7"
    printf "| %s | %s | %s | %s | %.${digits}g | %s | %s%s |\n" "$2" "$3" "$(shown "$1.peer" "$4")" \
        "$(shown "$1.ours" "$4")" "$5" "$target" "$met" "${8:+: $8}" | tee -a "$SCRATCH/table"
}

# measured NAME FIELD COMMAND…: runs it and adds the sample: wall (s), cpu (s).
measured() {
    local name=$1 field=$2 wall user sys
    shift 2
    "$tools/measure" "$SCRATCH/cost" "$@" >"$SCRATCH/stdout" 2>"$SCRATCH/stderr" </dev/null || {
        cat "$SCRATCH/stderr" >&2
        die "failed: $*"
    }
    read -r wall user sys _ <"$SCRATCH/cost"
    case "$field" in
    wall) add "$name" "$wall" ;;
    cpu) add "$name" "$(calc "$user + $sys")" ;;
    esac
}

drop_store() { rm -rf "$SCRATCH/store.db"*; }

# ---- live -----------------------------------------------------------------------------------

live_ready=0
live_up() {
    [ "$live_ready" = 0 ] || return 0
    [ "$(id -u)" = 0 ] || die "the live rows need root"
    # shellcheck disable=SC2119
    net_up || die "network namespaces are not allowed here"
    live_ready=1
}

# live_once NAME COMMAND…: captures one flood with it, adds the CPU per packet in µs.
live_once() {
    local name=$1 pid user sys
    shift
    start_in "$NS_B" "$tools/measure" "$SCRATCH/cost" "$@" >"$SCRATCH/stdout" 2>"$SCRATCH/stderr"
    pid=$STARTED
    wait_for 20 is_capturing "$SCRATCH/stderr" || die "did not start: $* $(cat "$SCRATCH/stderr")"
    flood "$packets" "$FRAME_BYTES" >"$SCRATCH/flood" || die "flood failed"
    add rate "$(awk '{ print $(NF - 1) }' "$SCRATCH/flood")"
    # Both end by themselves after the last packet; only loss leaves them waiting.
    wait_for 15 has_ended "$pid" || kill -TERM "$pid"
    wait "$pid"
    read -r _ user sys _ <"$SCRATCH/cost"
    add "$name" "$(calc "($user + $sys) * 1e6 / $packets")"
    captured=$(awk '/packets captured/ { n = $1 } END { print n + 0 }' "$SCRATCH/stderr")
}

# live NAME WHAT LIMIT OURS…: OURS are the options of our capture.
live() {
    local name=$1 what=$2 limit=$3 i missing=0 peer_lost=0 in_store
    shift 3
    live_up
    for ((i = 1; i <= runs; i++)); do
        live_once "$name.peer" tcpdump -i "$IF_B" -n -B 32768 -c "$packets" -w "$SCRATCH/peer.pcap"
        peer_lost=$((peer_lost + packets - captured))
        rm -f "$SCRATCH/peer.pcap"
        live_once "$name.ours" "$PR_BIN" capture -i "$IF_B" -b "$BUFFER" -c "$packets" "$@"
        in_store=$captured
        if [ -f "$SCRATCH/store.db" ]; then
            in_store=$("$PR_BIN" query -d "$SCRATCH/store.db" "${key[@]}" -s all --count)
        elif [ -f "$SCRATCH/ours.pcapng" ]; then
            in_store=$(capinfos -TrMc "$SCRATCH/ours.pcapng" | awk '{ print $NF }')
        fi
        missing=$((missing + packets - in_store))
        drop_store
        rm -f "$SCRATCH/ours.pcapng"
    done
    note "$name: $(shown rate pps); tcpdump misses $peer_lost, we $missing of $((runs * packets))"
    [ "$missing" = 0 ] && missing='' || missing="$missing packets missing"
    put_row "$name" "$what, $(calc "int($(stat rate median) / 1e4) / 100") Mpps, CPU a packet" \
        'tcpdump -w' µs "$(calc "$(stat "$name.ours" median) / $(stat "$name.peer" median)")" \
        '<=' "$limit" "$missing"
    rm -f "$SCRATCH/samples/rate"
}

row_live_store() {
    key=()
    live live-store 'live into a store' 1.0 -d "$SCRATCH/store.db"
}

row_live_store_encrypted() {
    make_key
    live live-store-encrypted 'live into an encrypted store' 1.1 -d "$SCRATCH/store.db" "${key[@]}"
}

row_live_write() {
    live live-write 'live with -w' 0.8 -w "$SCRATCH/ours.pcapng"
}

make_key() {
    key=(--encryption-key-file "$SCRATCH/key")
    [ -f "$SCRATCH/key" ] || (umask 077 && "$PR_BIN" keys db-new >"$SCRATCH/key")
}

# ---- import, size, export, query ------------------------------------------------------------

mixed=''
make_mixed() {
    [ -z "$mixed" ] || return 0
    mixed=$SCRATCH/mixed.pcap
    note "mixed capture: $("$tools/make_mixed" "$mixed" "$size")"
}

# import NAME WHAT LIMIT OPTIONS…
import() {
    local name=$1 what=$2 limit=$3 i
    shift 3
    make_mixed
    for ((i = 1; i <= runs; i++)); do
        measured "$name.peer" wall tcpdump -r "$mixed" -w "$SCRATCH/peer.pcap"
        rm -f "$SCRATCH/peer.pcap"
        measured "$name.ours" wall "$PR_BIN" capture -r "$mixed" -d "$SCRATCH/store.db" "$@"
        drop_store
    done
    put_row "$name" "$what" 'tcpdump -r -w' s \
        "$(calc "$(stat "$name.ours" median) / $(stat "$name.peer" median)")" '<=' "$limit"
}

row_import_plain() {
    import import-plain 'import, raw' 0.8 --compression off
}

row_import_sealed() {
    make_key
    import import-sealed 'import, raw, sealed' 1.2 --compression off "${key[@]}"
}

row_import_compressed_sealed() {
    make_key
    import import-compressed-sealed 'import, compressed and sealed' 1.5 --compression on "${key[@]}"
}

# store NAME OPTIONS…: the mixed capture in a store of its own that stays for other rows.
store() {
    local name=$1
    shift
    make_mixed
    [ -f "$SCRATCH/$name.db" ] ||
        "$PR_BIN" --quiet capture -r "$mixed" -d "$SCRATCH/$name.db" "$@" 2>"$SCRATCH/stderr" ||
        die "import failed: $(cat "$SCRATCH/stderr")"
}

bytes_of() { du -sb --apparent-size "$@" | awk '{ n += $1 } END { print n }'; }

row_store_size() {
    store compressed --compression on
    "$PR_BIN" --quiet export -d "$SCRATCH/compressed.db" -o "$SCRATCH/out.pcapng" 2>/dev/null ||
        die "export failed"
    add store-size.peer "$(calc "$(zstd -1 -q -c "$SCRATCH/out.pcapng" | wc -c) / 1e6")"
    rm -f "$SCRATCH/out.pcapng"
    add store-size.ours \
        "$(calc "$(bytes_of "$SCRATCH/compressed.db" "$SCRATCH/compressed.db.d") / 1e6")"
    put_row store-size 'size of the store' 'zstd -1 of the pcapng' MB \
        "$(calc "$(stat store-size.ours median) / $(stat store-size.peer median)")" '<=' 1.05
}

# The whole catalogue counts as index: what else is in it is small.
row_store_index() {
    store compressed --compression on
    add store-index.peer "$(calc "$(bytes_of "$mixed") / 1e6")"
    add store-index.ours "$(calc "$(bytes_of "$SCRATCH/compressed.db") / 1e6")"
    put_row store-index 'size of the index' 'the packets' MB \
        "$(calc "$(stat store-index.ours median) / $(stat store-index.peer median)")" '<=' 0.01
}

# export_row NAME WHAT STORE LIMIT: GB/s, with cp of the same file as the peer.
export_row() {
    local name=$1 what=$2 from=$3 limit=$4 i bytes side
    for ((i = 1; i <= runs; i++)); do
        rm -f "$SCRATCH/out.pcapng"
        measured "$name.wall.ours" wall "$PR_BIN" --quiet export -d "$SCRATCH/$from.db" \
            -o "$SCRATCH/out.pcapng"
        measured "$name.wall.peer" wall cp "$SCRATCH/out.pcapng" "$SCRATCH/copy.pcapng"
        bytes=$(bytes_of "$SCRATCH/out.pcapng")
        rm -f "$SCRATCH/copy.pcapng"
        for side in peer ours; do
            add "$name.$side" "$(calc "$bytes / 1e9 / $(tail -n 1 "$SCRATCH/samples/$name.wall.$side")")"
        done
    done
    rm -f "$SCRATCH/out.pcapng"
    put_row "$name" "$what (ratio: GB/s)" 'cp of the pcapng' GB/s "$(stat "$name.ours" median)" \
        '>=' "$limit"
}

row_export_raw() {
    store raw --compression off
    export_row export-raw 'export from raw blocks' raw 1
    rm -rf "$SCRATCH/raw.db"*
}

row_export_compressed() {
    store compressed --compression on
    export_row export-compressed 'export from compressed blocks' compressed 0.5
}

# query_row NAME WHAT [OPTION…]: how the store is made and opened.
query_row() {
    local name=$1 what=$2 i theirs ours wrong='' options=("${@:3}")
    store queried --compression on "${options[@]}"
    for ((i = 1; i <= runs; i++)); do
        measured "$name.peer" wall tcpdump -nn -r "$mixed" "$RARE"
        theirs=$(wc -l <"$SCRATCH/stdout")
        measured "$name.ours" wall "$PR_BIN" query -d "$SCRATCH/queried.db" "${options[@]}" -l 0 \
            -f "$RARE"
        ours=$(wc -l <"$SCRATCH/stdout")
        [ "$theirs" = "$ours" ] || wrong="tcpdump finds $theirs packets, we $ours"
    done
    rm -rf "$SCRATCH/queried.db"*
    put_row "$name" "query for a rare 5-tuple, $ours packets, $what (ratio: times faster)" \
        'tcpdump -r FILTER' s \
        "$(calc "$(stat "$name.peer" median) / $(stat "$name.ours" median)")" '>=' 50 "$wrong"
}

row_query_5tuple() { query_row query-5tuple 'compressed'; }

row_query_5tuple_sealed() {
    make_key
    query_row query-5tuple-sealed 'compressed and sealed' "${key[@]}"
}

# ---- memory ---------------------------------------------------------------------------------

# resident_mib PID: without the kernel's ring, which is mapped from the packet socket.
resident_mib() {
    awk '/^[0-9a-f]+-[0-9a-f]+ / { ring = $NF ~ /^socket:/ } /^Rss:/ && !ring { n += $2 }
         END { print n / 1024 }' "/proc/$1/smaps"
}

# The first tenth is warm-up: pools fill. Flat: the last half is not above the half before it.
row_memory() {
    local pid flood_pid ends sample=0 early late missing=''
    live_up
    make_key
    start_in "$NS_B" "$PR_BIN" capture -i "$IF_B" -b "$BUFFER" -d "$SCRATCH/store.db" "${key[@]}" \
        --quota 1GiB >/dev/null 2>"$SCRATCH/stderr"
    pid=$STARTED
    wait_for 20 is_capturing "$SCRATCH/stderr" || die "did not start: $(cat "$SCRATCH/stderr")"
    (while :; do flood 1000000 "$FRAME_BYTES"; done) >"$SCRATCH/flood" 2>/dev/null &
    flood_pid=$!
    at_exit kill -9 "$flood_pid"
    ends=$((SECONDS + seconds))
    while [ "$SECONDS" -lt "$ends" ]; do
        sleep 1
        sample=$((sample + 1))
        [ $((sample * 10)) -lt "$seconds" ] || add memory.ours "$(resident_mib "$pid")"
    done
    kill "$flood_pid"
    wait "$flood_pid" 2>/dev/null
    stop "$pid"
    note "memory: $(awk '{ n += $2 } END { print n }' "$SCRATCH/flood") packets sent;" \
        "$(grep -E 'captured|dropped' "$SCRATCH/stderr" | paste -sd, | sed 's/,/, /g')"
    drop_store
    read -r early late < <(awk '{ v[NR] = $1 }
        END { for (i = 1; i <= NR; i++) { if (i <= NR / 2) { a = v[i] > a ? v[i] : a }
                                          else { b = v[i] > b ? v[i] : b } } print a, b }' \
        "$SCRATCH/samples/memory.ours")
    [ "$(calc "$late > $early + 1 ? 1 : 0")" = 0 ] || missing="grows from $early to $late MiB"
    put_row memory "memory beyond the kernel buffer, $seconds s (ratio: largest MiB)" – MiB \
        "$(stat memory.ours max)" '<=' 64 "$missing"
}

# ---- replay ---------------------------------------------------------------------------------

readonly REPLAY_PACKETS=250000
readonly REPLAY_GAP_NS=20000

# Packets of FRAME_BYTES every 20 us, to nobody's address.
make_even() {
    python3 - "$SCRATCH/even.pcap" "$REPLAY_PACKETS" "$REPLAY_GAP_NS" "$FRAME_BYTES" <<'PYTHON'
import struct, sys
path, count, gap, size = sys.argv[1], *map(int, sys.argv[2:])
frame = bytes.fromhex("020000000099020000000001" "88b5") + bytes(size - 14)
with open(path, "wb") as out:
    out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, 1))
    for n in range(count):
        at = 1_700_000_000_000_000_000 + n * gap
        out.write(struct.pack("<IIII", at // 10**9, at % 10**9, size, size) + frame)
PYTHON
}

# gap_errors FILE: median and 99th percentile of what the gaps in the capture are off, in us.
gap_errors() {
    python3 - "$1" "$REPLAY_GAP_NS" <<'PYTHON'
import struct, sys
data, gap = open(sys.argv[1], "rb").read(), int(sys.argv[2])
at, times = 24, []
while at + 16 <= len(data):
    second, ns, size, _ = struct.unpack_from("<IIII", data, at)
    times.append(second * 10**9 + ns)
    at += 16 + size
errors = sorted(abs(b - a - gap) for a, b in zip(times, times[1:]))
print(errors[len(errors) // 2] / 1e3, errors[len(errors) * 99 // 100] / 1e3, len(times))
PYTHON
}

# What the other end's kernel saw, not what we say of ourselves.
row_replay() {
    local pid i median p99 seen missing=''
    live_up
    make_even
    for ((i = 1; i <= runs; i++)); do
        start_in "$NS_B" tcpdump -i "$IF_B" -n -B 65536 --nano -c "$REPLAY_PACKETS" \
            -w "$SCRATCH/seen.pcap" ether proto 0x88b5 2>"$SCRATCH/stderr"
        pid=$STARTED
        wait_for 20 is_capturing "$SCRATCH/stderr" || die "tcpdump did not start"
        in_a "$PR_BIN" replay -r "$SCRATCH/even.pcap" -i "$IF_A" >"$SCRATCH/stdout" || die "replay"
        wait_for 5 has_ended "$pid" || kill -TERM "$pid"
        wait "$pid"
        read -r median p99 seen < <(gap_errors "$SCRATCH/seen.pcap")
        [ "$seen" = "$REPLAY_PACKETS" ] || missing="$((REPLAY_PACKETS - seen)) packets missing"
        add replay-median.ours "$median"
        add replay-p99.ours "$p99"
    done
    rm -f "$SCRATCH/seen.pcap" "$SCRATCH/even.pcap"
    put_row replay-median 'replay at 50 kpps, error of the gaps, median (ratio: µs)' – µs \
        "$(stat replay-median.ours median)" '<=' 50 "$missing"
    put_row replay-p99 'replay at 50 kpps, error of the gaps, p99 (ratio: µs)' – µs \
        "$(stat replay-p99.ours median)" '<=' 1000 "$missing"
}

# ---------------------------------------------------------------------------------------------

ensure_built() {
    [ -x "$PR_BIN" ] && [ -x "$PR_NODE" ] && [ -x "$tools/ws_viewer" ] && return
    note "building release"
    { cmake --preset release -DBUILD_TESTING=ON && cmake --build --preset release; } >/dev/null ||
        die "the build failed"
}

main() {
    local row known
    for row in "${rows[@]}"; do
        known=" ${all_rows[*]} "
        [[ "$known" == *" $row "* ]] || die "no row '$row'; there are: ${all_rows[*]}"
    done
    ensure_built
    scratch_dir bench || exit 1
    mkdir "$SCRATCH/samples"
    key=()
    {
        printf '%s, %s cores, Linux %s; %s; %s; median of %s runs (smallest–largest)\n\n' \
            "$(awk -F': ' '/model name/ { print $2; exit }' /proc/cpuinfo)" "$(nproc)" \
            "$(uname -r)" "$("$PR_BIN" --version)" "$(tcpdump --version 2>&1 | head -n 1)" "$runs"
        printf '| what | peer | peer value | ours | ratio | target | met |\n'
        printf '|---|---|---|---|---|---|---|\n'
    } | tee "$SCRATCH/table"
    for row in "${rows[@]}"; do
        "row_${row//-/_}"
    done
    [ -z "$table_file" ] || cp "$SCRATCH/table" "$table_file"
}

main
