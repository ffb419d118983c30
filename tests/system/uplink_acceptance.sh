#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Sniffers that dial the node: sniff, breaks, spool, many of them, hostile ones (accept_uplink.py).
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../support/tap.sh
. "$here/../support/tap.sh"
# shellcheck source=../support/netns.sh
. "$here/../support/netns.sh"
# shellcheck source=../support/node.sh
. "$here/../support/node.sh"
node_place uplink
run_checks accept_uplink.py
tap_done
