#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# Fifty real nodes in network namespaces of this machine: cold start, rest, clock offsets, kills, a
# partition, garbage; calls and packets through another node. Some minutes; --nodes, --kills and --rows
# make it less.
set -euo pipefail

usage()
{
    cat <<END
usage: tests/bench/swarm_rows.sh [--nodes N] [--kills N] [--runs N] [--rows ROW,ROW]
  --nodes N  so many nodes (50)
  --kills N  so many kills (10)
  --runs N   so many turns of the rows of calls (5)
  --rows     only these of: cold, rest, offset, kill, heal, garbage (these six), and
             fanout   node.info of all nodes through one
             calls    1,000 calls at once to a node, and through it to another
             live     packets of a node to a viewer of another, 10 and 100 kpps
             pull     1 GiB of three nodes through a fourth, while they record
             flood    a member records 1 Mpps
             cut      a job is parted half and half while it runs, then pulled from one node
             watch    manage watch of three nodes, 100 kpps each, through a fourth
END
}

while [ $# -gt 0 ]; do
    case $1 in
    --help | -h)
        usage
        exit 0
        ;;
    --nodes | --kills | --runs)
        if ! [[ ${2-} =~ ^[1-9][0-9]{0,2}$ ]]; then
            echo "$1: '${2-}' is no number from 1 to 999" >&2
            exit 2
        fi
        ;;&
    --nodes) export PR_SWARM_NODES=$2 ;;
    --kills) export PR_SWARM_KILLS=$2 ;;
    --runs) export PR_SWARM_RUNS=$2 ;;
    --rows) export PR_SWARM_ROWS=${2-} ;;
    *)
        echo "unknown argument '$1'" >&2
        usage >&2
        exit 2
        ;;
    esac
    shift 2
done

# shellcheck source=../support/netns.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/netns.sh"
[ "$(id -u)" = 0 ] || { echo "needs root" >&2; exit 1; }
export PR_NODE=${PR_NODE:-build/release/node/packetrecorderd}
scratch_dir swarm-rows
python=$(command -v python3) # not always Debian's, with Debian's modules
"$python" -c 'import msgpack, nacl' 2>/dev/null || python=/usr/bin/python3
"$python" "$(dirname "${BASH_SOURCE[0]}")/swarm_rows.py" "$SCRATCH"
