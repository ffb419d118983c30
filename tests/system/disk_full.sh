#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A small disk that fills and frees again under a live capture, an import, an export and files; and
# a quota that holds at every instant.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
need python3
[ -x "$PR_BUILD/tests/bench/flood" ] || skip_all "the flood generator is not built"
two_hosts disk
small_disk 64m
export PR_BIN PR_BUILD
start_in "$NS_A" python3 "$PR_SUPPORT/numbered_sender.py" 10.77.0.2 7777 2000 "$SCRATCH/sent"
python3 "$PR_SUPPORT/disk_full.py" "$SCRATCH" "$NS_A" "$IF_A" "$NS_B" "$IF_B" || tap_failures=1
tap_done
