#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Two real nodes end on SIGTERM in time and in order while a job, live streams, downloads, calls to
# one another and joins are under way.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place swarm_ending
{ find_python && "$PR_PYTHON" -c 'import msgpack, nacl' 2>/dev/null; } ||
    skip_all "needs python3-msgpack and python3-nacl"
"$PR_PYTHON" "$PR_SUPPORT/ending_checks.py" "$SCRATCH" || tap_failures=$((tap_failures + 1))
tap_done
