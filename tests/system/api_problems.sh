#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Captures over HTTP that cannot be: each answer is a problem document that says why and what to do
# about it. And what can be, by the schema of /openapi.json.
set -uo pipefail
# shellcheck source=../support/node.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/node.sh"
node_place api_problems
small_disk 16m
run_checks api_problems.py "$IF_B"
tap_done
