#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The HTTP API of a real node: every route and what it refuses, downloads against exports, events
# over a reconnect, two captures at once, a full disk, a killed node.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
need python3
[ -x "$PR_BUILD/node/packetrecorderd" ] || skip_all "packetrecorderd is not built"
two_hosts api
small_disk 48m
export PR_BIN PR_BUILD
in_a python3 "$PR_SUPPORT/api_calls.py" "$SCRATCH" "$IF_A" || tap_failures=1
tap_done
