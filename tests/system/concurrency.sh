#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Several programs on one store: readers beside a writer, two writers, retention under a reader; and
# PR_SESSIONS sessions in one store.
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../support/tap.sh
. "$here/../support/tap.sh"
# shellcheck source=../support/netns.sh
. "$here/../support/netns.sh"
need_root
command -v python3 >/dev/null || skip_all "python3 is not installed"
scratch_dir concurrency || skip_all "no scratch folder"
net_up || skip_all "network namespaces are not allowed here"
export PR_BIN PR_SESSIONS
start_in "$NS_A" python3 "$here/../support/numbered_sender.py" 10.77.0.2 7777 2000 "$SCRATCH/sent"
python3 "$here/../support/concurrency.py" "$SCRATCH" "$NS_B" "$IF_B" || tap_failures=1
tap_done
