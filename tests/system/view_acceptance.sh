#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A node's packets in Wireshark's hands: view, extcap, and tshark as a client (accept_view.py).
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place view
run_checks accept_view.py
tap_done
