#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# view under stress: stopped, behind a slow pipe, its node killed, its stream forgotten, flooded. What
# arrives is numbered, so each packet is there once or told as lost (follow_view.py).
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place follow
run_checks follow_view.py
tap_done
