#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
#
# traffic.sh HOST…: something to watch, until it is stopped. Five times a second one datagram to
# each host, all with the same number and the sender's time (`packet N SECONDS`, UDP port 4444); once
# a second an echo request to each; every five seconds a page over HTTP from each that serves one.
set -u
trap 'exit 0' TERM INT
readonly PORT=4444

for ((n = 0; ; n++)); do
    for host in "$@"; do
        printf 'packet %d %s\n' "$n" "$EPOCHREALTIME" 2>/dev/null >"/dev/udp/$host/$PORT"
        ((n % 5)) || ping -c 1 -W 1 -q "$host" >/dev/null 2>&1 &
        ((n % 25)) || busybox wget -q -T 1 -O /dev/null "http://$host:8000/" 2>/dev/null &
    done 2>/dev/null
    sleep 0.2 &
    wait $!
done
