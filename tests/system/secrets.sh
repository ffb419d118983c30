#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What an encrypted store may not show: no file that it ever makes holds a known plain text. And odd
# packets, which have to come back as they went in.
set -uo pipefail
here=$(dirname "${BASH_SOURCE[0]}")
# shellcheck source=../support/tap.sh
. "$here/../support/tap.sh"
# shellcheck source=../support/netns.sh
. "$here/../support/netns.sh"
need_root
command -v python3 >/dev/null || skip_all "python3 is not installed"
scratch_dir secrets || skip_all "no scratch folder"
net_up || skip_all "network namespaces are not allowed here"
export PR_BIN
start_in "$NS_A" python3 "$here/../support/numbered_sender.py" 10.77.0.2 7777 1000 "$SCRATCH/sent"
python3 "$here/../support/secrets_kept.py" "$SCRATCH" "$NS_B" "$IF_B" || tap_failures=1
python3 "$here/../support/odd_packets.py" "$SCRATCH" || tap_failures=1
tap_done
