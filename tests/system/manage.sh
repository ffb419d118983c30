#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# packetrecorder manage as a user types it, against a real node: every command over the UNIX socket
# and over the secure channel, what is refused and how that is told, and downloads that are broken
# off and gone on with.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
need python3 ping
node_place manage
PR_PYTHON=${PR_PYTHON:-python3}
cd "$SCRATCH" || exit 1
readonly SOCK=$SCRATCH/rpc.sock
readonly PACKETS=200000
unset PACKETRECORDER_ENDPOINT PACKETRECORDER_API_KEY PACKETRECORDER_API_KEY_FILE

pr() { in_b "$PR_BIN" "$@"; }
# manage WORD…: over the UNIX socket.
manage() { pr manage --endpoint "unix:$SOCK" "$@"; }
# away WORD…: over TCP with the admin key.
away() { pr manage --endpoint "127.0.0.1:$RPC_PORT" --api-key-file admin.key "$@"; }
says() { [[ $("${@:2}" 2>&1) == *"$1"* ]]; }
stdout_is_empty() { [ -z "$("$@" 2>/dev/null)" ]; }
# json EXPRESSION COMMAND…: of the JSON v that the command prints; fails when it prints none.
json() { "${@:2}" 2>/dev/null | python3 -c "import json, sys; v = json.load(sys.stdin); print($1)"; }
lines_are_json() { "$@" 2>/dev/null | python3 -c 'import json, sys
n = 0
for line in sys.stdin:
    json.loads(line)
    n += 1
sys.exit(n == 0)'; }
rpc_port() { grep -oE 'rpc on .*127\.0\.0\.1:[0-9]+' "$1" | grep -oE '[0-9]+$' | head -n 1 | grep .; }

start() {
    start_node node.log --rpc-addr 127.0.0.1:0 --rpc-socket "$SOCK" || return 1
    wait_for 15 rpc_port node.log && RPC_PORT=$(rpc_port node.log)
}
stop() {
    kill "$NODE_PID"
    wait "$NODE_PID" 2>/dev/null
}

test_without_a_node() {
    check_exit "no node is a failure" 1 manage info
    check "told with the endpoint and the way out" \
        says "no node answers at unix:$SOCK; start one with 'packetrecorder serve'" manage info
    check "and nothing on standard output" stdout_is_empty manage info --json
    check_exit "no command is wrong usage" 2 manage
    check_exit "an unknown one too" 2 manage infos
    check "with the nearest" says "did you mean 'manage info'?" manage infos
    check_exit "no endpoint is wrong usage" 2 pr manage --endpoint : info
    check "a TCP endpoint wants a key" says "--api-key-file" pr manage --endpoint 127.0.0.1:1 info
    check_exit "of several endpoints one must answer" 1 \
        pr manage --endpoint "unix:$SCRATCH/a,unix:$SCRATCH/b" info
    check_exit "a listener that says nothing is waited for until --timeout" 1 \
        timeout 20 bash -c "'$PR_PYTHON' -c 'import socket, sys, subprocess
s = socket.socket(socket.AF_UNIX); s.bind(\"mute\"); s.listen(1)
sys.exit(subprocess.run(sys.argv[1:]).returncode)' '$PR_BIN' manage --endpoint unix:$SCRATCH/mute --timeout 0.3 info"
    check_exit "what is no packetrecorder is told" 1 \
        timeout 20 "$PR_PYTHON" -c 'import socket, sys, subprocess
s = socket.socket(socket.AF_UNIX); s.bind("echo"); s.listen(1)
p = subprocess.Popen(sys.argv[1:])
c = s.accept()[0]; c.recv(100); c.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
sys.exit(p.wait())' "$PR_BIN" manage --endpoint "unix:$SCRATCH/echo" info
}

test_the_node() {
    check "info is shown in words" says "node       " manage info
    check_equal "and as JSON" True "$(json 'v["captures"]["running"] == 0 and "version" in v' manage info --json)"
    check_equal "global options may stand behind" 0 \
        "$(json 'v["captures"]["running"]' pr manage info --json --endpoint "unix:$SOCK")"
    check_equal "the first endpoint that answers counts" 0 \
        "$(json 'v["captures"]["running"]' pr manage --endpoint "unix:$SCRATCH/none,unix:$SOCK" info --json)"
    check_equal "repeated ones too" 0 "$(json 'v["captures"]["running"]' \
        pr manage --endpoint "unix:$SCRATCH/none" --endpoint "unix:$SOCK" info --json)"
    check_equal "the environment names one" 0 "$(PACKETRECORDER_ENDPOINT=unix:$SOCK \
        json 'v["captures"]["running"]' pr manage info --json)"
    check "interfaces are a table" says "loopback" manage list-interfaces
    check_equal "and objects" True \
        "$(json 'any(i["name"] == "lo" and "loopback" in i["flags"] for i in v)' manage list-interfaces --json)"
    check_exit "a well node has no problem" 0 manage doctor
    check_equal "told as by doctor" "['check', 'mend', 'state', 'text']" \
        "$(json 'sorted(v[0])' manage doctor --json)"
}

test_captures() {
    check_equal "no capture runs" "[]" "$(manage captures --json 2>/dev/null)"
    check_equal "a capture starts" running "$(json 'v["state"]' manage start-capture -i lo --name dns \
        --tag a=b --snaplen 100 --json -- icmp)"
    check_equal "with what was asked for" "icmp {'a': 'b'} lo" "$(json \
        'v[0]["filter"], v[0]["tags"], v[0]["interfaces"][0]["name"]' manage captures --json |
        tr -d "()\"" | sed "s/^'icmp', /icmp /; s/, 'lo'$/ lo/")"
    check_exit "one that is there cannot be deleted" 1 manage delete-session dns
    in_b ping -c 5 -i 0.05 127.0.0.1 >/dev/null
    check "it records" wait_for 10 recorded 10
    check "the table shows it" says "running" manage captures dns
    check_equal "its end waits for the store" "complete 10" \
        "$(json 'v["state"], v["packets"]' manage stop-capture dns --json | tr -d "(),'")"
    check_exit "a second end finds none" 1 manage stop-capture dns
    check_exit "an interface is needed" 2 manage start-capture
    check_exit "an unknown interface is a failure" 1 manage start-capture -i nosuch0
    check_exit "so is a filter that is wrong" 1 manage start-capture -i lo -f 'tcp port port'
    check_equal "a limit ends one" True "$(json 'v["id"] != ""' manage start-capture -i lo -c 2 --name two --json)"
    in_b ping -c 4 -i 0.05 127.0.0.1 >/dev/null
    check "exactly" wait_for 10 ended two 2
}
recorded() { [ "$(json 'v["packets"]' manage captures dns --json)" -ge "$1" ]; }
ended() { [ "$(json 'v["state"], v["packets"]' manage captures "$1" --json)" = "complete $2" ]; }

test_sessions() {
    check_equal "sessions are those of the store" "['dns', 'two', 'big']" \
        "$(json '[s["name"] for s in sorted(v, key=lambda s: s["name"] == "big")]' manage sessions --json)"
    check_equal "the table is that of the store" \
        "$("$PR_BIN" sessions -d packets.db)" "$(manage sessions)"
    check_equal "packets read as those of the store" \
        "$("$PR_BIN" query -d packets.db -s dns -l 0)" "$(manage query -s dns -l 0)"
    check_equal "and as JSON" \
        "$("$PR_BIN" query -d packets.db -s dns -l 0 --json --show-data)" \
        "$(manage query -s dns -l 0 --json --show-data)"
    check "a line each" lines_are_json manage query -s dns --json
    check_equal "with their bytes" \
        "$("$PR_BIN" query -d packets.db -s dns --show-data)" "$(manage query -s dns --show-data)"
    check_equal "several in time order" \
        "$("$PR_BIN" query -d packets.db -s dns -s two -l 0)" "$(manage query -s two -s dns -l 0)"
    check_equal "all of them" \
        "$("$PR_BIN" query --quiet -d packets.db -s all -l 3 --offset 4)" \
        "$(manage query --quiet -s all -l 3 --offset 4)"
    check_equal "counted" 5 "$(manage query -s dns --count -- 'icmp[icmptype] == icmp-echo')"
    check_equal "without reading them" $PACKETS "$(manage query -s big --count)"
    check_equal "with a filter over many pages" \
        "$("$PR_BIN" query -d packets.db -s big --count -- src net 10.0.0.0/9)" \
        "$(manage query -s big --count -- src net 10.0.0.0/9)"
    check "what is left out is said" says "10 of $PACKETS packets shown: -l 0 shows all" manage query -s big
    check_exit "several sessions want a name" 2 manage query
    check "told with the way out" says "name one with -s" manage query
    check_exit "an unknown session is a failure" 1 manage query -s nosuch
    check_exit "a filter that is wrong too" 1 manage query -s dns -- tcp port port
}

test_download() {
    local how
    "$PR_BIN" export --quiet -d packets.db -s big -o want.pcapng
    "$PR_BIN" export --quiet -d packets.db -s big -o want.pcap
    "$PR_BIN" export --quiet -d packets.db -s big -o some.pcapng -- src net 10.0.0.0/9
    for how in manage away; do
        check "$how downloads a session" "$how" download-pcap -s big -o got.pcapng
        check "$how: byte for byte" cmp got.pcapng want.pcapng
        check_exit "$how: what is there is not replaced" 1 "$how" download-pcap -s big -o got.pcapng
        check_equal "$how: but with --force" "$PACKETS 0" "$(json 'str(v["packets"]) + " " + str(v["resumed_at"])' \
            "$how" download-pcap -s big -o got.pcapng --force --json)"
        check "$how: nothing else is left" bash -c '! ls got.pcapng.*'
        check "$how: a classic file" "$how" download-pcap --session-id big --output got.pcap
        check "$how: byte for byte too" cmp got.pcap want.pcap
        "$how" download-pcap --quiet -s big -o - -- src net 10.0.0.0/9 >got.some
        check "$how: to standard output, filtered" cmp got.some some.pcapng
        rm -f got.*
    done
    check_exit "an unknown session is a failure" 1 manage download-pcap -s nosuch -o x
    check "and leaves nothing" bash -c '! ls x*'
    check_exit "so is a folder that is not there" 1 manage download-pcap -s dns -o nosuch/x
}

# A download through a wire that is cut after so many bytes.
test_resume() {
    local bytes
    "$PR_PYTHON" "$PR_SUPPORT/broken_socket.py" "$SOCK" "$SCRATCH/cut.sock" 20000000 &
    at_exit kill $!
    wait_for 10 test -S cut.sock
    check_exit "a download that is cut fails" 1 \
        pr manage --endpoint "unix:$SCRATCH/cut.sock" --timeout 1 download-pcap -s big -o back.pcapng
    check "and keeps what it has" test -s back.pcapng.part
    check "with what it takes to go on" test -s back.pcapng.part.state
    check "and no file yet" test ! -e back.pcapng
    bytes=$(stat -c %s back.pcapng.part)
    stop
    start || not_ok "the node comes back"
    check "the same command goes on there, at a node that was started again" \
        says "going on behind" away download-pcap -s big -o back.pcapng
    check "byte for byte" cmp back.pcapng want.pcapng
    check "nothing else is left" bash -c '! ls back.pcapng.*'
    check "there was something to go on with" test "$bytes" -gt 1000000
    # An interrupt: the reader of a slow wire is sent one.
    "$PR_PYTHON" "$PR_SUPPORT/broken_socket.py" "$SOCK" "$SCRATCH/slow.sock" 20000000 hold &
    at_exit kill $!
    wait_for 10 test -S slow.sock
    pr manage --endpoint "unix:$SCRATCH/slow.sock" download-pcap -s big -o int.pcapng 2>int.log &
    local pid=$!
    wait_for 20 large_enough int.pcapng.part
    pkill -INT -P "$pid" 2>/dev/null || kill -INT "$pid"
    wait "$pid"
    check_equal "an interrupt ends with 130" 130 $?
    check "and says where the bytes are" grep -q "'int.pcapng.part', and the same command goes on" int.log
    check "and it goes on" manage download-pcap -s big -o int.pcapng
    check "byte for byte" cmp int.pcapng want.pcapng
}
large_enough() { [ "$(stat -c %s "$1" 2>/dev/null || echo 0)" -gt 4000000 ]; }

test_keys() {
    manage keys add --role view --name A-viewer >view.key 2>hint
    chmod 600 view.key
    check "a key is one line" grep -Eqx 'pr_[a-z2-7]{8}_[A-Za-z0-9_-]{43}' view.key
    check "the hint is elsewhere" grep -q "shown this once" hint
    local viewer=(pr manage --endpoint "127.0.0.1:$RPC_PORT" --api-key-file view.key)
    check_equal "it may look" True "$(json 'len(v) > 0' "${viewer[@]}" sessions --json)"
    check_exit "and not more" 1 "${viewer[@]}" stop-capture dns
    check_equal "its secret stands in no list" 0 "$(manage keys list --json | grep -cF "$(cut -c13- view.key)")"
    check_equal "the list is that of the store" "$("$PR_BIN" keys list -d packets.db)" "$(manage keys list)"
    PACKETRECORDER_API_KEY=$(cat view.key) check_exit "the environment may hold it" 0 \
        pr manage --endpoint "127.0.0.1:$RPC_PORT" info
    PACKETRECORDER_API_KEY=$(cat view.key) check_exit "an endpoint that is silent leaves time for the next" 0 \
        in_b timeout 20 "$PR_PYTHON" -c 'import socket, subprocess, sys
s = socket.create_server(("127.0.0.1", 0))
at = "127.0.0.1:%d," % s.getsockname()[1] + sys.argv[1]
sys.exit(subprocess.run(sys.argv[2:] + ["--endpoint", at, "--timeout", "3", "info"]).returncode)' \
        "127.0.0.1:$RPC_PORT" "$PR_BIN" manage
    check "and a socket that takes, and does not answer; it is said whom it asks instead" \
        says "asking unix:$SOCK: " in_b timeout 20 "$PR_PYTHON" -c 'import socket, subprocess, sys
s = socket.socket(socket.AF_UNIX); s.bind("silent"); s.listen(1)
sys.exit(subprocess.run(sys.argv[1:]).returncode)' \
        "$PR_BIN" manage --endpoint "unix:$SCRATCH/silent" --endpoint "unix:$SOCK" --timeout 2 info
    PACKETRECORDER_ENDPOINT=unix:$SCRATCH/none check "a failure names the variable that the endpoint is from" \
        says "PACKETRECORDER_ENDPOINT (here the address of RPC" pr manage info
    check "a key on the command line works, and warns" says "prefer --api-key-file" \
        pr manage --endpoint "127.0.0.1:$RPC_PORT" --api-key "$(cat view.key)" info
    chmod 644 view.key
    check "a key file that others can read is refused" says "chmod 600" "${viewer[@]}" info
    chmod 600 view.key
    check "a key is revoked" manage keys revoke A-viewer
    check_exit "and opens nothing" 1 "${viewer[@]}" info
    sed 's/.$/x/' admin.key >wrong.key
    chmod 600 wrong.key
    check_exit "a wrong key neither" 1 pr manage --endpoint "127.0.0.1:$RPC_PORT" --api-key-file wrong.key info
    check_exit "a role is needed" 2 manage keys add
    check_equal "all this is in the audit" "keys.add keys.revoke" \
        "$(json '" ".join(a["method"] for a in v if a["method"].startswith("keys."))' manage audit --json)"
}

test_events() {
    check_equal "events are objects, a line each" "capture.started capture.ended" \
        "$(manage events --after 0 --type capture.started --type capture.ended -c 2 --json |
            python3 -c 'import json, sys; print(*[json.loads(l)["type"] for l in sys.stdin])')"
    check "or words" says "capture.ended session=" manage events --after 0 --type capture.ended -c 1
    manage events --type session.deleted >events.log &
    local pid=$!
    check "they come as they happen" wait_for 20 deleted_is_told
    pkill -INT -P "$pid" 2>/dev/null || kill -INT "$pid"
    wait "$pid"
    check_equal "an interrupt is how they end" 0 $?
    check_exit "with several one may fail: partly" 3 manage delete-session two nosuch
}
# Until the follower is there: deletes a session that is made anew each time.
deleted_is_told() {
    manage start-capture -i lo -t 0.1 --name gone --quiet >/dev/null 2>&1
    manage stop-capture gone >/dev/null 2>&1
    manage delete-session gone --quiet 2>/dev/null
    grep -q session.deleted events.log
}

test_swarm() {
    check_equal "a node alone is its own member" "alive" "$(json 'v[0]["state"]' manage members --json)"
    check "as a table too" says "alive" manage members
    check_exit "forgetting wants an id" 2 manage members forget
    check_exit "nobody else can be forgotten" 1 manage members forget nosuch00
    check_exit "joining wants an address" 2 manage join
    check_exit "and a cluster key" 1 manage join 127.0.0.1
    check_exit "a ring wants an action" 2 manage cluster-keys
    check_exit "and a key" 2 manage cluster-keys add
    echo nonsense >bad.key
    chmod 600 bad.key
    check_exit "that is one" 1 manage cluster-keys add bad.key
}

# A cluster of one, whose key is changed while it runs.
test_rotation() {
    local old new id
    (umask 077 && pr keys cluster-new >cluster.key && pr keys cluster-new --of cluster.key >next.key &&
        pr keys cluster-new >other.key)
    mkdir state
    start_node swarm.log --rpc-addr none --rpc-socket "$SOCK" --state-dir state --cluster-key-file cluster.key \
        --gossip-addr 127.0.0.1:0 || {
        not_ok "a node with a cluster key starts"
        return
    }
    old=$(json 'v[0]["key_id"]' manage cluster-keys list --json)
    check_exit "the key of another cluster is refused" 1 manage cluster-keys add other.key
    new=$(json '[k["key_id"] for k in v if k["state"] == "installed"][0]' manage cluster-keys add next.key --json)
    check_exit "the active key is not retired" 1 manage cluster-keys retire "$old"
    check "a new key is used" manage cluster-keys use "$new"
    check_equal "from then on" active \
        "$(json "[k['state'] for k in v if k['key_id'] == '$new'][0]" manage cluster-keys list --json)"
    check "the old one is retired" manage cluster-keys retire "$old"
    check_equal "the member tells both" 2 "$(json 'len(v[0]["keys"])' manage members --json)"
    chmod 644 next.key
    check_exit "a key file that others can read is refused" 1 manage cluster-keys add next.key
    check "joining may wait for the other" manage join 127.0.0.1:1
    id=00112233445566778899aabbccddeeff
    check "an id is banned before it ever came" manage members ban "$id"
    check "and the ban is lifted" manage members unban "$id"
    check_equal "the audit tells one order from another" "ban $id,unban $id" \
        "$(json '",".join(a["target"] for a in v if a["method"] == "swarm.forget" and a["outcome"] == "ok")' \
            manage audit --json)"
    check_equal "and what was done with a key" "add,use $new,retire $old" \
        "$(json '",".join(a["target"] for a in v if a["method"] == "swarm.keys" and a["outcome"] == "ok"
            and a["target"] != "list")' manage audit --json)"
    check "a node leaves" manage leave
    check "and is told what brings it back" says "a new start brings it back" manage leave
    check_exit "which joining does not" 1 manage join 127.0.0.1:1
    stop
}

test_speed() {
    local ms
    if ldd "$PR_BIN" | grep -q libasan; then
        skip "a cold call takes at most 50 ms" "with the sanitizers it takes longer"
        return
    fi
    ms=$(python3 -c 'import subprocess, sys, time
best = 1e9
for _ in range(10):
    start = time.monotonic()
    subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
    best = min(best, time.monotonic() - start)
print(round(best * 1000))' ip netns exec "$NS_B" "$PR_BIN" manage --endpoint "127.0.0.1:$RPC_PORT" \
        --api-key-file admin.key info)
    check "a cold call takes at most 50 ms ($ms ms)" test "$ms" -le 50
}

test_without_http() {
    in_b "$PR_NODE" --http-addr none --rpc-socket "$SOCK" --rpc-addr none --database none.db \
        2>none.log </dev/null &
    NODE_PID=$!
    at_exit kill -9 "$NODE_PID"
    check "a node without HTTP answers" wait_for 15 manage info
    check_equal "and listens nowhere" 0 "$(in_b ss -Hltn | wc -l)"
    stop
    check "it stands alone" says "'none' stands alone" \
        "$PR_NODE" --http-addr none --http-addr 127.0.0.1:0 --database none.db
}

test_without_a_node
"$PR_SUPPORT/make_capture.py" flood flood.pcap $PACKETS
"$PR_BIN" capture --quiet -r flood.pcap -d packets.db --name big 2>/dev/null
add_key admin >admin.key 2>/dev/null
chmod 600 admin.key
start || {
    not_ok "the node starts"
    tap_done
}
test_the_node
test_captures
test_sessions
test_events
test_keys
test_swarm
test_speed
test_download
test_resume
stop
test_rotation
test_without_http
tap_done
