#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Real nodes in namespaces of their own whose clocks differ, by half a minute at most, and one whose clock is
# set while it records: what the members know of it, and what a session says for whoever merges. $PR_CLOCK_PAIRS
# requests and answers between two of them (300) have to come out in order.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place clocks
PR_FAKED=$(realpath "$PR_BUILD/tests/packetrecorderd_faked")
[ -x "$PR_FAKED" ] || skip_all "no packetrecorderd_faked"
export PR_FAKED
python3 "$PR_SUPPORT/clock_checks.py" "$SCRATCH" || tap_failures=$((tap_failures + 1))
tap_done
