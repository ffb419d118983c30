#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# kill -9 at PR_KILLS random instants of a live capture, alternately plain and encrypted, and at as
# many of verify, delete, prune and rekey. PR_SEED repeats a run.
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../support/tap.sh
. "$here/../support/tap.sh"
# shellcheck source=../support/netns.sh
. "$here/../support/netns.sh"
need_root
command -v python3 >/dev/null || skip_all "python3 is not installed"
scratch_dir crash || skip_all "no scratch folder"
net_up || skip_all "network namespaces are not allowed here"
export PR_BIN PR_KILLS

start_in "$NS_A" python3 "$here/../support/numbered_sender.py" 10.77.0.2 9999 2000 "$SCRATCH/sent"
python3 "$here/../support/crash_capture.py" "$SCRATCH" "$NS_B" "$IF_B" || tap_failures=1
python3 "$here/../support/crash_commands.py" "$SCRATCH" || tap_failures=1
tap_done
