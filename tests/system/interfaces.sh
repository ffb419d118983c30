#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
#
# list-interfaces in a network namespace that holds known interfaces, with and without rights.
set -uo pipefail
# shellcheck source=../support/tap.sh
. "$(dirname "${BASH_SOURCE[0]}")/../support/tap.sh"
need python3
two_hosts interfaces ipv6
ip -n "$NS_B" link set "$IF_B" mtu 1400 address 02:00:00:00:77:02
ip -n "$NS_B" addr add 198.51.100.9/30 dev "$IF_B"
ip -n "$NS_B" link set "$IF_B" alias 'uplink "west"'
ip -n "$NS_B" link add pr-down type veth peer name pr-down2
ip -n "$NS_B" tuntap add mode tun name pr-tun

list() { in_b "$PR_BIN" list-interfaces "$@"; }

# field NAME EXPRESSION: a Python expression over the object i of the interface.
field() {
    list --json 2>/dev/null | python3 -c '
import json, sys
i = {i["name"]: i for i in json.load(sys.stdin)}[sys.argv[1]]
print(json.dumps(eval(sys.argv[2])))' "$1" "$2" 2>/dev/null
}

check "the listing is JSON" bash -c '"$0" list-interfaces --json | python3 -m json.tool' "$PR_BIN"
check_equal "an interface has the keys of the contract" \
    '["addresses", "description", "flags", "link_types", "mac", "mtu", "name", "warnings"]' \
    "$(field "$IF_B" 'sorted(i)')"
check_equal "MAC" '"02:00:00:00:77:02"' "$(field "$IF_B" 'i["mac"]')"
check_equal "MTU" 1400 "$(field "$IF_B" 'i["mtu"]')"
check_equal "addresses with prefix lengths" true "$(field "$IF_B" \
    '{"10.77.0.2/24", "198.51.100.9/30", "fd77::2/64"} <= set(i["addresses"])')"
check_equal "flags of an interface that runs" '["up", "running"]' "$(field "$IF_B" 'i["flags"]')"
check_equal "the alias is the description" '"uplink \"west\""' "$(field "$IF_B" 'i["description"]')"
check_equal "the link type comes first" '"EN10MB"' "$(field "$IF_B" 'i["link_types"][0]')"
check_equal "the loopback is one" true "$(field lo '"loopback" in i["flags"]')"
check_equal "a MAC that is none is null" null "$(field lo 'i["mac"]')"
check_equal "an interface that is down has no flags" '[]' "$(field pr-down 'i["flags"]')"
check_equal "and a link type all the same" '["EN10MB"]' "$(field pr-down 'i["link_types"]')"
check_equal "a tunnel is raw IP" '"RAW"' "$(field pr-tun 'i["link_types"][0]')"
check_equal "any is listed" '"LINUX_SLL2"' "$(field any 'i["link_types"][0]')"
check_equal "any has no MTU" null "$(field any 'i["mtu"]')"

warnings() { field "$IF_B" '" ".join(i["warnings"])'; }
in_b ethtool -K "$IF_B" gro on tso on >/dev/null
check_equal "GRO and TSO are warned of" 2 "$(field "$IF_B" 'len(i["warnings"])')"
check "with the way out" grep -q "ethtool -K $IF_B gro off" <<<"$(warnings)"
check "in text on standard error" bash -c 'grep -q "gro off" <<<"$1"' _ "$(list 2>&1 >/dev/null)"
in_b ethtool -K "$IF_B" gro off tso off gso off >/dev/null
check_equal "and not when they are off" '[]' "$(field "$IF_B" 'i["warnings"]')"

cp "$(realpath "$PR_BIN")" "$SCRATCH/packetrecorder"
chmod 755 "$SCRATCH" "$SCRATCH/packetrecorder"
unprivileged() {
    in_b setpriv --reuid=65534 --regid=65534 --clear-groups --inh-caps=-all \
        "$SCRATCH/packetrecorder" list-interfaces --json
}
check_equal "without rights the link type is known all the same" EN10MB "$(unprivileged |
    python3 -c 'import json, sys
print({i["name"]: i for i in json.load(sys.stdin)}[sys.argv[1]]["link_types"][0])' "$IF_B")"

wide=$(list 2>/dev/null | awk '/ $/' | wc -l)
check_equal "no line of the table ends with a blank" 0 "$wide"
check "every interface has a line" bash -c 'grep -q "^$1 " <<<"$2"' _ pr-down "$(list 2>/dev/null)"
tap_done
