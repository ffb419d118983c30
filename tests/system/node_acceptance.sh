#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The daemon as an operator meets it: options, refusals, TLS, rights, the end (accept_daemon.py).
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../support/tap.sh
. "$here/../support/tap.sh"
# shellcheck source=../support/netns.sh
. "$here/../support/netns.sh"
# shellcheck source=../support/node.sh
. "$here/../support/node.sh"
node_place node
run_checks accept_daemon.py
tap_done
