#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Interfaces of other members, followed through one node, on three real nodes.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place live_swarm
{ find_python && "$PR_PYTHON" -c 'import msgpack, nacl' 2>/dev/null; } ||
    skip_all "no python3-msgpack or python3-nacl: ./setup.sh test installs them"
command -v tshark >/dev/null || skip_all "no tshark: ./setup.sh test installs it"
FAKED=$PR_BUILD/tests/packetrecorderd_faked
[ -x "$FAKED" ] || skip_all "no packetrecorderd_faked: build all first"
for part in live_checks one_name_checks; do
    PR_NODE_FAKED=$FAKED "$PR_PYTHON" "$PR_SUPPORT/$part.py" "$SCRATCH" || tap_failures=$((tap_failures + 1))
done
tap_done
