#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# A small disk that fills and frees again under a live capture, an import, an export and files; and
# a quota that holds at every instant.
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../support/tap.sh
. "$here/../support/tap.sh"
# shellcheck source=../support/netns.sh
. "$here/../support/netns.sh"
need_root
command -v python3 >/dev/null || skip_all "python3 is not installed"
[ -x "$PR_BUILD/tests/bench/flood" ] || skip_all "the flood generator is not built"
scratch_dir disk || skip_all "no scratch folder"
mkdir "$SCRATCH/disk"
mount -t tmpfs -o size=64m,mode=700 packetrecorder "$SCRATCH/disk" 2>/dev/null ||
    skip_all "no tmpfs can be mounted here"
at_exit umount -l "$SCRATCH/disk"
net_up || skip_all "network namespaces are not allowed here"
export PR_BIN PR_BUILD
start_in "$NS_A" python3 "$here/../support/numbered_sender.py" 10.77.0.2 7777 2000 "$SCRATCH/sent"
python3 "$here/../support/disk_full.py" "$SCRATCH" "$NS_A" "$IF_A" "$NS_B" "$IF_B" || tap_failures=1
tap_done
