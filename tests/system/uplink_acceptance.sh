#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Sniffers that dial the node: sniff, breaks, spool, many of them, hostile ones (accept_uplink.py).
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place uplink
run_checks accept_uplink.py
tap_done
