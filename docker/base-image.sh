#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# base-image.sh [TAG]: sees to it that the engine has the image that docker/Dockerfile begins with
# (debian:13-slim). Pulled where a registry can be reached; else made with debootstrap from the
# package mirror that this host uses, under the same tag, which takes root and a minute.
set -euo pipefail
readonly TAG=${1:-debian:13-slim}

say() { printf 'base-image: %s\n' "$*" >&2; }

# The mirror in this host's sources, in either format of them.
mirror() {
    { cat /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} 2>/dev/null || true; } |
        grep -oE '(URIs: *|^deb +(\[[^]]*\] +)?)https?://[^ ]+/debian/? *' |
        grep -oE 'https?://[^ ]+' | sed -n 1p
}

if docker image inspect "$TAG" >/dev/null 2>&1; then
    exit 0
fi
if timeout 120 docker pull -q "$TAG" >/dev/null 2>&1; then
    exit 0
fi
if [ "$(id -u)" != 0 ] || ! command -v debootstrap >/dev/null; then
    say "no registry has '$TAG' for us, and making it takes root and debootstrap"
    exit 1
fi
root=$(mktemp -d "${TMPDIR:-/var/tmp}/packetrecorder-base.XXXXXX")
trap 'rm -rf "$root"' EXIT
from=$(mirror)
say "no registry: making '$TAG' with debootstrap from ${from:=http://deb.debian.org/debian}"
if ! debootstrap --variant=minbase trixie "$root" "$from" >"$root.log" 2>&1; then
    tail -n 20 "$root.log" >&2
    exit 1
fi
chmod 755 "$root" # mktemp made it
rm -rf "$root.log" "$root"/var/lib/apt/lists/* "$root"/var/cache/apt/* "$root"/var/log/* \
    "$root"/usr/share/{doc,man,info,locale}/*
# As in the published image: documentation stays out, and apt keeps nothing that it has installed.
printf 'path-exclude /usr/share/%s/*\n' doc man info locale >"$root/etc/dpkg/dpkg.cfg.d/docker"
cat >"$root/etc/apt/apt.conf.d/docker-clean" <<'TEXT'
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::Languages "none";
TEXT
tar -C "$root" -c . | docker import -c 'CMD ["bash"]' - "$TAG" >/dev/null
