#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# test.sh [--long|--docker]: installs what is missing, builds, runs every test, and ends with the line
# `N passed, N failed, N skipped`; exit 0 only when nothing failed. --long runs the full counts
# (200 kills, 5000 sessions, ten minutes of memory) in place of those that fit into a quarter hour.
# docker/test.sh runs where a Docker engine answers; --docker and --long bring one, and build the base
# image where no registry can be reached, which takes five minutes more.
# Three builds: dev (ASan and UBSan), release, and plain (release without SQLCipher), which is built
# and tested beside the system tests, since most of them wait most of the time. So does whoever holds
# build/beside locked: the tests that want the machine for themselves wait for it (.ci/run).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1
export LC_ALL=C.UTF-8

long=0 docker=0
case "${1:-}" in
'') ;;
--long) long=1 docker=1 ;;
--docker) docker=1 ;;
*)
    echo "usage: test.sh [--long|--docker]" >&2
    exit 2
    ;;
esac

readonly ROOT=$PWD
readonly LOGS=$ROOT/build/logs
readonly UNIT_TIMEOUT_S=$((long ? 1200 : 120))
readonly SYSTEM_TIMEOUT_S=$((long ? 3600 : 240))
readonly DOCKER_TIMEOUT_S=1800
readonly SCRIPTS_AT_ONCE=3
jobs=$(nproc)

# note_failure NAME TEXT-FILE: a step that is no test of its own went wrong; counts as one failure.
note_failure() {
    {
        printf 'not ok - %s\n' "$1"
        [ -z "${2:-}" ] || grep -hE 'error|CMake Error' -A 4 "$2" | head -n 40 | sed 's/^/# /'
        echo "exit 1"
    } >"$LOGS/0-${1// /-}.script"
}

build() {
    local preset=$1 log=$LOGS/build-$1.log
    printf 'building %s\n' "$preset"
    if ! { cmake --preset "$preset" -DBUILD_TESTING=ON -DPR_WERROR=ON &&
        cmake --build --preset "$preset" -j "$jobs"; } >"$log" 2>&1 </dev/null; then
        note_failure "the $preset build" "$log"
        return 1
    fi
}

run_ctest() {
    local preset=$1
    printf 'testing %s\n' "$preset"
    CMOCKA_MESSAGE_OUTPUT=TAP UBSAN_OPTIONS=print_stacktrace=1 \
        ASAN_OPTIONS=detect_stack_use_after_return=1 \
        ctest --test-dir "build/$preset" -V -j "$jobs" --timeout "$UNIT_TIMEOUT_S" \
        >"$LOGS/$preset.ctest" 2>&1 </dev/null
}

# What a loaded machine disturbs (it measures time or floods) runs alone, and what needs the plain
# build runs after that.
readonly ALONE=' replay http_hostile relay_acceptance own_traffic view view_acceptance plain '

runs_alone() { [[ $ALONE == *" $(basename "$1" .sh) "* ]]; }

# Each script has namespaces and a folder of its own, and most of them wait most of the time: some at
# a time, then the others alone.
run_scripts() {
    local script
    for script in "$@"; do
        runs_alone "$script" || printf '%s\0' "$script"
    done | xargs -0 -r -n 1 -P "$SCRIPTS_AT_ONCE" bash -c 'run_script "$1"' run_script
    wait
    exec 9>build/beside
    flock 9
    exec 9>&-
    for script in "$@"; do
        ! runs_alone "$script" || run_script "$script"
    done
}

# The system tests, the longest first, so that none is left over at the end; but last is torture, which
# fills the processors for a while, then waits.
system_scripts() {
    local longest=(crash damage rpc uplink api manage swarm_trouble uplink_acceptance http_acceptance disk_full) script
    {
        printf 'tests/system/%s.sh\n' "${longest[@]}"
        printf '%s\n' tests/system/*.sh | grep -v /torture.sh
        printf 'tests/system/torture.sh\n'
    } | awk '!seen[$0]++' | while read -r script; do
        [ ! -x "$script" ] || printf '%s\n' "$script"
    done
}

run_script() {
    local script=$1 name code=0 began=$SECONDS
    name=$(basename "$script" .sh)
    timeout --kill-after=20 "$SYSTEM_TIMEOUT_S" "$script" >"$LOGS/system-$name.script" 2>&1 \
        </dev/null || code=$?
    printf '\nexit %d\n' "$code" >>"$LOGS/system-$name.script"
    printf 'system %s: %d s\n' "$name" $((SECONDS - began))
}
export -f run_script
export LOGS SYSTEM_TIMEOUT_S

export PR_ROOT=$ROOT PR_BUILD=$ROOT/build/release PR_LONG=$long
export PR_BIN=$PR_BUILD/cli/packetrecorder
export PR_BIN_DEV=$ROOT/build/dev/cli/packetrecorder
export PR_BIN_PLAIN=$ROOT/build/plain/cli/packetrecorder
export PR_CAPTURES=${PR_CAPTURES:-$(dirname "$ROOT")/shared/captures}
export PR_KILLS=${PR_KILLS:-$((long ? 200 : 20))}
export PR_SESSIONS=${PR_SESSIONS:-$((long ? 5000 : 500))}
export PR_FUZZ_SECONDS=${PR_FUZZ_SECONDS:-$((long ? 120 : 5))}
export PR_MINUTES=${PR_MINUTES:-$((long ? 10 : 1))}

# The reason why docker/test.sh is left out; empty where it runs.
docker_reason() {
    if [ "$(id -u)" != 0 ]; then
        echo "needs root"
    elif [ "$docker" = 0 ] && ! timeout 20 docker version >/dev/null 2>&1; then
        echo "no Docker engine answers; test.sh --docker brings one"
    fi
}

run_docker() {
    local reason code=0 began=$SECONDS
    reason=$(docker_reason)
    if [ -n "$reason" ]; then
        printf 'skip - docker # %s\nexit 0\n' "$reason" >"$LOGS/docker.script"
        return
    fi
    timeout --kill-after=60 "$DOCKER_TIMEOUT_S" docker/test.sh >"$LOGS/docker.script" 2>&1 \
        </dev/null || code=$?
    printf '\nexit %d\n' "$code" >>"$LOGS/docker.script"
    printf 'docker: %d s\n' $((SECONDS - began))
}

rm -rf "$LOGS"
mkdir -p "$LOGS"
if ./setup.sh test; then
    for preset in dev release; do
        build "$preset" && run_ctest "$preset"
    done
    (
        renice -n 5 -p $BASHPID >/dev/null
        build plain && run_ctest plain
    ) &
    if [ -x "$PR_BIN" ]; then
        mapfile -t scripts < <(system_scripts)
        run_scripts "${scripts[@]}"
    fi
    run_docker
else
    note_failure "setup.sh test"
fi
exec python3 tests/support/tally.py "$LOGS"
