#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The HTTP API of a real node: every route and what it refuses, downloads against exports, events
# over a reconnect, two captures at once, a full disk, a killed node.
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../support/tap.sh
. "$here/../support/tap.sh"
# shellcheck source=../support/netns.sh
. "$here/../support/netns.sh"
need_root
command -v python3 >/dev/null || skip_all "python3 is not installed"
[ -x "$PR_BUILD/node/packetrecorderd" ] || skip_all "packetrecorderd is not built"
scratch_dir api || skip_all "no scratch folder"
mkdir "$SCRATCH/disk"
mount -t tmpfs -o size=48m,mode=700 packetrecorder "$SCRATCH/disk" 2>/dev/null ||
    skip_all "no tmpfs can be mounted here"
at_exit umount -l "$SCRATCH/disk"
net_up || skip_all "network namespaces are not allowed here"
export PR_BIN PR_BUILD
in_a python3 "$here/../support/api_calls.py" "$SCRATCH" "$IF_A" || tap_failures=1
tap_done
