#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Real nodes at the edges of the network: a path of 1,280 bytes behind a router, datagrams that prove no key or are
# replayed under clocks half a minute apart, a kernel that drops, keys that not all have, names and farewells.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place swarm-edges
PR_FAKED=$(realpath "$PR_BUILD/tests/packetrecorderd_faked")
[ -x "$PR_FAKED" ] || skip_all "no packetrecorderd_faked"
export PR_FAKED
python3 "$PR_SUPPORT/swarm_edges.py" "$SCRATCH" || tap_failures=$((tap_failures + 1))
tap_done
