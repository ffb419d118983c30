#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a node's viewers get (accept_relay.py), and transmitting, special interfaces and interfaces
# that come and go (accept_inject.py), as a checker from outside sees it.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place relay
run_checks accept_relay.py
run_checks accept_inject.py
tap_done
