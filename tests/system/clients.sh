#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A node and clients that others wrote: Python's websockets, Node.js' ws, tshark (as a file, by a pipe,
# and dialling a pcapng listener), curl over TLS, promtool.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place clients
cd "$SCRATCH" || exit 1
umask 077

ping_b() { in_a ping -q -c "${1:-3}" -i 0.01 10.77.0.2 >/dev/null; }
has_lines() { [ "$(wc -l <"$1")" -ge "$2" ]; }

test_websockets() {
    if find_python; then
        run_checks client_websockets.py
    else
        skip "websockets" "needs python3-websockets and python3-scapy"
    fi
}

test_ws() {
    if NODE_PATH=/usr/share/nodejs nodejs -e 'require("ws")' 2>/dev/null; then
        NODE_PATH=/usr/share/nodejs in_b nodejs "$PR_ROOT/tests/support/client_ws.js" "$NODE_PORT" \
            "$IF_B" "$(cat inject.key)" || tap_failures=$((tap_failures + 1))
    else
        skip "ws" "needs nodejs and node-ws"
    fi
}

# tshark as Wireshark would: it dials the pcapng listener, where no key is asked for on loopback.
test_tshark_dials() {
    local port pid code=0
    port=$(grep -oE '127\.0\.0\.1:[0-9]+' <(grep -i pcapng node.log) | grep -oE '[0-9]+$' | head -n 1)
    check "the node says where its pcapng listener is" [ -n "$port" ] || return
    start_in "$NS_B" tshark -l -i "TCP@127.0.0.1:$port" -c 6 -T fields -e icmp.type >dialled.out \
        2>dialled.err
    pid=$STARTED
    wait_for 20 pings_until_ended "$pid" || kill "$pid"
    wait "$pid" || code=$?
    check_equal "tshark -i TCP@127.0.0.1:PORT: exit 0 after six packets" 0 "$code"
    check_equal "and has decoded them" 6 "$(grep -cxE '0|8' dialled.out)"
}

# tshark may show the first packets before it has seen all that it waits for.
pings_until_ended() { ping_b 2; has_ended "$1"; }

# sees_pings FILE PID: pings until the reader has something or is done.
sees_pings() { ping_b 2; [ -s "$1" ] || has_ended "$2"; }

test_tshark_reads() {
    local pid
    start_in "$NS_B" "$PR_BIN" view "127.0.0.1:$NODE_PORT" --api-key-file view.key -i "$IF_B" -f icmp \
        -w - >piped.pcapng 2>view.err
    pid=$STARTED
    wait_for 20 sees_pings piped.pcapng "$pid"
    ping_b 10
    stop "$pid"
    check_equal "view -w - ends with 0 on SIGTERM" 0 "$?"
    check "tshark reads what view wrote" sh -c \
        '[ "$(tshark -r piped.pcapng -Y icmp 2>/dev/null | wc -l)" -ge 10 ]'
    check "capinfos finds a whole file" capinfos piped.pcapng
}

test_curl_over_tls() {
    local url pid code=0 tls=(--cacert ca/ca.pem)
    in_b env PYTHONPATH="$PR_ROOT/tests/support" python3 -c \
        'from certificate import Authority; Authority("ca").issue()' || {
        not_ok "a certificate"
        return
    }
    ip netns exec "$NS_B" "$PR_NODE" --http-addr 127.0.0.1:0 --database "$SCRATCH/tls.db" \
        --tls-cert ca/node.pem --tls-key ca/node.key 2>tls.log &
    pid=$!
    at_exit kill -9 "$pid"
    wait_for 15 node_port tls.log
    url=https://localhost:$(node_port tls.log)
    check "curl --cacert: /interfaces" sh -c \
        "ip netns exec $NS_B curl -sS --fail ${tls[*]} $url/interfaces | jq -e 'index(\"$IF_B\")'"
    check_exit "curl without the CA refuses" 60 in_b curl -sS "$url/interfaces"
    check "curl over TLS 1.2" in_b curl -sS --fail "${tls[@]}" --tls-max 1.2 "$url/"
    check "curl over TLS 1.3" in_b curl -sS --fail "${tls[@]}" --tlsv1.3 "$url/"
    check "curl offers HTTP/2, gets HTTP/1.1" sh -c \
        "ip netns exec $NS_B curl -sS --fail --http2 ${tls[*]} -o /dev/null -w '%{http_version}' $url/ | grep -x 1.1"
    check "curl posts and deletes a capture over TLS" sh -c "
        id=\$(ip netns exec $NS_B curl -sS --fail ${tls[*]} --json '{\"interfaces\":[\"$IF_B\"]}' $url/api/v1/captures | jq -er .id) &&
        ip netns exec $NS_B curl -sS --fail ${tls[*]} -X DELETE $url/api/v1/captures/\$id | jq -e '.state == \"complete\"'"
    check_equal "curl: 50 requests on one connection" 1 "$(in_b curl -sS --fail "${tls[@]}" \
        -o /dev/null -w '%{num_connects}\n' "$url/?n=[1-50]" | awk '{ n += $1 } END { print n }')"
    start_in "$NS_B" "$PR_BIN" view "$url" --ca-file ca/ca.pem -i "$IF_B" -f icmp -w tls.pcapng 2>view-tls.err
    wait_for 20 sees_pings tls.pcapng "$STARTED"
    ping_b 2 # what was seen may be the head of the file
    stop "$STARTED"
    check "view --ca-file over TLS" sh -c '[ "$(tshark -r tls.pcapng -Y icmp 2>/dev/null | wc -l)" -ge 1 ]'
    stop "$pid" || code=$?
    check_equal "the node with TLS ends with 0" 0 "$code"
}

test_promtool() {
    local url=http://127.0.0.1:$NODE_PORT/metrics
    in_b curl -sS -H "Authorization: Bearer $(cat view.key)" "$url" >metrics.txt
    check "promtool check metrics finds nothing" sh -c 'promtool check metrics <metrics.txt 2>&1 | (! grep .)'
    cat >prometheus.yml <<EOP
scrape_configs:
  - job_name: packetrecorder
    authorization: {credentials_file: view.key}
    static_configs: [{targets: ['127.0.0.1:$NODE_PORT']}]
EOP
    check "promtool check config: the key goes as Prometheus sends it" promtool check config prometheus.yml
}

for role in view inject; do
    add_key "$role" >"$role.key" || not_ok "keys add --role $role"
done
start_node node.log --allow-inject --pcapng-listen "127.0.0.1:0=$IF_B,icmp" || {
    not_ok "the node starts"
    sed 's/^/# /' node.log
    tap_done
}
test_websockets
test_ws
test_tshark_dials
test_tshark_reads
test_curl_over_tls
test_promtool
stop "$NODE_PID"
check_equal "the node ends with 0" 0 "$?"
tap_done
