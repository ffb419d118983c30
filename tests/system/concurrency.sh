#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Several programs on one store: readers beside a writer, two writers, retention under a reader; and
# PR_SESSIONS sessions in one store.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
need python3
two_hosts concurrency
export PR_BIN PR_SESSIONS
start_in "$NS_A" python3 "$PR_SUPPORT/numbered_sender.py" 10.77.0.2 7777 2000 "$SCRATCH/sent"
python3 "$PR_SUPPORT/concurrency.py" "$SCRATCH" "$NS_B" "$IF_B" || tap_failures=1
tap_done
