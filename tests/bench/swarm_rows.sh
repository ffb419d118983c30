#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Fifty real nodes in network namespaces of this machine: cold start, rest, clock offsets, kills, a
# partition, garbage. Some minutes; PR_SWARM_NODES, PR_SWARM_KILLS and PR_SWARM_ROWS make it less.
set -euo pipefail
# shellcheck source=../support/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/netns.sh"
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 1; }
export PR_NODE=${PR_NODE:-build/release/node/packetrecorderd}
scratch_dir swarm-rows
python3 "$(dirname "${BASH_SOURCE[0]}")/swarm_rows.py" "$SCRATCH"
