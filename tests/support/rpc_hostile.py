# SPDX-License-Identifier: Apache-2.0
"""Attacks on both RPC sockets of a node while another client asks it all the time and must be
answered soon. Driven by tests/system/rpc.sh."""
import os
import random
import resource
import socket
import struct
import sys
import threading
import time

import msgpack
from node_process import Checks, add_key, in_namespace, is_sanitized
from recorder import finish, wait_for
from rpc_client import Client, Failed, Refused, preamble, split_key
from rpc_node import RpcNode

FOLDER = os.path.join(sys.argv[1], "rpc_hostile")
NS_A = os.environ["NS_A"]
OUTSIDE = "10.77.0.2"
OF_ADDRESS = 8    # strangers of one address, shared/wire/channel.h
WAITING = 1024    # node/rpc_door_uv.h
SOON = 4  # who is kept out by strangers waits until the first of them is ended, after five seconds


class Bystander:
    """Connects, asks, leaves, all the time, over both sockets; worst is the longest that one took."""

    def __init__(self):
        self.worst, self.count, self.failures = 0.0, 0, []
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.ask, daemon=True)

    def ask(self):
        while not self.over.is_set():
            for dial in (node.local, lambda: node.remote(key)):
                began = time.monotonic()
                try:
                    with dial() as client:
                        client.call("node.doctor")
                except (OSError, EOFError, Failed, Refused) as error:
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
        t.check(f"{name}: the other client is answered within {SOON} s",
                self.count > 0 and self.worst < SOON and not self.failures,
                f"{self.count} answers, the longest took {self.worst:.2f} s", self.failures[:5])


def rejected(reason):
    return node.metric("packetrecorder_rpc_rejected_total", reason=reason)


def test_garbage(t):
    """Bytes of chance on both sockets, behind a good beginning too."""
    chance = random.Random(7)
    good = msgpack.packb([0, 1, "session.query", [{"session_id": "last", "limit": 5}]])
    with Bystander() as bystander:
        for i in range(300):
            client = node.local(timeout=5)
            junk = bytearray(good)
            for _ in range(chance.randrange(1, 6)):
                junk[chance.randrange(len(junk))] = chance.randrange(256)
            try:
                client.socket.sendall(bytes(junk) if i % 2 else chance.randbytes(200))
            except OSError:
                pass
            client.close()
        for _ in range(200):
            s = socket.create_connection(node.rpc[0], timeout=5)
            s.sendall(chance.choice((b"", preamble("abcdefgh"), preamble(split_key(key)[0]))) +
                      chance.randbytes(chance.randrange(300)))
            s.close()
    bystander.check(t, "garbage")
    t.check("the node lives", not node.has_ended(), node.said())


def test_announced(t):
    """Sizes and counts that are only announced cost nothing and end the connection."""
    before = node.rss_bytes()
    for name, data in (("elements", b"\x94\x00\x01\xa1x\xdd\xff\xff\xff\xff"),
                       ("a text", b"\x94\x00\x01\xa1x\x91\x81\xa1x\xdb\xff\xff\xff\xff"),
                       ("pairs", b"\x94\x00\x01\xa1x\x91\xdf\x7f\xff\xff\xff"),
                       ("levels", b"\x94\x00\x01\xa1x" + b"\x91" * 1000)):
        for dial in (node.local, lambda: node.remote(key)):
            client = dial()
            client.send_bytes(data)
            closing = client.wait_closed(5)
            t.equal(f"{name} without end", "bad_request", closing and closing["code"])
            client.close()
    t.check("no memory was taken", node.rss_bytes() - before < 8 << 20)


def test_frames(t):
    """Inside the channel: a frame that is altered, and one without an end."""
    handshakes, channels = rejected("handshake"), rejected("channel")
    client = node.remote(key)
    sealed = bytearray(client.send_cipher.seal(msgpack.packb([0, 1, "node.doctor", []])))
    sealed[3] ^= 1
    client.socket.sendall(struct.pack(">H", len(sealed)) + bytes(sealed))
    client.wait_closed(5)
    t.equal("an altered frame is no call", {}, client.answers)
    replayed = node.remote(key)
    frame = replayed.send_cipher.seal(msgpack.packb([0, 5, "node.doctor", []]))
    frame = struct.pack(">H", len(frame)) + frame
    replayed.socket.sendall(frame + frame)
    replayed.wait_closed(5)
    t.equal("a frame that comes twice is one call", [5], list(replayed.answers))
    t.equal("both are counted as channels that broke", 2, rejected("channel") - channels)
    t.equal("and not as handshakes", handshakes, rejected("handshake"))


def half_open(n, data=b""):
    held = []
    for _ in range(n):
        s = socket.create_connection((OUTSIDE, node.rpc[1][1]), timeout=5)
        s.sendall(data)
        held.append(s)
    return held


def test_half_open(t):
    slow, most = rejected("slow"), 0
    with Bystander() as bystander:
        held = in_namespace(NS_A, lambda: half_open(400, preamble(split_key(key)[0])[:10]))
        until = time.monotonic() + 4
        while time.monotonic() < until:
            most = max(most, node.metric("packetrecorder_rpc_strangers"))
            time.sleep(0.1)
    bystander.check(t, "400 half-open connections of another host")
    t.check(f"at most {OF_ADDRESS} of them are in a handshake", most <= OF_ADDRESS + 2, most)
    t.eventually("those who do nothing are ended after five seconds",
                 lambda: rejected("slow") - slow >= OF_ADDRESS, 10)
    t.eventually("those who waited in vain are told that it is busy",
                 lambda: rejected("strangers") >= 300, 15, lambda: rejected("strangers"))
    for s in held:
        s.settimeout(20)  # who came in last, in the place of one who was ended, has his five seconds too
    verdicts = {s.recv(1) for s in held}
    t.check("with the byte for it", b"\x06" in verdicts and verdicts <= {b"", b"\x06"}, verdicts)
    for s in held:
        s.close()
    t.eventually("nobody is left", lambda: node.metric("packetrecorder_rpc_strangers") == 0 and
                 node.metric("packetrecorder_rpc_waiting") == 0)


def test_slow(t):
    """A message byte by byte holds nobody up; the bytes of a stranger are counted."""
    client = node.local()
    message = msgpack.packb([0, 3, "node.doctor", []])
    with Bystander() as bystander:
        for byte in message:
            client.socket.sendall(bytes([byte]))
            time.sleep(0.02)
        t.equal("a call byte by byte is answered", "ok", client.end(3)["status"])
    bystander.check(t, "a slow client")
    s = socket.create_connection(node.rpc[0], timeout=5)
    s.sendall(preamble(split_key(key)[0]) + bytes(48))
    t.equal("a stranger with a wrong handshake is refused", b"\x02", s.recv(1))
    s.close()


def test_no_reading(t):
    """Asks and asks and takes no answer: it is not read either, and ended after half a minute."""
    before, stalled = node.rss_bytes(), rejected("stalled")
    client = node.local()
    client.socket.settimeout(0.5)
    call, sent = msgpack.packb([0, 1, "node.info", []]), 0
    with Bystander() as bystander:
        try:
            for i in range(200000):
                client.socket.sendall(msgpack.packb([0, i, "node.info", []]))
                sent += len(call)
        except (TimeoutError, OSError):
            pass
        t.check("it is not read without end", sent < 150000 * len(call), sent)
        grown = node.rss_bytes() - before
        t.check("what it costs is bounded", grown < (128 if is_sanitized() else 24) << 20, f"{grown >> 20} MiB")
    bystander.check(t, "a client that does not read")
    t.eventually("it is ended", lambda: rejected("stalled") > stalled, 45)
    client.close()


def test_many_connections(t):
    """As many as there are places: who comes then is told, and the node goes on."""
    held = []
    try:
        for _ in range(2100):
            held.append(node.local(timeout=5))
    except OSError:
        pass
    t.eventually("more connections than there are places are refused",
                 lambda: (rejected("connections") or 0) > 0, 5)
    for client in held:
        client.close()

    def works():
        try:
            with node.local() as client:
                return client.call("node.doctor")["ok"]
        except (OSError, EOFError):
            return False
    t.check("afterwards all is well", wait_for(10, works))


def main():
    global node, key
    os.makedirs(FOLDER, exist_ok=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    tap = Checks()
    key = add_key(FOLDER, "view")
    with RpcNode(FOLDER, addrs=("127.0.0.1:0", f"{OUTSIDE}:0")) as node:
        node.key = key
        memory = node.rss_bytes()
        tap.run([test_garbage, test_announced, test_frames, test_half_open, test_slow,
                 test_no_reading, test_many_connections])
        grown = node.rss_bytes() - memory
        tap.check("memory is bounded", grown < (256 if is_sanitized() else 48) << 20,
                  f"{grown >> 20} MiB more")
        t0 = node.descriptors()
        tap.check("no descriptor is left behind", t0 < 80, t0)
        code, took = node.stop()
        tap.check("SIGTERM: exit 0 within 5 s", code == 0 and took < 5, code, took, node.said())
    finish(tap)


main()
