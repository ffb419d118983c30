# SPDX-License-Identifier: Apache-2.0
"""Transmitting through a node, and interfaces that are special or that come and go: loopback, "any",
one that goes down, is deleted and comes back; frames that the kernel glued together; a store that is
full while viewers go on. Driven by tests/system/relay_acceptance.sh."""
import json
import os
import random
import re
import socket
import struct
import subprocess
import sys
import threading
import time
from urllib.parse import quote

from node_process import (IF_B, NOBODY, Checks, End, Node, add_key, command, end_a, in_namespace,
                          number_in, numbered)
from pcapng_blocks import Stream
from recorder import finish, wait_for
from ws_raw import BINARY, Closed, Refused, Wire, request_bytes

FOLDER = os.path.join(sys.argv[1], "inject")
OURS = "filter=" + quote("ether proto 0x88b5")
node = None
keys = {}


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def refused_injections():
    found = {name: value for name, value in node.metrics().items() if "inject" in name}
    return sum(v for n, v in found.items() if "refused" in n or "failed" in n or "rejected" in n or
               "dropped" in n or 'result="' in n and 'result="sent"' not in n), found


def test_inject(t):
    wire = end_a()
    client = node.watch(IF_B, OURS, key=keys["inject"])
    rng = random.Random(11)
    frames = [NOBODY + rng.randbytes(6) + b"\x88\xb5" + rng.randbytes(rng.randint(46, 1500))
              for _ in range(300)]
    box = []
    reader = threading.Thread(target=lambda: box.extend(
        wire.receive(lambda f: f[12:14] == b"\x88\xb5") for _ in frames))
    reader.start()
    for frame in frames:
        client.send(BINARY, frame)
    reader.join()
    t.check("300 injected frames are on the wire byte for byte, in order", box == frames,
            next(((a, b) for a, b in zip(box, frames) if a != b), len(box)))
    half = numbered(9, 1400)
    client.send(BINARY, half[:5], fin=False)
    client.send(0, half[5:900], fin=False)
    client.send(0, half[900:])
    t.equal("a frame in fragments is one frame", half, wire.receive(lambda f: f[12:14] == b"\x88\xb5"))
    sent = node.metric("packetrecorder_injected_packets_total") or \
        sum(v for n, v in node.metrics().items() if "inject" in n and ("sent" in n or "packets_total" in n))
    t.check("what was transmitted is counted", sent >= 301, refused_injections()[1])

    before, _ = refused_injections()
    for data in (b"", b"x", bytes(13), bytes(9000), bytes(70000), NOBODY + bytes(300000)):
        client.send(BINARY, data)
    t.check("empty, short and too long ones do not end the connection", client.is_alive())
    t.eventually("they are counted", lambda: refused_injections()[0] >= before + 5,
                 details=lambda: refused_injections()[1])
    client.send(BINARY, numbered(10))
    t.equal("and the next good one is transmitted", numbered(10),
            wire.receive(lambda f: f[12:14] == b"\x88\xb5"))
    t.equal("none of the bad ones was", None, wire.receive(lambda f: f[12:14] == b"\x88\xb5", 0.2))
    client.finish()
    wire.close()


def test_inject_without_right(t):
    wire = end_a()
    for role in ("view", "capture"):
        client = node.watch(IF_B, OURS, key=keys[role])
        client.send(BINARY, numbered(1))
        code, reason = client.closed_by_peer()
        t.check(f"role {role} that transmits is closed with 1008 and why", code == 1008 and
                "inject" in reason, code, reason)
    t.equal("nothing went out", None, wire.receive(lambda f: f[12:14] == b"\x88\xb5", 0.2))
    with Node(FOLDER, database="inject.db", env={}) as closed:
        key = add_key(FOLDER, "inject", database="inject.db")
        wait_for(3, lambda: closed.get("/interfaces", key=key).status == 200)
        client = closed.watch(IF_B, OURS, key=key)
        client.send(BINARY, numbered(1))
        code, reason = client.closed_by_peer()
        t.check("without --allow-inject the right key cannot either, and hears the flag's name",
                code == 1008 and "--allow-inject" in reason, code, reason)
    with Node(FOLDER, "--allow-inject", database="nokeys.db") as keyless:
        client = keyless.watch(IF_B, OURS)
        client.send(BINARY, numbered(1))
        code, reason = client.closed_by_peer()
        t.check("while no key exists nobody injects, and hears the command that makes one",
                code == 1008 and "keys add" in reason, code, reason)
    t.equal("nothing went out at all", None, wire.receive(lambda f: f[12:14] == b"\x88\xb5", 0.2))
    wire.close()


def test_loopback(t):
    viewer = node.watch("lo", "filter=" + quote("udp port 9"), key=keys["view"])
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.sendto(b"to myself", ("127.0.0.1", 9))
    frame = viewer.binary()
    t.check("loopback: an Ethernet frame with the datagram", frame[:14] == bytes(12) + b"\x08\x00" and
            frame.endswith(b"to myself"), frame.hex())
    viewer.close()
    viewer = node.watch("lo", key=keys["view"])
    for _ in range(20):
        node.get("/interfaces", key=keys["view"])
    s.sendto(b"the end", ("127.0.0.1", 9))
    got = viewer.until(lambda f: f.endswith(b"the end"))
    port = struct.pack(">H", node.address[1])
    t.check("the node's own traffic on loopback is not in it",
            not [f for f in got if f[23:24] == b"\x06" and port in (f[34:36], f[36:38])],
            [f.hex() for f in got[:3]])
    viewer.close()


def test_any(t):
    try:
        viewer = node.watch("any", "format=pcapng&" + OURS, key=keys["view"])
    except Refused as error:
        t.check("the interface 'any' can be watched", False, error)
        return
    stream, wire = Stream(), end_a()
    wire.send(numbered(1), numbered(2))
    while len(stream.packets) < 2:
        stream.feed(viewer.binary())
    t.equal("'any' has the link type LINUX_SLL2", 276, stream.interfaces[0]["link_type"])
    first = stream.packets[0].data
    t.check("an SLL2 header with the protocol and the payload", first[:2] == b"\x88\xb5" and
            first[20:] == numbered(1)[14:], first.hex())
    viewer.close()
    wire.close()


def test_glued_frames(t):
    """TCP at full speed: GRO and TSO make frames far beyond the MTU, which go through whole."""
    viewer = node.watch(IF_B, "filter=" + quote("tcp port 7777"), key=keys["view"])
    listener = socket.create_server(("10.77.0.2", 7777))
    size = 4 << 20

    def send():
        client = socket.create_connection(("10.77.0.2", 7777))
        client.sendall(random.Random(3).randbytes(size))
        client.close()

    thread = threading.Thread(target=lambda: in_namespace(os.environ["NS_A"], send))
    thread.start()
    connection, _ = listener.accept()
    got = b""
    while data := connection.recv(1 << 20):
        got += data
    connection.close()
    thread.join()
    base, pieces, largest = None, {}, 0
    deadline = time.monotonic() + 10
    while sum(map(len, pieces.values())) < size and time.monotonic() < deadline:
        frame = viewer.binary()
        largest = max(largest, len(frame))
        if frame[26:30] != bytes([10, 77, 0, 1]):
            continue
        head = 34 + (frame[46] >> 4) * 4
        sequence = struct.unpack_from(">I", frame, 38)[0]
        if frame[47] & 2:
            base = sequence + 1
        elif len(frame) > head:
            pieces[(sequence - base) & 0xffffffff] = frame[head:]
    text = b"".join(pieces[at] for at in sorted(pieces))
    t.check("frames that the kernel glued together come whole", text == got and len(got) == size,
            len(text), len(got))
    t.check("they are larger than an MTU", largest > 3000, largest)
    viewer.close()
    listener.close()


def test_interface_comes_and_goes(t):
    ip("link", "add", "come0", "type", "veth", "peer", "name", "go0")
    for name in ("come0", "go0"):
        ip("link", "set", name, "up")
    other = End("go0")
    viewer = node.watch("come0", OURS, key=keys["view"])
    other.send(numbered(1))
    t.equal("a new interface can be watched at once", numbered(1), viewer.binary())
    other.close()

    ip("link", "set", "come0", "down")
    ip("link", "set", "come0", "up")
    ip("link", "set", "go0", "down")
    ip("link", "set", "go0", "up")

    def comes_again():
        again = End("go0")
        again.send(numbered(2))
        again.close()
        try:
            return number_in(viewer.binary(0.3)) == 2
        except TimeoutError:
            return False
        except Closed:
            return True
    wait_for(10, lambda: subprocess.run(["ip", "link", "show", "come0"], capture_output=True,
                                        check=False).stdout.find(b"state UP") >= 0)
    t.check("down and up again: packets come on the same connection, or it was closed with a reason",
            wait_for(10, comes_again) and (viewer.close_payload is None or len(viewer.close_payload) > 2),
            viewer.close_payload)
    if viewer.close_payload is not None:
        viewer = node.watch("come0", OURS, key=keys["view"])

    ip("link", "del", "come0")

    def is_up():
        return node.metric("packetrecorder_stream_up", interface="come0")
    t.check("deleted: the stream is said to be down", wait_for(10, lambda: is_up() == 0), is_up())
    t.check("its viewer stays", viewer.is_alive())

    def is_named():
        ill = node.get("/health")
        return ill.status == 503 and any(c["name"] == "captures" and not c["ok"] and
                                         "'come0'" in c["detail"] for c in ill.json()["checks"])
    t.eventually("/health names it", is_named, 5, lambda: node.get("/health"))
    try:
        node.watch("come0", "filter=less+99", key=keys["view"])
        t.check("for new ones it is 404", False)
    except Refused as error:
        t.check("for new ones it is 404", error.answer.problem(404), error.answer)
    ip("link", "add", "come0", "type", "veth", "peer", "name", "go0")
    for name in ("come0", "go0"):
        ip("link", "set", name, "up")
    t.check("back again: the stream is up", wait_for(10, lambda: is_up() == 1), is_up())
    t.equal("and the node is well", 200, node.get("/health").status)
    other = End("go0")
    other.send(numbered(3))
    t.equal("and brings packets on the same connection", numbered(3), viewer.binary())
    viewer.close()
    other.close()
    kinds = events_until(lambda kinds: kinds.count("interface.up") >= 1)
    t.check("events told both", "interface.down" in kinds and "interface.up" in kinds, kinds)
    ip("link", "del", "come0")


def test_recorded_interface_goes(t):
    """A recording outlives an interface that is down, not one that is deleted; and that is told."""
    admin = keys["capture"]

    def make():
        ip("link", "add", "come1", "type", "veth", "peer", "name", "go1")
        for name in ("come1", "go1"):
            ip("link", "set", name, "up")

    def record():
        return node.http("POST", "/api/v1/captures", b'{"interface":"come1","filter":"ether proto 0x88b5"}',
                         key=admin, headers={"Content-Type": "application/json"}).json()["id"]

    def session():
        return node.get(f"/api/v1/sessions/{recorded}", key=admin).json()

    def send(first, n):
        other = End("go1")
        other.send(*(numbered(i) for i in range(first, first + n)))
        other.close()

    def captures_check():
        return next(c for c in node.get("/health").json()["checks"] if c["name"] == "captures")

    def is_ill():
        return node.get("/health").status == 503 and "'come1' ended" in captures_check()["detail"]
    make()
    failed = node.metric("packetrecorder_captures_failed_total")
    recorded = record()
    send(0, 100)
    t.eventually("100 packets are recorded", lambda: session()["packets"] == 100)
    ip("link", "set", "come1", "down")
    t.check("down: it goes on and says nothing wrong", session()["state"] == "running" and
            session()["error"] is None, session())
    ip("link", "set", "come1", "up")
    wait_for(5, lambda: open("/sys/class/net/come1/operstate").read() == "up\n")
    send(100, 100)
    t.eventually("up again: and records on", lambda: session()["packets"] == 200, details=session)
    ip("link", "del", "come1")
    t.eventually("deleted: it ends", lambda: session()["state"] == "complete")
    t.check("with all that came, and the session says why", session()["packets"] == 200 and
            "come1" in session()["error"], session())
    t.equal("it is counted as failed", failed + 1, node.metric("packetrecorder_captures_failed_total"))
    t.check("/health fails and names it", is_ill(), captures_check())
    code, out, err = command("sessions", "--database", node.database)
    t.check("sessions tells it from one that ended well", "cut short" in out, code, out, err)
    ended = [e for e in events() if e.get("session") == recorded and "reason" in e]
    t.check("so does the event", len(ended) == 1 and ended[0]["reason"] == "failed" and
            "come1" in ended[0]["error"], ended)
    make()
    again = record()
    t.check("recorded again: /health is well", not is_ill(), captures_check())
    ip("link", "del", "come1")
    t.eventually("once more", is_ill)
    make()
    t.check("that it is there again does not mend it", is_ill(), captures_check())
    node.http("DELETE", f"/api/v1/captures/{record()}", key=admin)
    t.check("but recording it does", not is_ill() and again != recorded,
            captures_check())
    ip("link", "del", "come1")


def events():
    """The data of all events that the node has kept."""
    wire = Wire(node.address)
    wire.send(request_bytes(node.address, "GET", "/api/v1/events", {
        "Authorization": f"Bearer {keys['view']}", "Last-Event-ID": "0"}))
    text, deadline = b"", time.monotonic() + 1
    while time.monotonic() < deadline and b"capture.ended" not in text:
        wire.fill()
        text += wire.take(len(wire.buffer))
    wire.close()
    return [json.loads(line) for line in re.findall(r"^data: ?(\{.*\})\r?$", text.decode(), re.M)]


def events_until(condition, seconds=5):
    """The kinds of all events that the node has kept, read until condition(kinds)."""
    wire = Wire(node.address)
    wire.send(request_bytes(node.address, "GET", "/api/v1/events", {
        "Authorization": f"Bearer {keys['view']}", "Last-Event-ID": "0"}))
    deadline, text = time.monotonic() + seconds, b""
    while True:
        kinds = re.findall(r"^event: ?(\S+)", text.decode(), re.M)
        if condition(kinds) or time.monotonic() > deadline:
            wire.close()
            return kinds
        wire.fill()
        text += wire.take(len(wire.buffer))


def test_store_full(t):
    """A store on a file system of 6 MiB: recording ends in the open, viewers see everything."""
    small = os.path.join(FOLDER, "small")
    os.makedirs(small, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "none", small], check=True)
    try:
        with Node(small, "--min-free", "1k") as full:
            viewer = full.watch(IF_B, OURS)
            identity = full.http("POST", "/api/v1/captures", {"interfaces": [IF_B]}).json()["id"]
            wire, rng, total, seen = end_a(), random.Random(5), 0, []
            frames = [numbered(i, 60) + rng.randbytes(1300) for i in range(500)]

            def state():
                return full.get(f"/api/v1/sessions/{identity}").json().get("state")
            for _ in range(40):
                wire.send(*frames)
                total += 500
                seen += [f for f in viewer.until(lambda f: f == frames[-1])]
                if state() == "disk_full":
                    break
            t.check("the session says disk_full", wait_for(5, lambda: state() == "disk_full"), state())
            t.equal("the viewer lost nothing", total, len(seen))
            answer = full.get("/health")
            t.check("/health is 503 and says which check fails", answer.status == 503 and
                    [c for c in answer.json()["checks"] if not c["ok"] and c["detail"]], answer)
            wire.send(numbered(1))
            t.check("and sees what comes after", numbered(1) in viewer.until(lambda f: f == numbered(1)))
            wire.close()
    finally:
        subprocess.run(["umount", "-l", small], check=False)


def test_end_while_stuck(t):
    """An interface that takes next to nothing: what waits for it does not hold the end of the node,
    and each frame is counted as sent or as not."""
    ip("link", "add", "slow0", "type", "veth", "peer", "name", "slow1")
    for name in ("slow0", "slow1"):
        ip("link", "set", name, "addrgenmode", "none")
        ip("link", "set", name, "up")
    shaped = subprocess.run("tc qdisc replace dev slow0 root tbf rate 8bit burst 1600 limit 1g".split(),
                            capture_output=True, check=False)
    if shaped.returncode != 0:
        print("ok - an interface that takes nothing # skip no tbf in this kernel", flush=True)
        return
    folder = os.path.join(FOLDER, "stuck")
    os.makedirs(folder, exist_ok=True)
    key = add_key(folder, "inject")
    wanted, sent = 7000, [0, -1]

    def taken():
        """Frames that the queue of the interface has been given, as the kernel counts them."""
        told = subprocess.run(["tc", "-s", "qdisc", "show", "dev", "slow0"], check=True,
                              capture_output=True, text=True).stdout
        return int(re.search(r"(\d+) pkt", told)[1]) + int(re.search(r"(\d+)p requeues", told)[1])

    def stands():
        sent[1], sent[0] = sent[0], taken()
        return sent[0] > 0 and sent[0] == sent[1]

    with Node(folder, "--allow-inject") as stuck:
        stuck.key = key
        client = stuck.watch("slow0", "filter=" + quote("less 1"), key=key)
        for i in range(wanted):
            client.send(BINARY, numbered(i, 1000))
        client.is_alive()  # all of them have been read
        t.check("the interface takes no more", wait_for(3, stands) and sent[0] < wanted, sent)
        code, took = stuck.stop()
        t.check("the node ends in time all the same: exit 0 within 5 s, not as its last resort",
                code == 0 and took < 5 and not stuck.has_said("could be ended in time"), code, took,
                stuck.said())
        left = re.search(r"(\d+) frames for 'slow0' were not transmitted", stuck.said())
        t.check("every frame was sent or told", left and int(left[1]) + taken() == wanted,
                taken(), stuck.said())
    ip("link", "del", "slow0")


def main():
    global node
    os.makedirs(FOLDER, exist_ok=True)
    tap = Checks()
    for role in ("view", "capture", "inject"):
        keys[role] = add_key(FOLDER, role)
    with Node(FOLDER, "--allow-inject") as node:
        node.key = keys["view"]
        tap.run([test_inject, test_inject_without_right, test_loopback, test_any, test_glued_frames,
                 test_interface_comes_and_goes, test_recorded_interface_goes,
                 test_end_while_stuck, test_store_full])
        tap.check("the node is alive at the end", not node.has_ended(), node.said())
        code, took = node.stop()
        tap.check("SIGTERM: exit 0 within 5 s", code == 0 and took < 5, code, took, node.said())
    finish(tap)


main()
