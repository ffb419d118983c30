#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Who dies, is cut off, or has no disk while many nodes capture together: four swarms side by
# side, each of which waits most of the time. $PR_JOB_FAULTS names those that run.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place jobs
PR_FAKED=$(realpath "$PR_BUILD/tests/packetrecorderd_faked")
[ -x "$PR_FAKED" ] || skip_all "no packetrecorderd_faked"
export PR_FAKED
{ find_python && "$PR_PYTHON" -c 'import msgpack, nacl' 2>/dev/null; } ||
    skip_all "no python3-msgpack or python3-nacl: ./setup.sh test installs them"
parts=${PR_JOB_FAULTS:-node_dies coordinator_dies disk_full cut_in_half}
pids=()
for part in $parts; do
    "$PR_PYTHON" "$PR_SUPPORT/job_faults.py" "$SCRATCH" "$part" >"$SCRATCH/$part.out" 2>&1 &
    pids+=($!)
done
for pid in "${pids[@]}"; do
    wait "$pid" || tap_failures=$((tap_failures + 1))
done
for part in $parts; do
    cat "$SCRATCH/$part.out"
done
tap_done
