# SPDX-License-Identifier: Apache-2.0
"""ending_checks.py SCRATCH: two nodes are told to end while everything is under way. Driven by
tests/system/swarm_ending.sh."""
import os
import signal
import socket
import struct
import subprocess
import sys
import time

from recorder import Tap
from rpc_client import Client
from swarm_lab import Lab, wait_for

tap = Tap()
SCRATCH = sys.argv[1]
BIN = os.environ["PR_BIN"]
SECONDS = 5  # of a node's ending


def fill(node, name):
    """A session that no socket's buffers hold."""
    path = f"{SCRATCH}/{name}.pcap"
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(20000):
            file.write(struct.pack("<IIII", 1700000000 + i, 0, 1500, 1500) + os.urandom(1500))
    subprocess.run([BIN, "--quiet", "capture", "-r", path, "-d", f"{node.folder}/p.db", "--name",
                    "large"], check=True, capture_output=True)


def client(node):
    return Client(f"{node.folder}/rpc.sock", timeout=20)


def half_read(node):
    """A download of which only the head is taken."""
    def dial():
        s = socket.create_connection(("127.0.0.1", 8080))
        s.sendall(b"GET /api/v1/sessions/large/pcap HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return s
    s = node.place.inside(dial)
    return s, s.recv(256).startswith(b"HTTP/1.1 200")


def view(node, interface):
    return subprocess.Popen(["ip", "netns", "exec", node.place.ns, BIN, "view",
                             "http://127.0.0.1:8080", "-i", interface, "-w",
                             f"{SCRATCH}/view-{node.name}.pcapng"],
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def everything(node, other):
    """What is under way on `node`, half of it with the other; none of it is waited for."""
    callers = [client(node) for _ in range(3)]
    viewer = view(node, f"swarm:{other.name}/eth0")
    download, good = half_read(node)
    tap.check(f"{node.name}: a download begins", good)
    stream = callers[0].call("live.open", interface=f"{other.name}/eth0")["stream"]
    for _ in range(3):
        callers[0].begin("live.read", {"stream": stream, "wait_ms": 30000})
    callers[0].call("events.subscribe")
    callers[1].call("swarm.join", addresses=["10.88.0.200", "no.such.name.invalid"])
    for _ in range(8):
        callers[1].begin("session.read", {"session_id": "large", "max_bytes": 4 << 20})
        callers[2].begin("session.read", {"session_id": "large", "max_bytes": 4 << 20},
                         node=other.name)
        callers[2].begin("session.list", nodes="all")
    tap.check(f"{node.name}: and a live stream of the other",
              wait_for(10, lambda: os.path.exists(f"{SCRATCH}/view-{node.name}.pcapng")))
    return callers, viewer, download


def end(node, what):
    began = time.monotonic()
    node.process.send_signal(signal.SIGTERM)
    try:
        code = node.process.wait(60)
    except subprocess.TimeoutExpired:
        code = None
    took = time.monotonic() - began
    said = node.said()
    tap.check(f"{what}: ends in order", code == 0, code, said[-3000:])
    tap.check(f"{what}: within {SECONDS} s", took < SECONDS, took, said[-3000:])
    tap.check(f"{what}: and leaves nothing", "Sanitizer" not in said and "runtime error" not in said,
              said[-6000:])
    print(f"# {what}: {took:.2f} s", flush=True)


def main():
    with Lab(SCRATCH, 2) as lab:
        lab.start(2)
        tap.check("two nodes find each other", lab.converged(2))
        for node in lab.nodes:
            fill(node, node.name)
        noise = [place.broadcast() for place in lab.places]
        with client(lab.nodes[0]) as c:
            job = c.call("job.start", interface="eth0", nodes=["all"], duration="300s",
                         start_in="1500ms")
        tap.check("a job is armed on both", [r["state"] for r in job["nodes"]] == ["armed"] * 2, job)

        def runs(node):
            with client(node) as c:
                rows = c.call("job.status", job_id=job["id"], only_here=True)
            return rows["state"] == "running"
        tap.check("and runs", all(wait_for(15, runs, node) for node in lab.nodes))
        held = [everything(lab.nodes[i], lab.nodes[1 - i]) for i in range(2)]
        lab.nodes[1].kill(signal.SIGSTOP)  # what n0 waits for does not come
        held[0][0][2].begin("node.info", nodes="all")
        end(lab.nodes[0], "with a silent member")
        lab.nodes[1].kill(signal.SIGCONT)
        end(lab.nodes[1], "when the other has gone")
        for callers, viewer, download in held:
            viewer.terminate()
            viewer.wait(20)
            download.close()
            for caller in callers:
                caller.close()
        for process in noise:
            process.kill()
            process.wait()


main()
sys.exit(1 if tap.failures else 0)
