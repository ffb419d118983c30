# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034 # runs, tools and digits are of run.sh
#
# Sourced by run.sh, whose functions it uses: the rows of the node. Node, viewer and what is captured
# are in one network namespace, "the same machine"; the flood comes over the wire from the other. A
# new node for every turn, because a stream lingers after its last viewer and would burden the
# peer's turn. What counts as sent is what reached the captured interface (its rx_packets): the
# generator's end of the wire may refuse frames (xdp_xmit_err), which nobody behind it can see.

readonly FLOOD_PACKETS=2000000
readonly WEBSOCKETD_PORT=8099 RPCAPD_PORT=2002

node_up() {
    live_up
    start_node "$SCRATCH/node.log" "$@" || die "no node: $(cat "$SCRATCH/node.log")"
    NODE_URL=http${1:+s}://127.0.0.1:$NODE_PORT
}

node_down() {
    stop "$NODE_PID" || die "the node failed: $(tail -n 3 "$SCRATCH/node.log")"
    rm -rf "$SCRATCH/packets.db"*
}

# metric NAME: the sum of a family. metrics_now reads them all into a file.
metrics_now() { in_b curl -skf "$NODE_URL/metrics" >"$SCRATCH/metrics"; }
metric() {
    awk -v name="packetrecorder_$1" '{ split($1, k, "{") } k[1] == name { n += $NF }
        END { printf "%.0f\n", n }' "$SCRATCH/metrics"
}

# viewer_up NAME OPTION…: ws_viewer in namespace B; $VIEWER is its process, its words in
# $SCRATCH/NAME. viewer_down: it reads what is still there, and its line is complete.
viewer_up() {
    local name=$1
    shift
    : >"$SCRATCH/$name.err"
    start_in "$NS_B" "$tools/ws_viewer" "$@" >"$SCRATCH/$name" 2>"$SCRATCH/$name.err"
    VIEWER=$STARTED
    wait_for 60 grep -q ready "$SCRATCH/$name.err" || die "no viewer: $(cat "$SCRATCH/$name.err")"
}

viewer_down() {
    stop "$VIEWER" || die "the viewer failed: $(tail -n 2 "$SCRATCH"/*.err)"
}

# field FILE NAME: of a line of words NAME=VALUE.
field() { tr ' ' '\n' <"$SCRATCH/$1" | sed -n "s/^$2=//p"; }

interface_saw() { in_b cat "/sys/class/net/$IF_B/statistics/rx_packets"; }

# flood_in COUNT [FLOWS PPS]: sets $arrived, and adds up $refused.
flood_in() {
    local before
    before=$(interface_saw)
    flood "$1" "$FRAME_BYTES" "${@:2}" >"$SCRATCH/flood" || die "flood failed"
    arrived=$(($(interface_saw) - before))
    refused=$((refused + $1 - arrived))
    add rate "$(awk '{ print $(NF - 1) }' "$SCRATCH/flood")"
}

cpu_ticks() { awk '{ print $14 + $15 }' "/proc/$1/stat" 2>/dev/null || echo 0; }

# settled PID: waits until the process does nothing any more, at most 10 s.
settled() {
    local before now deadline=$((SECONDS + 10))
    now=$(cpu_ticks "$1")
    while [ "$SECONDS" -lt "$deadline" ]; do
        before=$now
        sleep 0.5
        now=$(cpu_ticks "$1")
        [ "$now" -gt $((before + 1)) ] || return 0
    done
}

# Everything that came in was sent to the viewers or is counted as lost.
is_drained() {
    metrics_now
    [ $(($(metric stream_packets_total) + $(metric stream_lost_kernel_total))) -ge "$arrived" ] &&
        [ $(($(metric viewer_packets_total) + $(metric viewer_lost_packets_total))) -ge \
            "$(metric stream_packets_total)" ]
}

# delivered NAME GOT: of $arrived, in per cent.
delivered() { add "$1" "$(calc "100 * $2 / $arrived")"; }

# ---- flood to one viewer --------------------------------------------------------------------

# tcpdump with a ring as large as ours, behind websocketd.
websocketd_once() {
    local relay dump
    : >"$SCRATCH/dump.err"
    start_in "$NS_B" websocketd --address=127.0.0.1 --port=$WEBSOCKETD_PORT --binary=true \
        --loglevel=fatal sh -c "exec tcpdump -i $IF_B -n -B 32768 -w - 2>$SCRATCH/dump.err" \
        >/dev/null 2>&1
    relay=$STARTED
    wait_for 10 in_b sh -c "ss -Hltn | grep -q :$WEBSOCKETD_PORT" || die "no websocketd"
    viewer_up peer "$WEBSOCKETD_PORT" /?pcap 120
    wait_for 20 is_capturing "$SCRATCH/dump.err" || die "no tcpdump behind websocketd"
    flood_in "$FLOOD_PACKETS"
    dump=$(pgrep -P "$relay")
    settled "$VIEWER"
    # What is left in tcpdump's buffer comes at its end.
    kill -TERM "$dump"
    wait_for 10 has_ended "$dump"
    viewer_down
    delivered "$1" "$(field peer packets)"
    stop "$relay"
}

rpcap_ready=''
rpcapd_once() {
    local server client
    if [ -z "$rpcap_ready" ]; then
        cc -O2 -I"$RPCAP_DIR" -o "$SCRATCH/rpcap_count" tests/bench/rpcap_count.c \
            "$RPCAP_DIR/libpcap.a" -lssl -lcrypto || die "no rpcap client from $RPCAP_DIR"
        rpcap_ready=1
    fi
    start_in "$NS_B" "$RPCAP_DIR/rpcapd/rpcapd" -n -b 127.0.0.1 -p $RPCAPD_PORT >/dev/null 2>&1
    server=$STARTED
    wait_for 10 in_b sh -c "ss -Hltn | grep -q :$RPCAPD_PORT" || die "no rpcapd"
    : >"$SCRATCH/rpcap.err"
    start_in "$NS_B" "$SCRATCH/rpcap_count" "rpcap://127.0.0.1:$RPCAPD_PORT/$IF_B" \
        >"$SCRATCH/rpcap" 2>"$SCRATCH/rpcap.err"
    client=$STARTED
    wait_for 10 rpcap_is_ready || die "rpcapd: $(cat "$SCRATCH/rpcap.err")"
    flood_in "$FLOOD_PACKETS"
    settled "$client"
    stop "$client"
    delivered "$1" "$(field rpcap packets)"
    # Asked to end it would kill its whole process group, with us in it.
    kill -KILL "$server"
    wait "$server" 2>/dev/null
}

# Its first packet says that the capture runs; the few that this takes do not count.
rpcap_is_ready() { flood 1 "$FRAME_BYTES" && grep -q ready "$SCRATCH/rpcap.err"; }

# Ours: adds up $lost (missing at the viewer) and $untold (missing and in no counter).
relay_once() {
    local got counted
    node_up
    viewer_up ours "$NODE_PORT" "/connections/$IF_B?format=$2" 120
    flood_in "$FLOOD_PACKETS"
    wait_for 10 is_drained
    viewer_down
    metrics_now
    got=$(field ours packets)
    counted=$(($(metric stream_lost_kernel_total) + $(metric stream_lost_relay_total) + \
        $(metric viewer_lost_packets_total)))
    delivered "$1" "$got"
    lost=$((lost + arrived - got))
    untold=$((untold + arrived - got - counted))
    [ "$2" = raw ] || [ "$(field ours told)" = "$(metric viewer_lost_packets_total)" ] ||
        untold="$untold, the viewer was told $(field ours told)"
    node_down
}

# relay_flood NAME FORMAT SIGN TARGET: of what is lost with <=, of what is delivered with >=.
relay_flood() {
    local name=$1 format=$2 sign=$3 limit=$4 i lost=0 untold=0 refused=0 arrived ratio missing=''
    local digits=6 what
    command -v websocketd >/dev/null || die "no websocketd: ./setup.sh test"
    live_up
    for ((i = 1; i <= runs; i++)); do
        websocketd_once "$name.peer"
        [ -z "${RPCAP_DIR:-}" ] || rpcapd_once "$name-rpcapd.peer"
        relay_once "$name.ours" "$format"
    done
    [ "$untold" = 0 ] || missing="$untold packets missing that no counter has"
    what="$runs × 2 M frames at $(calc "int($(stat rate median) / 1e4) / 100") Mpps to one $format viewer"
    what+=", delivered; we lost $lost, the generator's own end refused $refused in all turns"
    ratio=$lost
    [ "$sign" = '<=' ] || ratio=$(calc "100 - 100 * $lost / ($runs * $FLOOD_PACKETS)")
    put_row "$name" "$what" 'tcpdump -w - behind websocketd' % "$ratio" "$sign" "$limit" "$missing"
    rm -f "$SCRATCH/samples/rate"
    [ -n "${RPCAP_DIR:-}" ] || return 0
    cp "$SCRATCH/samples/$name.ours" "$SCRATCH/samples/$name-rpcapd.ours"
    put_row "$name-rpcapd" 'the same' "libpcap's rpcapd" % "$ratio" "$sign" "$limit" "$missing"
}

row_relay_pcapng_flood() { relay_flood relay-pcapng-flood pcapng '<=' 0; }
row_relay_raw_flood() { relay_flood relay-raw-flood raw '>=' 99.9; }

# The whole way into a file, through our own client.
row_relay_view() {
    local i lost=0 refused=0 arrived digits=6 got client
    live_up
    for ((i = 1; i <= runs; i++)); do
        node_up
        start_in "$NS_B" "$PR_BIN" view "$NODE_URL" -i "$IF_B" -w "$SCRATCH/view.pcapng" \
            2>"$SCRATCH/stderr"
        client=$STARTED
        wait_for 10 has_viewer || die "no viewer: $(cat "$SCRATCH/stderr")"
        flood_in "$FLOOD_PACKETS"
        wait_for 10 is_drained
        settled "$client"
        stop "$client"
        got=$(capinfos -TrMc "$SCRATCH/view.pcapng" | awk '{ print $NF }')
        delivered relay-view.ours "$got"
        lost=$((lost + arrived - got))
        node_down
        rm -f "$SCRATCH/view.pcapng"
    done
    rm -f "$SCRATCH/samples/rate"
    put_row relay-view "$runs × 2 M frames at flood rate through \`view -w FILE\`, delivered" – % \
        "$lost" '<=' 0
}

has_viewer() { metrics_now && [ "$(metric viewers)" -ge 1 ]; }

# ---- the relay alone ------------------------------------------------------------------------

# relay_alone NAME WHAT FIELD UNIT DIVISOR TARGET ARGUMENT…
relay_alone() {
    local name=$1 what=$2 which=$3 unit=$4 divisor=$5 target=$6 i missing=''
    shift 6
    for ((i = 1; i <= runs; i++)); do
        "$tools/relay_memory" 5 "$@" >"$SCRATCH/relay" || die "relay_memory failed"
        [ "$(field relay lost)" = 0 ] || missing="$(field relay lost) packets lost"
        add "$name.ours" "$(calc "$(field relay "$which") / $divisor")"
    done
    put_row "$name" "$what (ratio: $unit)" – "$unit" "$(stat "$name.ours" median)" '>=' "$target" \
        "$missing"
}

row_relay_memory() {
    relay_alone relay-memory 'relay alone, 100-byte raw frames from memory to one client' \
        frames_per_s 'M frames/s' 1e6 5 100 raw
}

make_certificate() {
    [ -f "$SCRATCH/node.key" ] ||
        openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 60 \
            -subj /CN=127.0.0.1 -addext subjectAltName=IP:127.0.0.1 -keyout "$SCRATCH/node.key" \
            -out "$SCRATCH/node.crt" 2>"$SCRATCH/stderr" || die "no certificate"
}

row_relay_tls() {
    make_certificate
    relay_alone relay-tls 'relay alone over TLS, pcapng of 1400-byte packets' packet_mb_per_s MB/s 1 \
        300 1400 pcapng "$SCRATCH/node.crt" "$SCRATCH/node.key"
}

# ---- many viewers ---------------------------------------------------------------------------

readonly VIEWERS=100 VIEWERS_PPS=20000 VIEWERS_SECONDS=30 # more than the backlog holds

row_relay_100_viewers() {
    local i stopped refused=0 arrived flood_pid missing='' short=0 path=/connections
    live_up
    for ((i = 1; i <= runs; i++)); do
        node_up
        path="/connections/$IF_B?format=pcapng"
        viewer_up stopped "$NODE_PORT" "$path" 600
        stopped=$VIEWER
        kill -STOP "$stopped"
        viewer_up many -n $((VIEWERS - 1)) "$NODE_PORT" "$path" 600
        : >"$SCRATCH/rss"
        (while sleep 1; do resident_mib "$NODE_PID" >>"$SCRATCH/rss"; done) &
        flood_pid=$!
        at_exit kill -9 "$flood_pid"
        flood_in $((VIEWERS_PPS * VIEWERS_SECONDS)) 65536 "$VIEWERS_PPS"
        sleep 1
        kill "$flood_pid"
        wait "$flood_pid" 2>/dev/null
        viewer_down
        [ "$(field many packets)" = $((arrived * (VIEWERS - 1))) ] ||
            short=$((short + arrived * (VIEWERS - 1) - $(field many packets)))
        [ "$(field many told)" = 0 ] || missing='a viewer was told of a loss'
        add relay-100-viewers.ours "$(sort -g "$SCRATCH/rss" | tail -n 1)"
        # The stopped one goes on: what it got and what it is told of is everything.
        VIEWER=$stopped
        kill -CONT "$VIEWER"
        wait_for 10 is_drained
        viewer_down
        [ "$(field stopped told)" -gt 0 ] || missing='the stopped viewer lost nothing'
        [ $(($(field stopped packets) + $(field stopped told))) = "$arrived" ] ||
            missing="the stopped viewer was not told rightly"
        node_down
    done
    rm -f "$SCRATCH/samples/rate"
    [ "$short" = 0 ] || missing="$short packets missing"
    put_row relay-100-viewers "memory with $VIEWERS viewers at $((VIEWERS_PPS / 1000)) kpps for \
$VIEWERS_SECONDS s, one stopped; the others lost $short, it was told exactly (ratio: largest MiB)" – MiB \
        "$(stat relay-100-viewers.ours max)" '<=' $((64 + VIEWERS)) "$missing"
}

readonly IDLE=1000 IDLE_SECONDS=20

# relay_idle NAME WHAT [NODE OPTION…]: over TLS when there are options.
relay_idle() {
    local name=$1 what=$2 i before path='' tls=()
    shift 2
    [ $# -eq 0 ] || tls=(-t)
    ulimit -n 8192 || die "no 8192 descriptors"
    live_up
    for ((i = 1; i <= runs; i++)); do
        node_up "$@"
        path="/connections/$IF_B?format=pcapng"
        # The first one starts the stream, which is not the viewers' cost.
        viewer_up first "${tls[@]}" "$NODE_PORT" "$path" 600
        before=$(resident_mib "$NODE_PID")
        viewer_up idle "${tls[@]}" -n $IDLE "$NODE_PORT" "$path" 600
        add "$name-memory.ours" "$(calc "($(resident_mib "$NODE_PID") - $before) * 1024 / $IDLE")"
        before=$(cpu_ticks "$NODE_PID")
        sleep $IDLE_SECONDS
        add "$name-cpu.ours" "$(calc "100 * ($(cpu_ticks "$NODE_PID") - $before) / \
            $(getconf CLK_TCK) / $IDLE_SECONDS")"
        node_down
    done
    put_row "$name-memory" "memory of each of $IDLE idle viewers$what (ratio: KiB)" – KiB \
        "$(stat "$name-memory.ours" median)" '<=' 16
    put_row "$name-cpu" "$IDLE idle viewers$what (ratio: % of a core)" – % \
        "$(stat "$name-cpu.ours" median)" '<=' 1
}

row_relay_1000_idle() { relay_idle relay-1000-idle ''; }

row_relay_1000_idle_tls() {
    make_certificate
    relay_idle relay-1000-idle-tls ' over TLS' --tls-cert "$SCRATCH/node.crt" \
        --tls-key "$SCRATCH/node.key"
}

# ---- latency --------------------------------------------------------------------------------

row_relay_latency() {
    local i sender limit=8 timer='jiffies timer' p50 p99
    # Since 6.18 the kernel retires a packet ring's block by an hrtimer.
    if [ "$(printf '6.18\n%s\n' "$(uname -r)" | sort -V | head -n 1)" = 6.18 ]; then
        limit=2 timer=hrtimer
    fi
    live_up
    for ((i = 1; i <= runs; i++)); do
        node_up
        start_in "$NS_A" python3 tests/support/numbered_sender.py 10.77.0.2 9999 1000 /dev/null
        sender=$STARTED
        viewer_up ours "$NODE_PORT" "/connections/$IF_B?format=pcapng" 8
        wait "$VIEWER"
        kill "$sender"
        wait "$sender" 2>/dev/null
        p50=$(field ours p50_us) p99=$(field ours p99_us)
        [ "$(field ours numbered)" -gt 4000 ] || die "too few packets for a latency"
        add relay-latency-p50.ours "$(calc "$p50 / 1000")"
        add relay-latency-p99.ours "$(calc "$p99 / 1000")"
        node_down
    done
    put_row relay-latency-p50 "wire to viewer at 1 kpps, block timer: $timer, median (ratio: ms)" – ms \
        "$(stat relay-latency-p50.ours median)" '<=' "$limit"
    put_row relay-latency-p99 'wire to viewer at 1 kpps, p99 (ratio: ms)' – ms \
        "$(stat relay-latency-p99.ours median)" '<=' 15
}

# ---- the codecs -----------------------------------------------------------------------------

# What bench_wire says; nothing here has a target.
row_wire() {
    local i line digits=5
    for ((i = 1; i <= runs; i++)); do
        "$tools/bench_wire" >"$SCRATCH/wire" || die "bench_wire failed"
        while read -r line; do
            add "wire.$(sed -E 's/ {2,}.*//; s/[^a-zA-Z0-9]+/-/g' <<<"$line").ours" \
                "$(sed -E 's/.* ([0-9]+) MB\/s.*/\1/' <<<"$line")"
        done <"$SCRATCH/wire"
    done
    while read -r line; do
        line=$(sed -E 's/ {2,}.*//' <<<"$line")
        printf '| codecs: %s | – | – | %s | – | – | – |\n' "$line" \
            "$(shown "wire.$(sed -E 's/[^a-zA-Z0-9]+/-/g' <<<"$line").ours" MB/s)"
    done <"$SCRATCH/wire" | tee -a "$SCRATCH/table"
}

# What bench_channel says, without targets: lines of a name, two blanks or more, a number, its unit.
row_channel() {
    local i line key digits=5
    for ((i = 1; i <= runs; i++)); do
        "$tools/bench_channel" >"$SCRATCH/channel" || die "bench_channel failed"
        while read -r line; do
            key=$(sed -E 's/ {2,}.*//; s/[^a-zA-Z0-9]+/-/g' <<<"$line")
            add "channel.$key.ours" "$(sed -E 's/.* {2,}([0-9]+) .*/\1/' <<<"$line")"
        done <"$SCRATCH/channel"
    done
    while read -r line; do
        key=$(sed -E 's/ {2,}.*//; s/[^a-zA-Z0-9]+/-/g' <<<"$line")
        printf '| channel: %s | – | – | %s | – | – | – |\n' "$(sed -E 's/ {2,}.*//' <<<"$line")" \
            "$(shown "channel.$key.ours" "$(sed -E 's/.* {2,}[0-9]+ //' <<<"$line")")"
    done <"$SCRATCH/channel" | tee -a "$SCRATCH/table"
}

# ---- RPC ------------------------------------------------------------------------------------

# rpc_row NAME WHAT MODE N TARGET: over the channel, and over the UNIX socket without one.
rpc_row() {
    local name=$1 what=$2 mode=$3 n=$4 i over endpoint
    for ((i = 1; i <= runs; i++)); do
        add_key view >"$SCRATCH/rpc.key" 2>/dev/null
        node_up --rpc-addr 127.0.0.1:0 --rpc-socket "$SCRATCH/rpc.sock"
        endpoint=$(grep -oE 'rpc on 127[0-9.]+:[0-9]+' "$SCRATCH/node.log" | cut -d' ' -f3)
        for over in "$endpoint" "unix:$SCRATCH/rpc.sock"; do
            in_b "$tools/rpc_load" "$over" "$SCRATCH/rpc.key" "$mode" "$n" >"$SCRATCH/rpc" ||
                die "rpc_load failed: $(cat "$SCRATCH/rpc")"
            add "$name-$(grep -o '^unix' <<<"$over" || echo tcp).ours" "$(field rpc p99_ms)"
        done
        node_down
    done
    put_row "$name-tcp" "$what, p99 (ratio: ms)" – ms "$(stat "$name-tcp.ours" median)" '<=' "$5"
    put_row "$name-unix" 'the same over the UNIX socket' – ms "$(stat "$name-unix.ours" median)" \
        '<=' "$5"
}

row_rpc_calls() { rpc_row rpc-calls '1,000 calls at once on 20 connections, all answered' calls 1000 250; }
row_rpc_clients() { rpc_row rpc-clients '1,000 clients at once, connect and call' clients 1000 1000; }
row_rpc_cold() { rpc_row rpc-cold 'a cold call on loopback' cold 500 50; }

# A session of 1 GiB is pulled with `manage download-pcap` while the node records 100 kpps, of which
# nothing may be lost: through the channel, then over the UNIX socket.
readonly PULL_PPS=100000 PULL_SECONDS=10
row_rpc_pull() {
    local i over endpoint began bytes stopped missing lost=''
    make_mixed
    for ((i = 1; i <= runs; i++)); do
        "$PR_BIN" --quiet capture -r "$mixed" -d "$SCRATCH/packets.db" --name mixed >/dev/null 2>&1 ||
            die "no session to pull"
        add_key capture >"$SCRATCH/rpc.key" 2>/dev/null
        chmod 600 "$SCRATCH/rpc.key"
        node_up --rpc-addr 127.0.0.1:0 --rpc-socket "$SCRATCH/rpc.sock"
        endpoint=$(grep -oE 'rpc on 127[0-9.]+:[0-9]+' "$SCRATCH/node.log" | cut -d' ' -f3)
        for over in "$endpoint" "unix:$SCRATCH/rpc.sock"; do
            ask_rpc "$over" start-capture --interface "$IF_B" --name live >/dev/null || die "no capture"
            flood $((PULL_PPS * PULL_SECONDS)) "$FRAME_BYTES" 1 "$PULL_PPS" >"$SCRATCH/flood" &
            began=$(date +%s.%N)
            bytes=$(ask_rpc "$over" download-pcap -s mixed -o - | wc -c)
            add "rpc-pull-$(grep -o '^unix' <<<"$over" || echo tcp).ours" \
                "$(calc "$bytes / ($(date +%s.%N) - $began) / 1e6")"
            wait "$!" || die "flood failed"
            stopped=$(ask_rpc "$over" --json stop-capture live | tr -d ' \n')
            grep -q '"packets":[1-9]' <<<"$stopped" || die "the capture failed: $stopped"
            missing=$(grep -oE '"(kernel|interface|store)":[1-9][0-9]*' <<<"$stopped")
            lost="${lost:-$missing}"
            ask_rpc "unix:$SCRATCH/rpc.sock" delete-session live >/dev/null 2>&1
        done
        node_down
    done
    put_row rpc-pull-tcp 'pull of 1 GiB through the channel beside a capture of 100 kpps (ratio: MB/s)' \
        – MB/s "$(stat rpc-pull-tcp.ours median)" '>=' 300 "$lost"
    put_row rpc-pull-unix 'the same over the UNIX socket' – MB/s "$(stat rpc-pull-unix.ours median)" \
        '>=' 300 "$lost"
}

# ask_rpc ENDPOINT WORD…: the command line, asking the node.
ask_rpc() {
    local over=$1
    shift
    in_b "$PR_BIN" manage --endpoint "$over" --api-key-file "$SCRATCH/rpc.key" "$@" 2>>"$SCRATCH/ask.log"
}
