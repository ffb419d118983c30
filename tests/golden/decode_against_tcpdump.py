#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""decode_against_tcpdump.py DECODE_LINES: compares our summary line of every packet of a folder of
captures (PR_CAPTURES, or ../shared/captures beside the checkout) with tcpdump -nn -S: addresses,
ports, protocol, flags, sequence numbers and lengths must agree. What tcpdump decodes above TCP and
UDP is its own. Prints TAP; exit 77 (skipped) without the folder or tcpdump.
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys

# Packets that tcpdump 4.99.3 cannot or will not print: link types, TSO, its own framing.
OURS = re.compile(r"^(link-type \d+|unknown ip|AF \d+|IP6? bad-version)|ethertype .*length \d+$|802\.3, length|STP ")
TUNNEL_BREAK = re.compile(r"VXLAN, flags .*, vni \d+$")
HEAD = re.compile(r"(IP6? (?:truncated-ip6? - \d+ bytes missing! ?)?\S+ > \S+:)")


def tcpdump_lines(path):
    """One string a packet; continuation lines are left out, the inside of VXLAN is put behind."""
    run = subprocess.run(["tcpdump", "-nn", "-t", "-S", "-r", str(path)], capture_output=True)
    found = []
    for line in run.stdout.decode(errors="replace").split("\n"):
        if found and TUNNEL_BREAK.search(found[-1]):
            found[-1] += ": " + line
        elif line and not line.startswith(("\t", "    ")):
            found.append(line)
    return found


def as_in_4_99_3(line):
    """tcpdump 4.99.4 and newer has other words for lengths of IPv4 that cannot be."""
    line = re.sub(r"^IP +\[header length (\d+) < 20\] \(invalid\)", r"IP bad-hlen \1", line)
    return re.sub(r"^IP +\[total length (\d+) > length (\d+)\] \(invalid\) ?", lambda m:
                  f"IP truncated-ip - {int(m[1]) - int(m[2])} bytes missing! ", line)


def plain(line):
    """Without what only one of the two says: VLAN tags, the interface of SLL2, double spaces."""
    line = re.sub(r"vlan \d+, p \d(, DEI)?, (ethertype [^,]+|802\.3), ", "", line)
    line = re.sub(r"^\S+ +(In|Out|M|B|P) +", "", line)
    line = as_in_4_99_3(re.sub(r"^ethertype IPv[46], ", "", line))
    return re.sub(r"\s+", " ", line).strip()


def agree(theirs, ours):
    theirs, ours = plain(theirs), plain(ours)
    if theirs == ours or theirs.startswith(ours) or ours.startswith(theirs):
        return True
    if "bad-len 0" in theirs or "[bad opt]" in theirs or OURS.search(ours):
        return True  # TSO and BIG TCP; tcpdump stops at a broken option
    if "erspan" in ours.lower() or "gre-proto-" in theirs:
        return ours.startswith(theirs.split(": gre-proto")[0])
    a, b = HEAD.search(theirs), HEAD.search(ours)
    if not a or not b or a[1].replace(" ", "") != b[1].replace(" ", ""):
        return False
    if "Flags [" in ours or "ICMP echo" in ours:
        return theirs.startswith(re.sub(r"length (\d+).*", r"length \1", ours))
    return True  # a protocol that tcpdump decodes in its own words


def main():
    root = pathlib.Path(__file__).resolve().parents[2]
    folder = pathlib.Path(os.environ.get("PR_CAPTURES", root.parent / "shared/captures")) / "dev"
    if not folder.is_dir() or not shutil.which("tcpdump"):
        print(f"1..0 # SKIP no captures in {folder}, or no tcpdump")
        return 77
    total = wrong = 0
    for path in sorted(folder.glob("*.pcap*")):
        run = subprocess.run([sys.argv[1], str(path)], capture_output=True, text=True)
        ours = run.stdout.split("\n")[:-1]
        theirs = tcpdump_lines(path)
        bad = [(t, o) for t, o in zip(theirs, ours) if not agree(t, o)]
        total += len(ours)
        wrong += len(bad) + abs(len(ours) - len(theirs)) + (run.returncode != 0)
        if bad or run.returncode != 0 or len(ours) != len(theirs):
            print(f"# {path.name}: {len(theirs)} lines, ours {len(ours)}, exit {run.returncode}")
        for t, o in bad[:3]:
            print(f"#   tcpdump {plain(t)[:200]}\n#   ours    {plain(o)[:200]}")
    print(f"{'ok' if wrong == 0 else 'not ok'} - {total} packets read as in tcpdump, {wrong} not")
    return 1 if wrong else 0


sys.exit(main())
