# SPDX-License-Identifier: Apache-2.0
"""pull_hostile.py SCRATCH: merged downloads through something that only looks like a node of a swarm, which
breaks, lies and comes back as it is told. Driven by tests/system/merged_pull.sh."""
import json
import os
import resource
import socket
import struct
import subprocess
import sys
import threading

import msgpack

from pcapng_blocks import Stream
from recorder import Tap

tap = Tap()
SCRATCH = sys.argv[1]
BIN = os.environ["PR_BIN"]
START = 1790000000 * 10**9
EACH = 2000
NAMES = ("n0", "n1", "n2")
PIECE = 20000


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def epb(time_ns, payload, iface=0):
    return block(6, struct.pack("<IIIII", iface, time_ns >> 32, time_ns & 0xffffffff, len(payload),
                                len(payload)) + payload)


def head(name=b"eth0"):
    return block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + \
        block(1, struct.pack("<HHI", 1, 0, 65535) + option(2, name) + option(9, b"\x09") + option(0, b""))


def session(number):
    """What node `number` recorded: one packet each millisecond."""
    return head() + b"".join(epb(START + i * 10**6 + number, b"%02d %06d" % (number, i) + bytes(90))
                             for i in range(EACH))


def crc32c(data):
    crc = 0xffffffff
    for byte in data:
        crc = TABLE[(crc ^ byte) & 0xff] ^ crc >> 8
    return crc ^ 0xffffffff


def table():
    found = []
    for i in range(256):
        for _ in range(8):
            i = i >> 1 ^ (0x82F63B78 if i & 1 else 0)
        found.append(i)
    return found


TABLE = table()


class Fake:
    """Answers session.list and session.read for three nodes; `how` is what the third one does."""

    def __init__(self, how):
        self.how, self.path = how, f"{SCRATCH}/hostile_{how.__name__}.sock"
        self.reads = 0
        self.streams = [session(i) for i in range(3)]
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            connection, _ = self.listener.accept()
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        unpacker = msgpack.Unpacker(raw=False)
        try:
            while data := connection.recv(1 << 16):
                unpacker.feed(data)
                for _, call, method, params in unpacker:
                    error, result = self.answer(method, *params, *[{}] * (2 - len(params)))
                    connection.sendall(msgpack.packb([1, call, error, result]))
        except (OSError, Gone):
            connection.close()

    def answer(self, method, args, options):
        if method == "session.list":
            rows = [{"id": f"{i}" * 36, "name": "s", "node": name, "tags": {}, "interfaces": [],
                     "loss": {"kernel": 0}, "clock": []} for i, name in enumerate(NAMES)]
            return None, {"nodes": [{"node": name, "id": f"{i}" * 32, "result": [rows[i]]}
                                    for i, name in enumerate(NAMES)]}
        number = int(options["node"][0])
        self.reads += 1
        at = int(args.get("cursor", "0"))
        if number == 2:
            return self.how(self, at)
        return None, self.piece(self.streams[number], at)

    @staticmethod
    def piece(stream, at, **more):
        data = stream[at:at + PIECE]
        end = at + len(data)
        return {"data": data, "offset": at, "checksum": crc32c(data), "packets": 0, "missing": 0,
                "left_out": 0, "next": str(end) if end < len(stream) else None, **more}


class Gone(Exception):
    """The connection is closed instead of an answer."""


def fails(code, message):
    return {"code": code, "message": message, "node": "n2"}, None


# ---- what the third node does ----

def wrong_offset(fake, at):
    return None, fake.piece(fake.streams[2], at, offset=at + (1 if at > 0 else 0))


def wrong_sum(fake, at):
    return None, fake.piece(fake.streams[2], at, checksum=1 if at > 0 else crc32c(fake.streams[2][:PIECE]))


def garbage(fake, at):
    return None, fake.piece(fake.streams[2][:PIECE] + os.urandom(1 << 20), at)


def cut(fake, at):
    return None, fake.piece(fake.streams[2][:5 * PIECE + 7], at)


def no_piece(fake, at):
    return None, ["\x1b[2Jwhat", {}]


def says_no(fake, at):
    return fails("not_found", "deleted \x1b[2J meanwhile")


def same_again(fake, at):
    return None, fake.piece(fake.streams[2], at, data=b"", checksum=0, next=str(max(at, 1)))


def from_the_end_of_time(fake, at):
    ends = head(b"\x1b[2J\xff" * 30) + b"".join(epb(t, bytes(60)) for t in (2**64 - 1, 0, START)) * 50
    return None, fake.piece(ends, at)


def endless(fake, at):
    """Packets for ever, all of the same time: it is the others' turn never again, unless it is cut."""
    data = b"".join([head() if at == 0 else b""] + [epb(START, bytes(1400))] * 1000)
    return None, {"data": data, "offset": at, "checksum": crc32c_fast(data), "missing": 0, "left_out": 0,
                  "next": str(at + len(data)) if fake.reads < 400 else None}


def nothing_for_ever(fake, at):
    data = (head() if at == 0 else b"") + block(0x0bad, bytes(3 << 20))
    return None, {"data": data, "offset": at, "checksum": crc32c_fast(data), "missing": 0, "left_out": 0,
                  "next": str(at + len(data))}


SUMS = {}


def crc32c_fast(data):
    if data not in SUMS:
        SUMS[data] = crc32c(data)
    return SUMS[data]


def comes_back(fake, at):
    """Twice it is not reached, then it is."""
    fake.failed = getattr(fake, "failed", 0) + 1
    if fake.failed in (2, 3):
        return fails("unreachable", "the member is dead")
    return None, fake.piece(fake.streams[2], at)


def breaks_off(fake, at):
    """The connection to the node asked is cut in the middle, twice."""
    fake.failed = getattr(fake, "failed", 0) + 1
    if fake.failed in (3, 5):
        raise Gone()
    return None, fake.piece(fake.streams[2], at)


# ---- the checks ----

def pull(fake, name, *words):
    def limits():
        resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
    output = f"{SCRATCH}/hostile_{name}.pcapng"
    done = subprocess.run([BIN, "manage", "--endpoint", f"unix:{fake.path}", "download-pcap", "-s", "s",
                           "--all", "-o", output, *words], capture_output=True, timeout=60, check=False,
                          preexec_fn=limits if LIMIT else None)
    stream = Stream()
    with open(output, "rb") as file:
        stream.feed(file.read())
    with open(output + ".json", encoding="utf-8") as file:
        return done.returncode, done.stderr.decode(errors="replace"), stream, json.load(file)


# A sanitizer takes terabytes of addresses.
LIMIT = 0 if "dev" in os.environ.get("PR_BUILD", "") else 1 << 30


def check_sound(stream):
    """All of the two sound nodes is there and in order."""
    seen = [(p.time_ns, p.data[:9]) for p in stream.packets if p.data[:2] in (b"00", b"01")]
    return len(seen) == 2 * EACH and seen == sorted(seen)


def main():
    for how in (wrong_offset, wrong_sum, garbage, cut, no_piece, says_no, same_again, nothing_for_ever):
        code, err, stream, said = pull(Fake(how), how.__name__)
        bad = said["nodes"][2]
        tap.check(f"{how.__name__}: costs its own packets only, and is told", code == 3 and
                  check_sound(stream) and not said["complete"] and bad["reason"] and "n2: " in err and
                  all(n["complete"] for n in said["nodes"][:2]), code, err, said)
        tap.check(f"{how.__name__}: nothing steers the terminal", "\x1b" not in err, repr(err))
    for how in (from_the_end_of_time, endless):
        code, err, stream, said = pull(Fake(how), how.__name__)
        tap.check(f"{how.__name__}: harms no other", code == 0 and check_sound(stream) and
                  said["nodes"][2]["sessions"][0]["packets"] > 100, code, err, said)
    for how in (comes_back, breaks_off):
        code, err, stream, said = pull(Fake(how), how.__name__)
        tap.check(f"{how.__name__}: costs nothing", code == 0 and check_sound(stream) and
                  len(stream.packets) == 3 * EACH and said["complete"], code, err, said)
    sys.exit(tap.failures > 0)


main()
