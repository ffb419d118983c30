#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Who dies, is cut off, or has no disk while many nodes capture together: five swarms, two
# at a time, each of which waits most of the time. $PR_JOB_FAULTS names those that run.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place jobs
PR_FAKED=$(realpath "$PR_BUILD/tests/packetrecorderd_faked")
[ -x "$PR_FAKED" ] || skip_all "no packetrecorderd_faked"
export PR_FAKED PR_SUPPORT SCRATCH
{ find_python && "$PR_PYTHON" -c 'import msgpack, nacl' 2>/dev/null; } ||
    skip_all "no python3-msgpack or python3-nacl: ./setup.sh test installs them"
parts=${PR_JOB_FAULTS:-cut_in_half node_dies coordinator_dies disk_full clocks_apart}
# shellcheck disable=SC2086,SC2016  # words; and $1 is that of each
printf '%s\n' $parts | xargs -P 2 -n 1 sh -c \
    '"$PR_PYTHON" "$PR_SUPPORT/job_faults.py" "$SCRATCH" "$1" >"$SCRATCH/$1.out" 2>&1' sh ||
    tap_failures=$((tap_failures + 1))
for part in $parts; do
    cat "$SCRATCH/$part.out"
done
tap_done
