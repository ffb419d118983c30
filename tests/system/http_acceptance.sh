#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# The HTTP side of a node against its specification: routes and shapes (accept_http.py), keys, roles,
# tickets and events (accept_access.py), broken and hostile requests (accept_hostile.py).
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place http
run_checks accept_http.py
run_checks accept_access.py
run_checks accept_hostile.py
tap_done
