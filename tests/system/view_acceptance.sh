#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A node's packets in Wireshark's hands: view, extcap, and tshark as a client (accept_view.py).
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../support/tap.sh
. "$here/../support/tap.sh"
# shellcheck source=../support/netns.sh
. "$here/../support/netns.sh"
# shellcheck source=../support/node.sh
. "$here/../support/node.sh"
node_place view
run_checks accept_view.py
tap_done
