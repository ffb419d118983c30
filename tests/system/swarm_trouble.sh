#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Real nodes in trouble: wrong keys, a copied state directory, frozen processes, a parted network, small
# packets, garbage.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place swarm-trouble
python3 "$PR_SUPPORT/swarm_checks.py" "$SCRATCH" trouble || tap_failures=$((tap_failures + 1))
tap_done
