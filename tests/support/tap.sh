# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
#
# Sourced by the system tests; brings netns.sh along. A test prints one line a check: `ok - NAME`, `not ok - NAME` or
# `skip - NAME # REASON`; tests/support/tally.py counts them. The environment comes from test.sh:
#   PR_BIN          the release packetrecorder        PR_BIN_DEV    the same with ASan and UBSan
#   PR_BIN_PLAIN    built without SQLCipher           PR_BUILD      the build tree of PR_BIN
#   PR_ROOT         the source tree                   PR_CAPTURES   public captures, may be absent
#   PR_KILLS, PR_SESSIONS, PR_FUZZ_SECONDS, PR_MINUTES   how much; PR_LONG is 1 with --long, else 0
# By hand, one test: PR_BIN=build/release/cli/packetrecorder tests/system/NAME.sh

PR_ROOT=${PR_ROOT:-$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)}
PR_SUPPORT=$PR_ROOT/tests/support
PR_BUILD=${PR_BUILD:-$PR_ROOT/build/release}
PR_BIN=${PR_BIN:-$PR_BUILD/cli/packetrecorder}
PR_CAPTURES=${PR_CAPTURES:-$(dirname "$PR_ROOT")/shared/captures}
PR_LONG=${PR_LONG:-0}
PR_KILLS=${PR_KILLS:-20}
PR_SESSIONS=${PR_SESSIONS:-500}
PR_FUZZ_SECONDS=${PR_FUZZ_SECONDS:-5}
PR_MINUTES=${PR_MINUTES:-1}
tap_failures=0

# shellcheck source=netns.sh
. "$PR_SUPPORT/netns.sh"

ok() { printf 'ok - %s\n' "$*"; }

not_ok() {
    printf 'not ok - %s\n' "$*"
    tap_failures=$((tap_failures + 1))
}

# skip NAME REASON…
skip() {
    local name=$1
    shift
    printf 'skip - %s # %s\n' "$name" "$*"
}

# check NAME COMMAND…: ok when the command succeeds; else not ok, with what it said.
check() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then
        ok "$name"
    else
        not_ok "$name"
        printf '# failed: %s\n%s\n' "$*" "$(printf '%s' "$out" | tail -n 30 | sed 's/^/# /')"
    fi
}

# check_equal NAME WANTED FOUND
check_equal() {
    if [ "$2" = "$3" ]; then
        ok "$1"
    else
        not_ok "$1"
        printf '# wanted: %s\n# found:  %s\n' "$2" "$3"
    fi
}

# check_exit NAME CODE COMMAND…: the command ends with exactly this code.
check_exit() {
    local name=$1 want=$2 out code=0
    shift 2
    out=$("$@" 2>&1) || code=$?
    if [ "$code" = "$want" ]; then
        ok "$name"
    else
        not_ok "$name"
        printf '# wanted exit %s, got %s: %s\n%s\n' "$want" "$code" "$*" \
            "$(printf '%s' "$out" | tail -n 30 | sed 's/^/# /')"
    fi
}

# skip_all REASON…: ends a script whose need is not met.
skip_all() {
    skip "$(basename "$0" .sh)" "$*"
    exit 0
}

# need TOOL…: skips all unless these programs are installed.
need() {
    local tool
    for tool in "$@"; do
        command -v "$tool" >/dev/null || skip_all "$tool is not installed"
    done
}

# two_hosts NAME [ipv6]: a scratch folder of that name and the two hosts of netns.sh; else skips all.
two_hosts() {
    [ "$(id -u)" = 0 ] || skip_all "needs root"
    scratch_dir "$1" || skip_all "no scratch folder"
    net_up "${2:-}" || skip_all "network namespaces are not allowed here"
}

# small_disk SIZE: a file system of that size, such as 48m, at $SCRATCH/disk.
small_disk() {
    mkdir "$SCRATCH/disk"
    mount -t tmpfs -o "size=$1,mode=700" packetrecorder "$SCRATCH/disk" 2>/dev/null ||
        skip_all "no tmpfs can be mounted here"
    at_exit umount -l "$SCRATCH/disk"
}

# Last line of a script.
tap_done() { exit $((tap_failures > 0)); }
