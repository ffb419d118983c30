#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Three real nodes in namespaces of their own: any of them answers for the others.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place forward
{ find_python && "$PR_PYTHON" -c 'import msgpack, nacl' 2>/dev/null; } ||
    skip_all "needs python3-msgpack and python3-nacl"
"$PR_PYTHON" "$PR_SUPPORT/forward_checks.py" "$SCRATCH" || tap_failures=$((tap_failures + 1))
tap_done
