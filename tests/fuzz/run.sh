#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh SECONDS [TARGET…]: builds the libFuzzer programs (preset fuzz) and runs each that long, on
# top of its corpus, as many at a time as there are processors. What is found lies in
# build/fuzz/found/TARGET; the corpus in the tree is only read. Exit 0 when nothing was found.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

seconds=${1:-60}
[[ "$seconds" =~ ^[0-9]+$ ]] || {
    echo "usage: run.sh SECONDS [TARGET…]" >&2
    exit 2
}
[ $# -eq 0 ] || shift

mkdir -p build
if ! { cmake --preset fuzz -DBUILD_TESTING=ON && cmake --build --preset fuzz --target fuzzers; } \
    >build/fuzz-build.log 2>&1; then
    tail -n 40 build/fuzz-build.log
    echo "run.sh: the fuzz build failed: cmake --build --preset fuzz --target fuzzers" >&2
    exit 1
fi

wanted() {
    local name=$1
    shift
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]]
}

fuzz() {
    local name=$1 corpus=$2 found=build/fuzz/found/$1 log=build/fuzz/found/$1/log runs
    mkdir -p "$found" "build/fuzz/corpus/$name"
    if UBSAN_OPTIONS=halt_on_error=1 "build/fuzz/tests/fuzz/$name" -max_total_time="$seconds" \
        -timeout=10 -rss_limit_mb=2048 -max_len=65536 -artifact_prefix="$found/" \
        -print_final_stats=1 "build/fuzz/corpus/$name" "$corpus" >"$log" 2>&1 </dev/null; then
        runs=$(awk '/number_of_executed_units/ { print $2 }' "$log")
        echo "ok - $name: $runs runs in $seconds s"
    else
        tail -n 40 "$log"
        echo "not ok - $name: see $found"
        return 1
    fi
}

# As many at a time as there are processors.
failed=0 running=0
while read -r name corpus; do
    wanted "$name" "$@" || continue
    if [ "$running" -ge "$(nproc)" ]; then
        wait -n || failed=1
        running=$((running - 1))
    fi
    fuzz "$name" "$corpus" &
    running=$((running + 1))
done <build/fuzz/tests/fuzz/targets
while [ "$running" -gt 0 ]; do
    wait -n || failed=1
    running=$((running - 1))
done
exit $failed
