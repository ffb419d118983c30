#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# manage watch: interfaces of three real nodes as one stream, live; then of hostile ones.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place watch
{ find_python && "$PR_PYTHON" -c 'import msgpack, nacl' 2>/dev/null; } ||
    skip_all "no python3-msgpack or python3-nacl: ./setup.sh test installs them"
command -v tshark >/dev/null || skip_all "no tshark: ./setup.sh test installs it"
FAKED=$PR_BUILD/tests/packetrecorderd_faked
[ -x "$FAKED" ] || skip_all "no packetrecorderd_faked: build all first"
PR_NODE_FAKED=$FAKED "$PR_PYTHON" "$PR_SUPPORT/watch_checks.py" "$SCRATCH" ||
    tap_failures=$((tap_failures + 1))
mkdir "$SCRATCH/hostile" && "$PR_PYTHON" "$PR_SUPPORT/watch_hostile.py" "$SCRATCH/hostile" ||
    tap_failures=$((tap_failures + 1))
tap_done
