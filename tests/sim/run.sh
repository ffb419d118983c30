#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--seeds N] [--nodes N] [--tables A,B…] [--long]: the swarm in simulation. Prints the tables
# of the figures, memberlist's rules beside ours, then runs every story and N (200) random mixtures
# of all faults in swarms of 32 (or --nodes), and ends with `N passed, N failed`; exit 0 only when
# nothing failed. What fails is printed with its seed:
#   build/release/tests/sim/swim_sim random --seed S --nodes N --seconds T
# --long runs the full counts (hours): each step that is done is kept in build/sim-long, so that the
# run goes on where it was stopped; at its end the tables and the sum of node-seconds are added to
# docs/benchmarks.md, and the next --long goes on with new seeds.
# $SWIM_SIM is the program to use, else build/release is built.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export LC_ALL=C

seeds=200
nodes=32
tables=calibrate,kill,cold,leave,heal,grid,sick,ablation,rest,duty,memory,speed
long=0

usage() {
    sed -n '4,13s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case "$1" in
    --seeds) seeds=${2:-} && shift ;;
    --nodes) nodes=${2:-} && shift ;;
    --tables) tables=${2:-} && shift ;;
    --long) long=1 ;;
    *) usage ;;
    esac
    shift || usage
done
[[ $seeds =~ ^[0-9]+$ && $nodes =~ ^[0-9]+$ ]] || usage

sim=${SWIM_SIM:-}
if [ -z "$sim" ]; then
    sim=build/release/tests/sim/swim_sim
    if ! { [ -d build/release ] || cmake --preset release; } >/dev/null ||
        ! cmake --build build/release --target swim_sim >/dev/null; then
        echo "not ok - swim_sim does not build"
        echo "0 passed, 1 failed"
        exit 1
    fi
fi

readonly KEPT=build/sim-long
if ((long)); then
    work=$KEPT
    mkdir -p "$work"
else
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
fi

# step NAME COMMAND…: its output is $work/NAME; what was done before --long was stopped is not done
# again. A step that ends otherwise than with 0 or 1 has crashed.
step() {
    local name=$1 code=0
    shift
    if [ ! -e "$work/$name" ]; then
        "$@" >"$work/$name.part" 2>"$work/$name.errors" || code=$?
        [ "$code" -le 1 ] || echo "not ok - $name ended with $code" >>"$work/$name.part"
        mv "$work/$name.part" "$work/$name"
    fi
    grep -v '^ok ' "$work/$name"
    # The reasons that the program gave, without the traces: a seed brings those back.
    ! grep -hE 'FAILED|ERROR|runtime error' "$work/$name.errors" || true
}

first=1
[ ! -e "$KEPT.next" ] || first=$(cat "$KEPT.next")

if ((long)); then
    for table in ${tables//,/ }; do
        step "table-$table" "$sim" table "$table" --seed "$first" --seeds \
            "$(case $table in kill | cold) echo 100 ;; rest | duty | memory | speed) echo 1 ;;
            *) echo 10 ;; esac)"
    done
    step stories "$sim" story all --nodes 16 --seeds 100 --seed "$first"
    for ((i = 0; i < 100; i++)); do
        step "random-32-$i" "$sim" random --nodes 32 --seconds 300 --seeds 100 --seed $((first + i * 100))
    done
    for ((i = 0; i < 20; i++)); do
        step "random-200-$i" "$sim" random --nodes 200 --seconds 300 --seeds 10 --seed $((first + i * 10))
    done
    step random-1000 "$sim" random --nodes 1000 --seconds 120 --seeds 5 --seed "$first"
    step random-sodium "$sim" random --nodes 32 --seconds 300 --seeds 100 --seed "$first" --crypto sodium
else
    for table in ${tables//,/ }; do
        step "table-$table" "$sim" table "$table"
    done
    step stories "$sim" story all --nodes 16 --seeds 2
    step random-kept "$sim" kept
    step random "$sim" random --nodes "$nodes" --seconds 60 --seeds "$seeds"
    step random-128 "$sim" random --nodes 128 --seconds 60 --seeds $(((seeds + 19) / 20))
    step random-sodium "$sim" random --nodes 8 --seconds 30 --seeds 3 --crypto sodium
fi

mapfile -t results < <(find "$work" -type f ! -name "*.errors" ! -name "*.part" | sort)
passed=$(cat "${results[@]}" | grep -c '^ok ')
failed=$(cat "${results[@]}" | grep -c '^not ok ')
node_seconds=$(cat "${results[@]}" | sed -n 's/.* nodes, \([0-9.e+]*\) node-seconds.*/\1/p' |
    awk '{sum += $1} END {printf "%.3g", sum}')

if ((long)); then
    {
        printf '\n## The swarm in simulation, seeds from %d on\n' "$first"
        printf '\n%s node-seconds of random faults: %d passed, %d failed (tests/sim/run.sh --long)\n' \
            "$node_seconds" "$passed" "$failed"
        find "$work" -name "table-*" ! -name "*.errors" | sort | xargs cat | grep -v '^ok '
    } >>docs/benchmarks.md
    rm -rf "$work"
    echo $((first + 10000)) >"$KEPT.next"
fi
printf '\n%s node-seconds of random faults without a violated property, where nothing failed\n' \
    "$node_seconds"
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
