# SPDX-License-Identifier: Apache-2.0
"""Row of swarm_rows.py: `manage watch` of three nodes, each of which sees 100,000 packets a second, through a fourth. How
old a packet is when it comes out of the pipe, and what of all of them came."""
import contextlib
import os
import signal
import subprocess
import threading
import time

from rpc_client import Client
from swarm_calls import BIN, FRAME, RUNS, ended, flood, received, socket_of, wire
from swarm_lab import wait_for

PPS = int(os.environ.get("PR_WATCH_PPS", "100000"))
SECONDS = 10
EPB = (6).to_bytes(4, "little") + (32 + (FRAME + 3) // 4 * 4).to_bytes(4, "little")


class Reader(threading.Thread):
    """What the watch writes. Of each piece the age of the oldest packet in it."""

    def __init__(self, pipe):
        super().__init__()
        self.pipe, self.ages_ms, self.bytes = pipe, [], 0
        self.start()

    def run(self):
        while piece := os.read(self.pipe.fileno(), 1 << 16):
            now = time.time_ns()
            self.bytes += len(piece)
            at = piece.find(EPB)
            if 0 <= at <= len(piece) - 20:
                high, low = (int.from_bytes(piece[at + i:at + i + 4], "little") for i in (12, 16))
                self.ages_ms.append((now - (high << 32 | low)) / 1e6)


def is_known(node):
    """A node lists its interfaces anew when it hears of one."""
    with Client(socket_of(node)) as c:
        return any(i["name"] == "wire0" and "up" in i["flags"] for i in c.call("node.interfaces"))


def once(lab, near, far):
    with contextlib.ExitStack() as all_:
        wires = [all_.enter_context(wire(lab, node)) for node in far]
        wait_for(15, lambda: all(is_known(node) for node in far))
        watch = subprocess.Popen([BIN, "manage", "--endpoint", f"unix:{socket_of(near)}", "--nodes",
                                  ",".join(n.name for n in far), "watch", "-i", "wire0", "-f", "udp port 9999", "-w", "-"],
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=False)
        reader = Reader(watch.stdout)
        time.sleep(2)
        began, before = time.monotonic(), sum(received(node) for node in far)
        floods = [flood(ns, PPS * SECONDS, PPS) for ns in wires]
        for process in floods:
            ended(process)
        seconds = time.monotonic() - began
        sent = sum(received(node) for node in far) - before
        time.sleep(2)
        watch.send_signal(signal.SIGINT)
        said = watch.stderr.read().decode()
        watch.wait()
        reader.join()
    table = [line.split() for line in said.splitlines() if line.startswith("n")]
    numbers = [[int(r[1]), *map(int, r[4:8])] for r in table]  # packets, lost, dropped, late, early
    packets, lost, dropped, late = (sum(n[i] for n in numbers) for i in range(4))
    return {"ages": sorted(reader.ages_ms), "sent": sent, "packets": packets, "lost": lost, "dropped": dropped, "late": late,
            "rate": sent / seconds}


def watch(lab, row):
    near, far = lab.nodes[0], lab.nodes[1:4]
    p99, told = [], []
    for _ in range(RUNS):
        found = once(lab, near, far)
        p99.append(found["ages"][len(found["ages"]) * 99 // 100] if found["ages"] else float("inf"))
        missing = found["sent"] - found["packets"] - found["lost"] - found["dropped"]
        told.append(f"{found['packets']} of {found['sent']} at {found['rate']:.0f}/s, {found['lost']} lost and "
                    f"{found['dropped']} dropped told, {missing} missing, {found['late']} late")
    row(f"watch of 3 nodes at {PPS} packets a second each, p99 of the age of the oldest packet in a piece", p99, "ms", 0)
    for line in told:
        print(f"  {line}", flush=True)
