#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Everything at once against a node with ASan and UBSan (torture.py): 20 s, or PR_TORTURE_SECONDS, or
# a minute with --long. PR_SEED repeats a run.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
PR_NODE=${PR_NODE_DEV:-$PR_ROOT/build/dev/node/packetrecorderd}
[ -x "$PR_NODE" ] || skip_all "needs the dev build"
[ "$PR_LONG" = 0 ] || export PR_TORTURE_SECONDS=${PR_TORTURE_SECONDS:-60}
node_place torture
run_checks torture.py
tap_done
