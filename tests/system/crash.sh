#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 at PR_KILLS random instants of a live capture, alternately plain and encrypted, and at as
# many of verify, delete, prune and rekey. PR_SEED repeats a run.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
need python3
two_hosts crash
export PR_BIN PR_KILLS

start_in "$NS_A" python3 "$PR_SUPPORT/numbered_sender.py" 10.77.0.2 9999 2000 "$SCRATCH/sent"
python3 "$PR_SUPPORT/crash_capture.py" "$SCRATCH" "$NS_B" "$IF_B" || tap_failures=1
python3 "$PR_SUPPORT/crash_commands.py" "$SCRATCH" || tap_failures=1
tap_done
