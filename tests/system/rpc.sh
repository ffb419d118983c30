#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# RPC of a node: rpc_calls.py asks over both sockets, with keys of every role; rpc_hostile.py attacks
# them while another client is answered.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place rpc
{ find_python && "$PR_PYTHON" -c 'import msgpack, nacl' 2>/dev/null; } ||
    skip_all "no python3-msgpack or python3-nacl: ./setup.sh test installs them"
run_checks rpc_calls.py
run_checks rpc_hostile.py
tap_done
