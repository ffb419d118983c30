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

# api PATH [CURL ARGUMENT…]: one request. The key goes in by a file descriptor, since every user of
# the host can read a command line. A refusal is a problem document (RFC 9457): its detail says why.
api() {
    local path=$1 answer
    shift
    if answer=$(curl --silent --show-error --fail-with-body --max-time 30 \
        ${CA_FILE:+--cacert "$CA_FILE"} \
        --config <(printf '%s' "${PACKETRECORDER_API_KEY:+header = \"Authorization: Bearer $PACKETRECORDER_API_KEY\"}") \
        "$@" "$node$path"); then
        printf '%s\n' "$answer"
    else
        printf 'tour.sh: %s: %s\n' "$path" "$(jq -r .detail <<<"$answer" 2>/dev/null || true)" >&2
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
api "/api/v1/sessions/$id/pcap" --output "$file"
echo "$(stat -c %s "$file") bytes in $file"

heading "What happened meanwhile (Server-Sent Events)"
# Endless by nature: the last events are asked for again, and what comes in one second is read.
api /api/v1/events --no-buffer --header 'Last-Event-ID: 0' --max-time 1 2>/dev/null || true
