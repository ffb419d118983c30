#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The daemon as an operator meets it: options, refusals, TLS, rights, the end (accept_daemon.py).
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place node
run_checks accept_daemon.py
tap_done
