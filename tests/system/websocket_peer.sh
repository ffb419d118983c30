#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Our WebSocket, TLS and HTTP codecs against an implementation that others wrote: the Python package
# websockets as server of our blocking client and as client of our reader.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
peer=$PR_BUILD/tests/ws_peer
[ -x "$peer" ] || skip_all "no $peer: build the tests"
need openssl
python=
for candidate in python3 /usr/bin/python3; do
    if [ -z "$python" ] && "$candidate" -c 'import websockets' 2>/dev/null; then
        python=$candidate
    fi
done
[ -n "$python" ] || skip_all "python3-websockets is not installed"

exec timeout 120 "$python" "$PR_SUPPORT/websocket_peer.py" "$peer"
