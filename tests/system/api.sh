#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The HTTP API of a real node: every route and what it refuses, downloads against exports, events
# over a reconnect, two captures at once, a full disk, a killed node.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place api
small_disk 48m
run_checks api_calls.py "$IF_B"
tap_done
