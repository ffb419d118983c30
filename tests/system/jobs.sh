#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# One capture on three real nodes at one instant, and what may happen to them meanwhile.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place jobs
{ find_python && "$PR_PYTHON" -c 'import msgpack, nacl' 2>/dev/null; } ||
    skip_all "no python3-msgpack or python3-nacl: ./setup.sh test installs them"
"$PR_PYTHON" "$PR_SUPPORT/job_checks.py" "$SCRATCH" || tap_failures=$((tap_failures + 1))
tap_done
