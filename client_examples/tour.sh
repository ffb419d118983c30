#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A tour of the REST API of a packetrecorder node, with curl and jq: what is there, record a capture
# of a few packets, look at them, take them away as pcapng, and what the node told about it.
#
#     ./tour.sh http://127.0.0.1:8080 eth0 out.pcapng
#
# Packets must come by meanwhile. The key, if the node wants one, is in PACKETRECORDER_API_KEY and
# needs the role capture. https:// works too; the variable CA_FILE names a CA of your own.
set -euo pipefail

node=${1:?usage: tour.sh http[s]://HOST:PORT INTERFACE FILE}
interface=${2:?usage: tour.sh http[s]://HOST:PORT INTERFACE FILE}
file=${3:?usage: tour.sh http[s]://HOST:PORT INTERFACE FILE}
packets=5

# request PATH [CURL ARGUMENT…]: the key goes in by a file descriptor, since every user of the host can
# read a command line.
request() {
    local path=$1 key=${PACKETRECORDER_API_KEY:-}
    shift
    curl --silent --show-error --fail-with-body --max-time 30 ${CA_FILE:+--cacert "$CA_FILE"} \
        --config <(printf '%s' "${key:+header = \"Authorization: Bearer $key\"}") "$@" "$node$path"
}

# api PATH [CURL ARGUMENT…]: the same, and when the node refuses, why: a refusal is a problem document
# (RFC 9457) with the reason in its detail.
api() {
    local answer
    if answer=$(request "$@"); then
        printf '%s\n' "$answer"
    else
        printf 'tour.sh: %s: %s\n' "$1" "$(jq -r .detail <<<"$answer" 2>/dev/null || true)" >&2
        return 1
    fi
}

heading() { printf '\n== %s\n' "$*"; }

heading "Is it well?"
api /health | jq -r '.status'

heading "What can it see?"
api /interfaces | jq -r '.[]'

heading "Record $packets packets of '$interface'"
id=$(api /api/v1/captures --json "$(jq -n --arg interface "$interface" --argjson n "$packets" \
    '{interfaces: [$interface], max_packets: $n, name: "tour"}')" | jq -r .id)
echo "session $id"

heading "What is recorded?"
state=running
for ((try = 0; try < 100; try++)); do # an event says so as well, see below
    state=$(api "/api/v1/sessions/$id" | jq -r .state)
    [ "$state" = running ] || break
    sleep 0.1
done
# One that has its packets has ended by itself; a longer one is stopped like this.
[ "$state" != running ] || api "/api/v1/captures/$id" --request DELETE >/dev/null
api /api/v1/sessions | jq -r '.[] | [.id, .name, .state, .packets, .bytes] | @tsv'

heading "The first packets"
api "/api/v1/sessions/$id/packets?limit=3" | jq -r '.packets[] | [.number, .time, .info] | @tsv'

heading "All of them as a file"
request "/api/v1/sessions/$id/pcap" --output "$file"
echo "$(stat -c %s "$file") bytes in $file"

heading "What happened meanwhile (Server-Sent Events)"
# They go on without an end. With the id of the last one seen a client misses none, and with 0 it gets
# all that the node still has: here as much as comes in a second.
request /api/v1/events --no-buffer --header 'Last-Event-ID: 0' --max-time 1 2>/dev/null || true
