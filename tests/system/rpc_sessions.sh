#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Sessions over RPC: recorded, queried, read in chunks that go on after everything (another
# connection, another filter's cursor, a killed node), deleted while they are read, and replayed.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place rpcs
find_python || skip_all "no Python with websockets and scapy"
run_checks rpc_sessions.py
run_checks rpc_replays.py
tap_done
