#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# What three real nodes recorded together, pulled as one file in order of time: their clocks are +1.7 s, right and
# -0.4 s. $PR_PULL_PAIRS requests and answers between them (10,000) have to come out in order; what was interrupted
# goes on, and a node that dies or lies costs its own packets only.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place merged_pull
PR_FAKED=$(realpath "$PR_BUILD/tests/packetrecorderd_faked")
[ -x "$PR_FAKED" ] || skip_all "no packetrecorderd_faked"
for tool in tshark capinfos mergecap; do
    command -v "$tool" >/dev/null || skip_all "no $tool: ./setup.sh test installs it"
done
{ find_python && "$PR_PYTHON" -c 'import msgpack, nacl' 2>/dev/null; } ||
    skip_all "no python3-msgpack or python3-nacl: ./setup.sh test installs them"
export PR_FAKED
"$PR_PYTHON" "$PR_SUPPORT/pull_checks.py" "$SCRATCH" || tap_failures=$((tap_failures + 1))
"$PR_PYTHON" "$PR_SUPPORT/pull_hostile.py" "$SCRATCH" || tap_failures=$((tap_failures + 1))
tap_done
