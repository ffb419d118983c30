#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""odd_packets.py SCRATCH: packets of all lengths and times into a store and out again, byte for
byte. Called by secrets.sh."""
import os
import random
import struct
import sys

import make_capture
import recorder

SCRATCH = sys.argv[1]
SECOND = 10**9
NOW = 1_700_000_000 * SECOND
YEAR_2262 = 9_223_372_036 * SECOND  # the end of signed nanoseconds
YEAR_2500 = 16_725_225_600 * SECOND


def packets():
    """(interface, time, bytes, length on the wire, options), as write_pcapng takes them."""
    noise = random.Random(7).randbytes
    for n in (0, 1, 2, 3, 4, 13, 14, 60, 1514, 65535, 65536, 65549, 131072, 262143, 262144):
        data = noise(n)
        yield 0, NOW + n, data, n, b""
        yield 0, NOW + n + 1, data, n + 1, b""  # cut
    yield 0, NOW, b"", 1500, b""
    for i in range(200):  # backwards, across days
        yield 0, NOW - i * 3600 * SECOND, noise(60), 60, b""
    for base in (0, YEAR_2262, YEAR_2500, 2**64 - 2**33):
        for i in (3, 1, 2, 0):
            yield 0, base + i, noise(70), 70, b""
    for i in range(40):  # more than one frame
        yield 0, NOW + i, noise(262144), 400000, b""


def read_pcapng(data):
    """[(time ns, bytes, length on the wire)] of a little-endian file with nanoseconds."""
    found = []
    at = 0
    while at < len(data):
        kind, total = struct.unpack_from("<II", data, at)
        if kind == 6:
            _, high, low, caplen, length = struct.unpack_from("<IIIII", data, at + 8)
            found.append((high << 32 | low, data[at + 28:at + 28 + caplen], length))
        at += total
    return found


def first_difference(one, two):
    for i, (a, b) in enumerate(zip(one, two)):
        if a != b:
            return i, a[0], a[2], a[1][:20], b[0], b[2], b[1][:20]
    return len(one), len(two)


def export(store, *more):
    path = os.path.join(SCRATCH, "out.pcapng")
    code, _, err = store.run("export", "-s", "last", "-o", path, "--force", *more)
    with open(path, "rb") as f:
        return code, read_pcapng(f.read()), err


def round_trip(tap, name, store, path, wanted, *more):
    code, _, err = store.run("capture", "-r", path, *more)
    tap.check(f"{name}: odd packets are imported", code == 0, err)
    code, found, err = export(store)
    tap.check(f"{name}: {len(wanted)} odd packets come back byte for byte, in their order",
              code == 0 and found == wanted, first_difference(wanted, found), err)
    code, out, err = store.run("query", "-s", "last", "--count")
    tap.check(f"{name}: query counts them", code == 0 and int(out) == len(wanted), out, err)
    for since, until, low, high in (("2262-04-01T00:00:00Z", None, YEAR_2262 - 10**15, 2**64),
                                    ("2400-01-01T00:00:00Z", "2501-01-01T00:00:00Z",
                                     YEAR_2500 - 10**18, YEAR_2500 + 10**17),
                                    (None, "1970-01-02T00:00:00Z", 0, 86400 * SECOND)):
        span = (["--from", since] if since else []) + (["--to", until] if until else [])
        code, found, err = export(store, *span)
        want = [p for p in wanted if low <= p[0] <= high]
        tap.check(f"{name}: {' '.join(span)}", code == 0 and found == want, len(want), len(found),
                  err)
    code, out, err = store.run("verify")
    tap.check(f"{name}: the store is clean", code == 0 and out.endswith("clean\n"), out, err)
    os.unlink(store.path)
    code, found, err = export(store)
    tap.check(f"{name}: and when the catalogue is lost", code == 0 and found == wanted, err)


def main():
    tap = recorder.Tap()
    path = os.path.join(SCRATCH, "odd.pcapng")
    with open(path, "wb") as f:
        make_capture.write_pcapng(f, ((make_capture.ETHERNET, b"eth0"),), packets())
    wanted = [(ns, data, length) for _, ns, data, length, _ in packets()]
    key = recorder.key_file(os.path.join(SCRATCH, "odd.key"))
    round_trip(tap, "plain", recorder.Store(os.path.join(SCRATCH, "odd.db")), path, wanted)
    round_trip(tap, "plain, raw", recorder.Store(os.path.join(SCRATCH, "raw.db")), path, wanted,
               "--compression", "off")
    round_trip(tap, "sealed", recorder.Store(os.path.join(SCRATCH, "odd-sealed.db"), key), path,
               wanted)
    recorder.finish(tap)


if __name__ == "__main__":
    main()
