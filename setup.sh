#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# setup.sh [build|demo|test|docker]: installs the Debian packages that are missing (Debian 12 and 13).
#   build   what compiling the programs needs
#   demo    build, and what demo.sh shows the result with
#   test    demo, and everything that test.sh, .ci/run and tests/bench use (default)
#   docker  a Docker engine with docker-compose, and what docker/test.sh needs besides it
# Silent and done in an instant when all is there; then it needs neither root nor a network. On
# Debian 12, SQLCipher comes from bookworm-backports, which is enabled when it is not: Debian's own
# 3.4 cannot read the files of 4.x.
set -euo pipefail
export LC_ALL=C DEBIAN_FRONTEND=noninteractive

readonly SQLCIPHER_MIN=4.6
readonly BACKPORTS_FILE=/etc/apt/sources.list.d/packetrecorder-backports.sources
readonly UPDATE_TRIES=4

build_packages=(cmake ninja-build gcc libc6-dev pkg-config libpcap-dev libsodium-dev libzstd-dev
    libxxhash-dev libjansson-dev libsqlcipher-dev libsqlite3-dev libuv1-dev libwslay-dev libssl-dev
    libinih-dev zlib1g-dev uthash-dev)
demo_packages=(iproute2 iputils-ping ethtool python3 tcpdump wireshark-common curl)
test_packages=(clang clang-format clang-tidy libclang-rt-dev libcmocka-dev git jq sqlite3 zstd
    tshark mandoc valgrind strace universal-ctags netbase procps zsh fish openssl nodejs node-ws
    python3-websockets python3-scapy python3-msgpack python3-nacl
    prometheus websocketd)
docker_packages=(docker.io docker-compose debootstrap iptables iproute2 jq)

# llhttp, the parser of Node.js: a library of its own since Debian 13.
if grep -q '^VERSION_ID="12' /etc/os-release; then
    build_packages+=(node-llhttp)
else
    build_packages+=(libllhttp-dev)
    docker_packages+=(docker-cli)
fi

say() { printf 'setup: %s\n' "$*" >&2; }

die() {
    say "$*"
    exit 1
}

wanted_packages() {
    if [ "$1" = docker ]; then
        printf '%s\n' "${docker_packages[@]}"
        return
    fi
    printf '%s\n' "${build_packages[@]}"
    [ "$1" = build ] || printf '%s\n' "${demo_packages[@]}"
    [ "$1" != test ] || printf '%s\n' "${test_packages[@]}"
}

# Prints the packages of the list on stdin that are not installed, or too old.
missing_packages() {
    local -A version=()
    local name status number
    while IFS=$'\t' read -r name status number; do
        [ "$status" != installed ] || version[$name]=$number
    done < <(dpkg-query -W -f '${Package}\t${db:Status-Status}\t${Version}\n' 2>/dev/null)
    while read -r name; do
        if [ -z "${version[$name]:-}" ]; then
            printf '%s\n' "$name"
        elif [ "$name" = libsqlcipher-dev ] &&
            dpkg --compare-versions "${version[$name]}" lt "$SQLCIPHER_MIN"; then
            printf '%s\n' "$name"
        fi
    done
}

debian_release() {
    local ID='' VERSION_ID=''
    # shellcheck source=/dev/null
    . /etc/os-release
    [ "$ID" = debian ] || die "this is '$ID', not Debian: install by hand: $*"
    printf '%s\n' "${VERSION_ID%%.*}"
}

# Every configured source as lines "URI SUITE", from both formats of sources.
configured_sources() {
    local file
    for file in /etc/apt/sources.list /etc/apt/sources.list.d/*.list; do
        [ -f "$file" ] || continue
        sed -nE 's/^deb +(\[[^]]*\] +)?([^ ]+) +([^ ]+).*/\2 \3/p' "$file"
    done
    for file in /etc/apt/sources.list.d/*.sources; do
        [ -f "$file" ] || continue
        awk 'function flush(  i, j, u, s, nu, ns) {
                 nu = split(uris, u, " "); ns = split(suites, s, " ")
                 if (on) for (i = 1; i <= nu; i++) for (j = 1; j <= ns; j++) print u[i], s[j]
                 uris = suites = ""; on = 1
             }
             BEGIN { on = 1 }
             /^[ \t]*$/ { flush() }
             { key = tolower($1) }
             key == "uris:" { sub(/^[^:]*:/, ""); uris = $0 }
             key == "suites:" { sub(/^[^:]*:/, ""); suites = $0 }
             key == "enabled:" && tolower($2) == "no" { on = 0 }
             END { flush() }' "$file"
    done
}

# Debian 12: adds bookworm-backports on the mirror that bookworm itself comes from.
enable_backports() {
    local uri signed=/usr/share/keyrings/debian-archive-keyring.gpg
    if configured_sources | grep -q ' bookworm-backports$'; then
        return
    fi
    uri=$(configured_sources | awk '$2 == "bookworm" { print $1; exit }')
    say "enabling bookworm-backports (SQLCipher $SQLCIPHER_MIN) in $BACKPORTS_FILE"
    {
        printf 'Types: deb\nURIs: %s\n' "${uri:-http://deb.debian.org/debian}"
        printf 'Suites: bookworm-backports\nComponents: main\n'
        [ ! -f "$signed" ] || printf 'Signed-By: %s\n' "$signed"
    } | "${as_root[@]}" tee "$BACKPORTS_FILE" >/dev/null
}

# Runs a command without its chatter; shows it all when the command fails.
quietly() {
    local out
    if ! out=$("$@" 2>&1 </dev/null); then
        printf '%s\n' "$out" >&2
        return 1
    fi
}

update_lists() {
    local try
    for ((try = 1; try <= UPDATE_TRIES; try++)); do
        if quietly "${as_root[@]}" apt-get update -q; then
            return
        fi
        say "apt-get update failed (try $try of $UPDATE_TRIES)"
        sleep $((try * 3))
    done
    say "going on with the package lists that are here"
}

install_packages() {
    local release=$1
    shift
    local names=("$@") name i
    for i in "${!names[@]}"; do
        name=${names[$i]}
        if [ "$release" = 12 ] && [ "$name" = libsqlcipher-dev ]; then
            names[i]=$name/bookworm-backports
        fi
    done
    quietly "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y \
        --no-install-recommends -o Acquire::Retries=3 -o DPkg::Lock::Timeout=120 "${names[@]}"
}

main() {
    local mode=${1:-test} release missing
    case "$mode" in
    build | demo | test | docker) ;;
    *)
        echo "usage: setup.sh [build|demo|test|docker]" >&2
        exit 2
        ;;
    esac
    mapfile -t missing < <(wanted_packages "$mode" | missing_packages)
    [ ${#missing[@]} -gt 0 ] || return 0

    release=$(debian_release "${missing[*]}")
    as_root=()
    if [ "$(id -u)" != 0 ]; then
        as_root=(sudo -n)
        sudo -n true 2>/dev/null ||
            die "packages are missing; as root: apt-get install ${missing[*]}"
    fi
    say "installing ${missing[*]}"
    if [ "$release" = 12 ] && [[ " ${missing[*]} " == *" libsqlcipher-dev "* ]]; then
        enable_backports
    fi
    update_lists
    install_packages "$release" "${missing[@]}" || die "apt-get could not install them"

    mapfile -t missing < <(wanted_packages "$mode" | missing_packages)
    [ ${#missing[@]} -eq 0 ] || die "still missing or too old: ${missing[*]}"
}

main "$@"
