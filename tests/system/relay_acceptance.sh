#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What a node's viewers get (accept_relay.py), and transmitting, special interfaces and interfaces
# that come and go (accept_inject.py), as a checker from outside sees it.
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../support/tap.sh
. "$here/../support/tap.sh"
# shellcheck source=../support/netns.sh
. "$here/../support/netns.sh"
# shellcheck source=../support/node.sh
. "$here/../support/node.sh"
node_place relay
run_checks accept_relay.py
run_checks accept_inject.py
tap_done
