#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# What the container runs: `serve …` and flags go to the node, which takes this process's place;
# `health` asks the node of this container (docker/Dockerfile's health check); any other word is a
# program, such as packetrecorder or bash.
#   PACKETRECORDER_API_KEYS_FILE   who may call the node: an api-keys file, as beside a store. A
#                                  store without one takes it over; from then on the store's counts.
set -eu
readonly STORE=${PACKETRECORDER_DATABASE:-/var/lib/packetrecorder/packets.db}
readonly HTTP_PORT=${PACKETRECORDER_HTTP_PORT:-8080}

serve() {
    local given=${PACKETRECORDER_API_KEYS_FILE:-} keys=$STORE.d/api-keys
    if [ -n "$given" ] && [ ! -e "$keys" ]; then
        umask 077
        mkdir -p "$STORE.d"
        cp "$given" "$keys.new"
        mv "$keys.new" "$keys"
    fi
    exec packetrecorderd serve --database "$STORE" --http-addr "127.0.0.1:$HTTP_PORT" "$@"
}

# There is no HTTP client in the image; bash is one.
health() {
    local line
    exec 3<>"/dev/tcp/127.0.0.1/$HTTP_PORT"
    printf 'GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n' >&3
    read -r -t 4 line <&3
    printf '%s\n' "${line%$'\r'}"
    [[ $line == 'HTTP/1.1 200'* ]]
}

case "${1:-serve}" in
serve)
    shift || true
    serve "$@"
    ;;
-*) serve "$@" ;;
health) health ;;
*) exec "$@" ;;
esac
