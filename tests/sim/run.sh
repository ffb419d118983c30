#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh [--seeds N] [--nodes N] [--tables A,B…] [--long]: the swarm in simulation. Prints the tables
# of the figures, memberlist's rules beside ours, then runs every story and N (200) random mixtures
# of all faults in swarms of --nodes (32), all in at most ten minutes on two cores. The last line is
# `N passed, N failed, N skipped`; exit 0 only when nothing failed, 2 when it was called wrongly.
# What fails is printed with its seed, and runs again by it:
#   build/release/tests/sim/swim_sim random --seed S --nodes N --seconds T
# --long runs the full counts, for hours: each step that is done is kept in build/sim-long, so that
# stopping it is no loss; the same call goes on. At its end it adds its result and the running total
# of node-seconds to docs/benchmarks.md; the next --long takes new seeds. --seeds is then for each of
# its 100 slices (100). $SWIM_SIM is the program to use, else build/release is built.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1
export LC_ALL=C

readonly ALL=calibrate,kill,cold,leave,heal,grid,sick,ablation,rest,duty,storm,memory,speed
readonly KEPT=build/sim-long
readonly DOC=docs/benchmarks.md
seeds=
nodes=32
tables=$ALL
long=0

wrong() {
    printf 'run.sh: %s\n' "$1" >&2
    sed -n '4,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
}

# number NAME VALUE LEAST MOST
number() {
    if ! [[ $2 =~ ^[0-9]{1,8}$ ]] || ((10#$2 < $3 || 10#$2 > $4)); then
        wrong "$1 wants a number from $3 to $4, not '$2'"
    fi
    printf -v "${1#--}" '%d' "$((10#$2))"
}

while [ $# -gt 0 ]; do
    case "$1" in
    --seeds | --nodes | --tables) [ $# -ge 2 ] || wrong "$1 wants a value" ;;
    esac
    case "$1" in
    --seeds) number "$1" "$2" 1 1000000 && shift ;;
    --nodes) number "$1" "$2" 2 1000 && shift ;;
    --tables) tables=$2 && shift ;;
    --long) long=1 ;;
    -h | --help)
        sed -n '4,14s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"
        exit 0
        ;;
    *) wrong "no option '$1'" ;;
    esac
    shift
done
[ -n "$tables" ] || wrong "--tables wants some of $ALL"
for table in ${tables//,/ }; do
    [[ ,$ALL, == *",$table,"* ]] || wrong "no table '$table'; there are $ALL"
done
seeds=${seeds:-$((long ? 100 : 200))}

sim=${SWIM_SIM:-}
if [ -z "$sim" ]; then
    sim=build/release/tests/sim/swim_sim
    if ! { [ -e build/release/build.ninja ] || cmake --preset release; } >/dev/null ||
        ! cmake --build build/release --target swim_sim >/dev/null; then
        echo "not ok - swim_sim does not build"
        echo "0 passed, 1 failed, 0 skipped"
        exit 1
    fi
elif ! [ -x "$sim" ]; then
    wrong "SWIM_SIM: $sim is no program"
fi

if ((long)); then
    work=$KEPT
    mkdir -p "$work"
    said="--seeds $seeds --nodes $nodes --tables $tables"
    if [ -e "$work/call" ] && [ "$(cat "$work/call")" != "$said" ]; then
        wrong "$KEPT has a run that was called with $(cat "$work/call"): go on with it so, or remove it"
    fi
    # All of a run is of one program, whatever is built meanwhile.
    if [ ! -e "$work/call" ]; then
        cp "$sim" "$work/program" || exit 1
        git log -1 --format=%h >"$work/commit" 2>/dev/null
        date -u +%F >"$work/date"
        echo "$said" >"$work/call"
    fi
    sim=$work/program
else
    work=$(mktemp -d)
fi

declare -A running=() # by process, the step
end() {
    local pid

    for pid in "${!running[@]}"; do
        kill "$pid" 2>/dev/null
    done
    wait
    ((long)) || rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT TERM HUP

# show NAME: what a step that is done has to say; the reasons of failures without their traces, since
# a seed brings those back.
show() {
    if [ -e "$work/$1" ]; then
        grep -v '^ok ' "$work/$1"
    else
        echo "not ok - $1 was stopped"
    fi
    ! grep -hE 'FAILED|ERROR|runtime error' "$work/$1.errors" 2>/dev/null || true
}

# A step that ends otherwise than with 0 or 1 has crashed; one that was stopped is not done.
run_step() {
    local name=$1 code=0
    shift
    "$@" >"$work/$name.part" 2>"$work/$name.errors" &
    trap 'kill $!; exit 143' TERM
    wait $! || code=$?
    case $code in 129 | 130 | 137 | 143) return 1 ;; esac
    # What ends with 1 has said why.
    if [ "$code" -gt 1 ] || { [ "$code" -eq 1 ] && ! grep -q '^not ok ' "$work/$name.part"; } ||
        ! [ -s "$work/$name.part" ]; then
        echo "not ok - $name ended with $code" >>"$work/$name.part"
    fi
    mv "$work/$name.part" "$work/$name"
}

# step NAME COMMAND…: two at a time; what was done before --long was stopped is not done again.
readonly AT_ONCE=$(($(nproc) < 2 ? 1 : 2))
steps=()
shown=0
show_done() {
    while ((shown < ${#steps[@]})) && [[ " ${running[*]} " != *" ${steps[shown]} "* ]]; do
        show "${steps[shown++]}"
    done
}
wait_one() {
    local pid

    wait -n -p pid "${!running[@]}"
    unset "running[$pid]"
    show_done
}
step() {
    while ((${#running[@]} >= AT_ONCE)); do
        wait_one
    done
    steps+=("$1")
    if [ -e "$work/$1" ]; then
        show_done
        return
    fi
    run_step "$@" &
    running[$!]=$1
}

first=1
[ ! -e "$KEPT.next" ] || first=$(cat "$KEPT.next")
readonly random="random --seconds 60"

if ((long)); then
    for table in ${tables//,/ }; do
        step "table-$table" "$sim" table "$table" --seed "$first" --seeds \
            "$(case $table in kill | cold) echo 100 ;; rest | memory | speed) echo 1 ;;
            *) echo 10 ;; esac)"
    done
    step stories "$sim" story all --nodes 16 --seeds 100 --seed "$first"
    for ((i = 0; i < 100; i++)); do
        step "random-$nodes-$i" "$sim" random --nodes "$nodes" --seconds 300 --seeds "$seeds" \
            --seed $((first + i * seeds))
    done
    for ((i = 0; i < 20; i++)); do
        step "random-200-$i" "$sim" random --nodes 200 --seconds 300 --seeds 10 \
            --seed $((first + i * 10))
    done
    step random-1000 "$sim" random --nodes 1000 --seconds 120 --seeds 5 --seed "$first"
    step random-sodium "$sim" random --nodes 32 --seconds 300 --seeds 100 --seed "$first" \
        --crypto sodium
else
    # The long ones first.
    for table in grid kill cold rest ablation heal leave calibrate sick duty storm memory speed; do
        [[ ,$tables, != *",$table,"* ]] || step "table-$table" "$sim" table "$table"
    done
    step stories "$sim" story all --nodes 16 --seeds 2
    step random-kept "$sim" kept
    # shellcheck disable=SC2086
    {
        step random "$sim" $random --nodes "$nodes" --seeds "$seeds"
        step random-128 "$sim" $random --nodes 128 --seeds $(((seeds + 19) / 20))
        step random-sodium "$sim" $random --nodes 8 --seeds 3 --crypto sodium
    }
fi
while ((${#running[@]} > 0)); do
    wait_one
done
show_done

results=()
stopped=0
for name in "${steps[@]}"; do
    if [ -e "$work/$name" ]; then
        results+=("$work/$name")
    else
        stopped=$((stopped + 1))
    fi
done
count() {
    cat /dev/null "${results[@]}" | grep -c "$1"
}
passed=$(count '^ok ')
failed=$(($(count '^not ok ') + stopped))
skipped=$(count '^skip ')
# node_seconds PATTERN: the sum of the steps of that name.
node_seconds() {
    cat /dev/null "${results[@]}" | sed -n "s/.*nodes, $1 cipher, \([0-9.e+]*\) node-seconds.*/\1/p" |
        awk '{sum += $1} END {printf "%.3g", sum}'
}
null=$(node_seconds null)
sodium=$(node_seconds sodium)

if ((long && stopped == 0)); then
    . tests/sim/run_long.sh
    add_to_doc
    rm -rf "$work"
    echo $((first + 100 * seeds)) >"$KEPT.next"
fi
printf '\n%s node-seconds of random faults with the null cipher, %s with the real one\n' \
    "$null" "$sodium"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ]
