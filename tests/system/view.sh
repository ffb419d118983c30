#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# view under stress: stopped, behind a slow pipe, its node killed, its stream forgotten, flooded. What
# arrives is numbered, so each packet is there once or told as lost (follow_view.py).
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../support/tap.sh
. "$here/../support/tap.sh"
# shellcheck source=../support/netns.sh
. "$here/../support/netns.sh"
# shellcheck source=../support/node.sh
. "$here/../support/node.sh"
node_place follow
run_checks follow_view.py
tap_done
