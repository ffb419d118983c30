#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What an encrypted store may not show: no file that it ever makes holds a known plain text. And odd
# packets, which have to come back as they went in.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
need python3
two_hosts secrets
export PR_BIN
start_in "$NS_A" python3 "$PR_SUPPORT/numbered_sender.py" 10.77.0.2 7777 1000 "$SCRATCH/sent"
python3 "$PR_SUPPORT/secrets_kept.py" "$SCRATCH" "$NS_B" "$IF_B" || tap_failures=1
python3 "$PR_SUPPORT/odd_packets.py" "$SCRATCH" || tap_failures=1
tap_done
