#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Attacks on a node's connections from another host while it serves others (http_hostile.py): storms
# of connects, half-open connections, header bombs, unfinished TLS handshakes, no free descriptor.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place http_hostile
run_checks http_hostile.py
tap_done
