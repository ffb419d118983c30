# SPDX-License-Identifier: Apache-2.0
"""Attacks on the connections of a node from the other end of the wire, while a client on its own
host asks it all the time and must be answered soon. Driven by tests/system/http_hostile.sh."""
import multiprocessing
import os
import resource
import socket
import struct
import sys
import threading
import time

import ws_raw
from certificate import Authority
from node_process import Checks, Node, add_key, in_namespace
from recorder import finish, wait_for
from ws_raw import Wire

FOLDER = os.path.join(sys.argv[1], "hostile")
NS_A = os.environ["NS_A"]
OUTSIDE = "10.77.0.2"
RESET = struct.pack("ii", 1, 0)
UNPROVEN_MAX = 128  # of one address, node/http_server.h


class Bystander:
    """Asks GET / all the time; worst is the longest that an answer took."""

    def __init__(self, address, tls=None):
        self.worst, self.count, self.failures = 0.0, 0, []
        self.address, self.tls = address, tls
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.ask, daemon=True)

    def ask(self):
        while not self.over.is_set():
            began = time.monotonic()
            try:
                status = ws_raw.get(self.address, "/", tls=self.tls).status
                if status != 200:
                    self.failures.append(status)
            except OSError as error:
                self.failures.append(error)
            self.worst = max(self.worst, time.monotonic() - began)
            self.count += 1
            self.over.wait(0.02)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *unused):
        self.over.set()
        self.thread.join()

    def check(self, t, name):
        t.check(f"{name}: the other client is answered within 1 s",
                self.count > 0 and self.worst < 1 and not self.failures,
                f"{self.count} answers, the longest took {self.worst:.2f} s", self.failures[:5])


def storm(address, seconds, box):
    """Connects and resets as fast as it goes, inside namespace A."""
    def body():
        count, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            s = socket.socket()
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            try:
                s.settimeout(1)
                s.connect(address)
            except OSError:
                pass
            s.close()
            count += 1
        return count
    box.put(in_namespace(NS_A, body))


def test_storm(t):
    """A process of its own, so that Python's lock does not slow the other client."""
    before, box = node.descriptors(), multiprocessing.Queue()
    attacker = multiprocessing.Process(target=storm, args=(outside, 4, box))
    with Bystander(inside) as bystander:
        began = time.monotonic()
        attacker.start()
        count = box.get(timeout=30)
        took = time.monotonic() - began
        attacker.join()
    print(f"# {count / took:.0f} connects a second from another host", flush=True)
    bystander.check(t, "a storm of connects")
    t.eventually("their descriptors are back", lambda: node.descriptors() <= before + 2, 10,
                 lambda: f"{before} before, {node.descriptors()} now")
    accepted = node.metric("packetrecorder_http_connections_total", kind="http")
    t.check("all are counted", accepted >= count * 0.9, f"{accepted} of {count}")


def test_half_open(t):
    refused = node.metric("packetrecorder_http_rejected_total", reason="address")
    slow = node.metric("packetrecorder_http_rejected_total", reason="slow")

    def hold():
        held = []
        for _ in range(600):
            s = socket.socket()
            s.settimeout(5)
            s.connect(outside)
            held.append(s)
        return held
    with Bystander(inside) as bystander:
        held = in_namespace(NS_A, hold)
        t.eventually(f"of 600 half-open connections of one host {UNPROVEN_MAX} are kept",
                     lambda: node.metric("packetrecorder_http_rejected_total", reason="address")
                     - refused == 600 - UNPROVEN_MAX, 10,
                     lambda: node.metric("packetrecorder_http_rejected_total", reason="address"))
        t.eventually("and those are gone soon", lambda: node.metric(
            "packetrecorder_http_rejected_total", reason="slow") - slow == UNPROVEN_MAX, 20)
    bystander.check(t, "half-open connections")
    for s in held:
        s.close()


def test_header_bombs(t):
    """Heads that stay just below the limit cost what they are, and a bit more."""
    before, wires = node.rss_bytes(), []
    head = b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n" + b"X: " + b"y" * 15000
    with Bystander(inside) as bystander:
        for _ in range(100):
            wire = Wire(inside)
            wire.send(head)
            wires.append(wire)
        grown = node.rss_bytes() - before
        for wire in wires:
            wire.send(b"y" * 2000)
        answers = [wire.rest()[:12] for wire in wires]
        for wire in wires:
            wire.close()
    t.check("100 heads of 15 kB cost less than 8 MiB", grown < 8 << 20, f"{grown >> 10} KiB")
    t.check("each is told that it is too large", set(answers) == {b"HTTP/1.1 431"}, set(answers))
    bystander.check(t, "header bombs")


def test_tls(t):
    authority = Authority(os.path.join(FOLDER, "ca"))
    certificate, key = authority.issue()
    with Node(FOLDER, "--tls-cert", certificate, "--tls-key", key, database="tls.db") as secure:
        secure.tls = authority.context()
        hello = bytes.fromhex("16030102000100") + bytes(100)
        with Bystander(secure.address, secure.tls) as bystander:
            wires = [Wire(secure.address) for _ in range(100)]
            for wire in wires:
                wire.send(hello)
            for _ in range(50):
                junk = Wire(secure.address)
                junk.send(b"GET / HTTP/1.1\r\n\r\n")
                junk.rest()
                junk.close()
            t.eventually("unfinished and senseless handshakes are ended and counted",
                         lambda: secure.metric("packetrecorder_tls_handshakes_total",
                                               result="failed") >= 150, 20,
                         lambda: secure.metric("packetrecorder_tls_handshakes_total",
                                               result="failed"))
            for wire in wires:
                wire.close()
        bystander.check(t, "TLS handshakes that lead nowhere")
        slow = Wire(secure.address, tls=secure.tls)
        for byte in ws_raw.request_bytes(secure.address, "GET", "/"):
            slow.send(bytes([byte]))
        t.equal("a request of one-byte TLS records is answered", 200, ws_raw.read_head(slow)[0])
        slow.close()


def test_no_descriptors(t):
    limit = 48
    with Node(FOLDER, database="few.db", prefix=("prlimit", f"--nofile={limit}:{limit}")) as few:
        wires = []
        for _ in range(limit + 20):
            wire = Wire(few.address, timeout=5)
            wires.append(wire)
        dropped = 0
        for wire in wires:
            try:
                wire.send(ws_raw.request_bytes(few.address, "GET", "/"))
                ws_raw.read_head(wire)
            except (OSError, ws_raw.Closed):
                dropped += 1
        busy = few.cpu_seconds()
        time.sleep(0.5)
        t.check("it does not spin", few.cpu_seconds() - busy < 0.25)
        for wire in wires:
            wire.close()
        t.check("who finds no descriptor is dropped at once", 20 <= dropped < limit + 20, dropped)
        refused = []

        def answers():
            try:
                return ws_raw.get(few.address, "/").status == 200
            except (OSError, ws_raw.Closed):  # the node has not seen all of them close yet
                refused.append(1)
                return False

        t.check("afterwards all is well", wait_for(5, answers))
        t.equal("all of them are counted", dropped + len(refused), sum(few.metric(
            "packetrecorder_http_rejected_total", reason=reason)
            for reason in ("descriptors", "connections")))


def main():
    global node, inside, outside
    os.makedirs(FOLDER, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
    tap = Checks()
    key = add_key(FOLDER, "view")
    with Node(FOLDER, "--insecure", http=("127.0.0.1:0", f"{OUTSIDE}:0")) as node:
        node.key = key
        inside, outside = node.addresses
        memory = node.rss_bytes()
        tap.run([test_storm, test_half_open, test_header_bombs])
        grown = node.rss_bytes() - memory
        tap.check("memory is bounded", grown < 32 << 20, f"{grown >> 20} MiB more")
        code, took = node.stop()
        tap.check("SIGTERM: exit 0 within 5 s", code == 0 and took < 5, code, took, node.said())
    tap.run([test_tls, test_no_descriptors])
    finish(tap)


main()
