#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Flipped bits, cut files and files in the place of others, in every file of a store: it is told,
# the rest is read, nothing crashes. PR_SEED repeats a run, PR_FLIPS says how many of each (PR_KILLS).
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
need python3
scratch_dir damage || skip_all "no scratch folder"
export PR_BIN
export PR_FLIPS=${PR_FLIPS:-$PR_KILLS}
if [ -x "${PR_BIN_DEV:-}" ]; then
    export PR_BIN_DEV
else
    unset PR_BIN_DEV
fi
python3 "$PR_SUPPORT/damage.py" "$SCRATCH" || tap_failures=1
tap_done
