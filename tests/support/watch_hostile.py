# SPDX-License-Identifier: Apache-2.0
"""watch_hostile.py SCRATCH: `manage watch` of a good member and of hostile ones. What members answer comes through the
node asked as it is, so a node of our own making, which answers for all of them, is what a hostile member is like. Each
kind of trouble is watched beside the good member, all of whose packets have to come, in order and unmarked. Driven by
tests/system/watch.sh."""
import os
import resource
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import msgpack

from recorder import Tap

tap = Tap()
SCRATCH = sys.argv[1]
BIN = os.environ["PR_BIN"]
EVERY_NS = 2000000
GOOD = 150  # packets of the good member


def block(kind, body):
    body += bytes(-len(body) % 4)
    return struct.pack("<II", kind, len(body) + 12) + body + struct.pack("<I", len(body) + 12)


def head(name=b"eth0"):
    option = struct.pack("<HH", 2, len(name)) + name + bytes(-len(name) % 4) + struct.pack("<HHB3xI", 9, 1, 9, 0)
    return block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + block(1, struct.pack("<HHI", 1, 0, 0) + option)


def packet(number, ns, iface=0, size=64):
    data = b"%08d" % number + bytes(size - 8)
    return block(6, struct.pack("<IIIII", iface, ns >> 32, ns & 0xFFFFFFFF, size, size) + data)


class Good:
    """A packet each two milliseconds, stamped by the clock."""

    def __init__(self):
        self.sent, self.began = 0, time.time_ns()

    def read(self, first):
        now = time.time_ns()
        data = head() if first else b""
        while self.sent < GOOD and self.began + self.sent * EVERY_NS <= now:
            data += packet(self.sent, self.began + self.sent * EVERY_NS)
            self.sent += 1
        return {"data": data, "watermark_ns": now, "lost": 0, "clock": {"offset_ns": 0, "bound_ns": 1000}}


class Bad:
    """One kind of trouble; `answer` makes what is answered at the n-th read."""

    def __init__(self, answer):
        self.answer, self.n = answer, 0

    def read(self, _):
        self.n += 1
        return self.answer(self.n)


def data(n, more, **members):
    return {"data": (head() if n == 1 else b"") + more, "watermark_ns": time.time_ns(), "lost": 0, "clock": None,
            **members}


FUTURE = 1 << 63
TROUBLES = {
    "nothing ever": lambda n: None,
    "no map": lambda n: 7,
    "no pcapng": lambda n: data(1, b"\xff" * 4096),
    "a block of 4 GiB": lambda n: data(n, struct.pack("<II", 6, 0xFFFFFFFC) + bytes(64)),
    "an endless block": lambda n: data(n, struct.pack("<II", 6, 200 << 20) if n == 1 else bytes(256 << 10)),
    "an endless stream without packets": lambda n: data(n, block(0xBAD, bytes(256 << 10)) * 2),
    "a flood": lambda n: data(n, b"".join(packet(i, time.time_ns(), size=1400) for i in range(180))),
    "interfaces without end": lambda n: data(n, head()[28:] * 2000),
    "an interface that is not described": lambda n: data(n, packet(1, time.time_ns(), iface=9)),
    "packets from the future": lambda n: data(n, b"".join(packet(i, FUTURE + i) for i in range(20))),
    "packets from long ago": lambda n: data(n, b"".join(packet(i, i + 1) for i in range(20))),
    "a watermark from the future": lambda n: data(n, packet(n, time.time_ns()), watermark_ns=2**64 - 1),
    "a clock that jumps by centuries": lambda n: data(n, packet(n, time.time_ns()), clock={
        "offset_ns": (-1) ** n * (2**63 - n), "bound_ns": 0}),
    "losses without end": lambda n: data(n, packet(n, time.time_ns()), lost=2**64 - 1),
}


class Node(threading.Thread):
    """The node asked: one connection, all of whose reads are answered at once."""

    def __init__(self, path, members):
        super().__init__(daemon=True)
        self.members, self.open = members, {}
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(path)
        self.server.listen()
        self.start()

    def answer(self, method, args, node):
        if method == "node.info":
            now = time.time_ns()
            stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 10**9)) + f".{now % 10**9:09d}Z"
            return {"clock": {"time": stamp, "offset_ns": 0, "bound_ns": 0}}
        if method == "node.interfaces":
            return {"nodes": [{"node": name, "id": name, "result": [{"name": "eth0", "mtu": 1500, "flags": ["up"]}]}
                              for name in self.members]}
        if method == "live.open":
            stream = len(self.open) + 1
            self.open[stream] = True
            return {"stream": stream, "link_type": 1}
        if method == "live.read":
            first, self.open[args["stream"]] = self.open[args["stream"]], False
            return self.members[node].read(first)
        return {}

    def run(self):
        peer, _ = self.server.accept()
        unpacker = msgpack.Unpacker()
        try:
            while received := peer.recv(1 << 16):
                unpacker.feed(received)
                for kind, number, method, params in (m for m in unpacker if m[0] == 0):
                    result = self.answer(method, params[0], (params[1:] or [{}])[0].get("node"))
                    if result is None:
                        continue
                    if method == "live.read" and isinstance(result, dict) and len(result["data"]) <= len(head()):
                        time.sleep(0.002)
                    peer.sendall(msgpack.packb([1, number, None, result]))
        except OSError:
            pass


def watched(name, trouble):
    path, out = f"{SCRATCH}/{len(name)}.sock", f"{SCRATCH}/hostile.pcapng"
    for old in (path, out):
        if os.path.exists(old):
            os.unlink(old)
    good = Good()
    node = Node(path, {"good": good, "bad": Bad(trouble)})
    process = subprocess.Popen([BIN, "manage", "--endpoint", f"unix:{path}", "--all", "watch", "-i", "eth0", "-w", out],
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 20
    while good.sent < GOOD and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.02)
    time.sleep(0.3)  # longer than anything is held
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    node.server.close()
    return process.returncode, err.decode(), out


def check(name, trouble):
    code, err, path = watched(name, trouble)
    shown = subprocess.run(["tshark", "-r", path, "-Y", 'frame.interface_name == "good/eth0"', "-Tfields", "-e",
                            "eth.dst", "-e", "eth.src", "-e", "frame.time_epoch", "-e", "frame.comment"],
                           capture_output=True, text=True)
    rows = [line.split("\t") for line in shown.stdout.splitlines()]
    numbers = [int(bytes.fromhex((r[0] + r[1]).replace(":", ""))[:8]) for r in rows]
    marked = [r for r in rows if len(r) > 3 and r[3]]
    tap.check(f"{name}: the good member's packets are all there, in order and unmarked",
              numbers == list(range(GOOD)) and not marked, code, len(numbers), marked[:2], err[-600:], shown.stderr[-300:])
    tap.check(f"{name}: the end is orderly", code in (0, 3), code, err[-600:])


for name_, trouble_ in TROUBLES.items():
    check(name_, trouble_)
most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
tap.check(f"no more memory than is allowed ({most} MiB)", most < 600, most)
sys.exit(tap.failures > 0)
