#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Real nodes in namespaces of their own: they find each other, end, are killed, come back, change their
# address and their key.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place swarm-life
python3 "$PR_SUPPORT/swarm_checks.py" "$SCRATCH" life || tap_failures=$((tap_failures + 1))
tap_done
