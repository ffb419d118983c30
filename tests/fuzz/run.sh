#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# run.sh SECONDS [TARGET…]: builds the libFuzzer programs (preset fuzz) and runs each that long, on
# top of its corpus. What is found lies in build/fuzz/found/TARGET; the corpus in the tree is only
# read. Exit 0 when nothing was found.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 1

seconds=${1:-60}
[[ "$seconds" =~ ^[0-9]+$ ]] || {
    echo "usage: run.sh SECONDS [TARGET…]" >&2
    exit 2
}
[ $# -eq 0 ] || shift

if ! { cmake --preset fuzz -DBUILD_TESTING=ON && cmake --build --preset fuzz; } >/dev/null; then
    echo "run.sh: the fuzz build failed: cmake --build --preset fuzz" >&2
    exit 1
fi

wanted() {
    local name=$1
    shift
    [ $# -eq 0 ] || [[ " $* " == *" $name "* ]]
}

failed=0
while read -r name corpus; do
    wanted "$name" "$@" || continue
    found=build/fuzz/found/$name
    mkdir -p "$found" "build/fuzz/corpus/$name"
    log=$found/log
    if UBSAN_OPTIONS=halt_on_error=1 "build/fuzz/tests/fuzz/$name" -max_total_time="$seconds" \
        -timeout=10 -rss_limit_mb=2048 -max_len=65536 -artifact_prefix="$found/" \
        -print_final_stats=1 "build/fuzz/corpus/$name" "$corpus" >"$log" 2>&1 </dev/null; then
        runs=$(awk '/number_of_executed_units/ { print $2 }' "$log")
        echo "ok - $name: $runs runs in $seconds s"
    else
        tail -n 40 "$log"
        echo "not ok - $name: see $found"
        failed=1
    fi
done <build/fuzz/tests/fuzz/targets
exit $failed
