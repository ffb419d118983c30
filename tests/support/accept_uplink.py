# SPDX-License-Identifier: Apache-2.0
"""Sniffers behind NAT: sniff in namespace A dials a node in B; its interface appears there and is
watched and recorded like a local one; breaks are bridged, losses counted; and what a hostile sniffer
sends. Driven by tests/system/uplink_acceptance.sh."""
import glob
import json
import os
import random
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.parse import quote

import pcapng_blocks
from broken_wire import BrokenWire
from node_process import (IF_A, IF_B, NODE, NOBODY, Checks, Node, add_key, command, end_a,
                          number_in, numbered)
from recorder import finish, wait_for
from spool_files import fill_spool
from ws_raw import BINARY, TEXT, Closed, Refused, WebSocket

FOLDER = sys.argv[1]
OURS = "filter=" + quote("ether proto 0x88b5")
node = None
keys = {}


class Sniff:
    """packetrecorderd sniff; in namespace B unless told otherwise, dialling through a wire."""

    def __init__(self, server, name, *options, interface=IF_B, key="ingest", namespace=None):
        self.errors = open(os.path.join(FOLDER, f"sniff-{name}.err"), "w+b")
        path = os.path.join(FOLDER, f"{key}.key")
        prefix = ["nsenter", f"--net=/run/netns/{namespace}"] if namespace else []
        self.process = subprocess.Popen(
            [*prefix, NODE, "sniff", "--server", server, "--api-key-file", path, "-i", interface,
             "--name", name, "-f", "ether proto 0x88b5", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self.errors)

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    def stop(self, timeout=10):
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None


def server(port=None):
    return f"ws://127.0.0.1:{port or node.address[1]}/ingest"


def names():
    return node.get("/interfaces").json()


def appears(name, interface=IF_B):
    return wait_for(10, lambda: f"{name}:{interface}" in names())


def watch(name, query="format=pcapng&" + OURS, interface=IF_B):
    return node.watch(f"{name}:{interface}", query)


def numbers_until(viewer, last, seconds=15, stream=None):
    """Numbers of a pcapng viewer up to `last`, or what came in the time, and the stream."""
    stream, deadline = stream or pcapng_blocks.Stream(), time.monotonic() + seconds
    while not stream.packets or number_in(stream.packets[-1].data) != last:
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            stream.feed(viewer.binary(left))
        except TimeoutError:
            break
    return [number_in(p.data) for p in stream.packets], stream


def test_sniff(t):
    """In another namespace, over the very interface that it captures."""
    with Node(os.path.join(FOLDER, "far"), "--insecure", http=("10.77.0.2:0",)) as far:
        far.key = keys["view"]
        at = f"ws://10.77.0.2:{far.address[1]}/ingest"
        path = os.path.join(FOLDER, "ingest.key")
        p = subprocess.Popen(["nsenter", f"--net=/run/netns/{os.environ['NS_A']}", NODE, "sniff", "--server",
                              at, "--api-key-file", path, "-i", IF_A, "--name", "branch", "--insecure"],
                             stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        name = f"branch:{IF_A}"
        t.check("the sniffer's interface appears as NAME:IFACE",
                wait_for(10, lambda: name in far.get("/interfaces").json()), far.get("/interfaces").json())
        viewer = far.watch(name)
        sender, rng = end_a(), random.Random(3)
        frames = [NOBODY + rng.randbytes(6) + b"\x88\xb5" + rng.randbytes(rng.randint(46, 1500))
                  for _ in range(1000)]
        sender.send(*frames)
        got = viewer.until(lambda f: f == frames[-1])
        t.check("what it captures comes byte for byte, in order",
                [f for f in got if f[12:14] == b"\x88\xb5"] == frames, len(got))
        port = far.address[1].to_bytes(2, "big")
        own = [f for f in got if f[23:24] == b"\x06" and port in (f[34:36], f[36:38])]
        t.check("its own uplink does not feed itself", not own, len(own))
        viewer.close()
        p.send_signal(signal.SIGTERM)
        t.equal("SIGTERM ends it with 0", 0, p.wait(10))
        p.stderr.close()

        def there():
            return [i for i in far.get("/api/v1/interfaces").json() if i["name"] == name]
        t.check("its interface is said to be away", wait_for(
            5, lambda: there() and "up" not in there()[0].get("flags", []) and
            there()[0].get("connected") is not True), there())


def test_break(t):
    wire, sender = BrokenWire(node.address), end_a()
    sniff = Sniff(server(wire.port), "broken")
    t.check("an uplink through a wire that will break", appears("broken"), sniff.said())
    viewer = watch("broken")
    total = 0
    for _ in range(3):
        sender.send(*(numbered(total + i, 200) for i in range(500)))
        total += 500
        wire.cut()
        sender.send(*(numbered(total + i, 200) for i in range(500)))
        total += 500
        wire.mend()
    sender.send(*(numbered(total + i, 200) for i in range(500)))
    total += 500
    try:
        numbers, stream = numbers_until(viewer, total - 1, 30)
        t.check("after breaks the backlog comes in order, nothing missing, nothing twice",
                numbers == list(range(total)), len(numbers),
                next(((a, b) for a, b in zip(numbers, range(total)) if a != b), None), sniff.said())
        times = [p.time_ns for p in stream.packets]
        t.check("with the times of the sniffer", times == sorted(times))
    except Closed as error:
        t.check("a viewer of an uplink stays while the connection is down", False, error)
    viewer.close()
    t.equal("SIGTERM: exit 0", 0, sniff.stop())


def test_spool(t):
    """The node is away for 10 MB: 1 MiB of memory, then the disk, and then it is counted."""
    wire, sender = BrokenWire(node.address), end_a()
    spool = os.path.join(FOLDER, "spool")
    sniff = Sniff(server(wire.port), "spooled", "--memory", "1MiB", "--spool-dir", spool, "--spool-size",
                  "3MiB", "--no-compress")
    t.check("a sniffer with a spool", appears("spooled"), sniff.said())
    viewer = watch("spooled")
    sender.send(numbered(0))
    _, stream = numbers_until(viewer, 0)
    wire.cut()
    total = 8000
    for start in range(1, total, 100):
        sender.send(*(numbered(i, 1200) for i in range(start, min(start + 100, total))))

    def spooled():
        try:
            return sum(os.path.getsize(os.path.join(folder, name))
                       for folder, _, names in os.walk(spool) for name in names)
        except FileNotFoundError:  # dropped between the two looks
            return 0
    wait_for(5, lambda: spooled() > 2 << 20)
    size = wait_for(5, spooled)
    t.check("the spool fills and keeps to its limit", 2 << 20 < size <= 4 << 20, size)
    wire.mend()
    sender.send(numbered(total))
    numbers, stream = numbers_until(viewer, total, 30, stream)
    t.check("the backlog comes in order", numbers == sorted(set(numbers)) and numbers[-1:] == [total],
            numbers[-3:], sniff.said())
    missing = total + 1 - len(numbers)
    t.check("some had to be dropped", missing > 2000, missing)
    counted = [v for n, v in node.metrics().items() if "uplink" in n and
               ("lost" in n or "dropped" in n) and "spooled" in n]
    t.check("and are counted exactly", any(v == missing for v in counted) or
            sum(counted) == missing, missing, counted, {n: v for n, v in node.metrics().items() if "uplink" in n})
    viewer.close()
    t.equal("SIGTERM: exit 0", 0, sniff.stop())


def in_spool(spool):
    """The numbers of the packets that lie there."""
    found = []
    for path in sorted(glob.glob(os.path.join(spool, "*", "*", "*.pcapng"))):
        stream = pcapng_blocks.Stream()
        with open(path, "rb") as file:
            stream.feed(file.read())
        found += [number_in(p.data) for p in stream.packets]
    return found


def test_killed(t):
    """kill -9 with a spool on disk, and again while it is sent: what was spooled comes, once."""
    wire, sender = BrokenWire(node.address), end_a()
    spool = os.path.join(FOLDER, "killed")

    def sniffer():
        return Sniff(server(wire.port), "killed", "--memory", "1MiB", "--spool-dir", spool)
    sniff = sniffer()
    t.check("a sniffer that will be killed", appears("killed"), sniff.said())
    viewer = watch("killed")
    wire.cut()
    total = 6000
    for start in range(0, total, 100):
        sender.send(*(numbered(i, 1200) for i in range(start, start + 100)))
    t.eventually("most of it is spooled", lambda: len(in_spool(spool)) > total * 3 / 4)
    sniff.process.kill()
    sniff.process.wait()
    spooled = in_spool(spool)
    wire.mend()
    sniff = sniffer()
    stream = pcapng_blocks.Stream()
    while len(stream.packets) < len(spooled) / 4:
        stream.feed(viewer.binary(10))
    sniff.process.kill()
    sniff.process.wait()
    sniff = sniffer()
    numbers, stream = numbers_until(viewer, spooled[-1], 20, stream)
    t.check("nothing that was spooled is lost, nothing comes twice", numbers == spooled, len(numbers),
            len(spooled), len(set(numbers)), sniff.said())
    viewer.close()
    t.eventually("and the spool is empty", lambda: not in_spool(spool))
    t.equal("SIGTERM: exit 0", 0, sniff.stop())


def test_one_name(t):
    """Two sniffers of one name: the first stays, the second is told who has it, and takes over."""
    first = Sniff(server(), "twin")
    t.check("the first of a name", appears("twin"), first.said())
    second = Sniff(server(), "twin")
    t.check("the second is told that the name is taken, and from where", wait_for(
        10, lambda: re.search(r"409.*127\.0\.0\.1", second.said())), second.said())
    viewer, sender = watch("twin"), end_a()
    sender.send(*(numbered(i) for i in range(200)))
    t.equal("meanwhile the first one's packets come, once", list(range(200)), numbers_until(viewer, 199)[0])
    t.equal("the first ends with 0", 0, first.stop())
    t.eventually("then the second is let in", lambda: "connected" in second.said(), 20, second.said)
    viewer.close()
    t.equal("and ends with 0", 0, second.stop())


def test_wrong_server(t):
    """Somebody else answers where a node should: it says what it met and tries again."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        other.settimeout(10)
        sniff = Sniff(server(port), "astray")
        for answer, words in ((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200"),
                              (b"SSH-2.0-OpenSSH_9.2\r\n", "no valid HTTP"),
                              (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade"
                               b"\r\nSec-WebSocket-Accept: AAAA\r\n\r\n", "WebSocket")):
            peer, _ = other.accept()
            peer.recv(4096)
            before = len(sniff.said())
            peer.sendall(answer)
            peer.close()
            t.check(f"{answer[:14]!r} is no node: it says so", wait_for(
                5, lambda before=before, words=words: words in sniff.said()[before:]), sniff.said())
        t.equal("and SIGTERM ends it with 0", 0, sniff.stop())


def test_backlog(t):
    """Of an earlier run, on disk; little memory does not make it slow, and one connection does."""
    spool = os.path.join(FOLDER, "backlog")
    os.mkdir(spool, 0o700)
    packets, place = fill_spool(spool, IF_B, 32 << 20)
    began = time.monotonic()
    sniff = Sniff(server(), "backlog", "--memory", "1MiB", "--spool-dir", spool)
    t.check("a backlog of 32 MiB is taken within 8 s and forgotten",
            wait_for(20, lambda: not os.path.exists(place)) and time.monotonic() - began < 8,
            time.monotonic() - began, sniff.said())

    def uplink():
        return next(i for i in node.get("/api/v1/interfaces").json() if i["name"] == f"backlog:{IF_B}")
    t.equal("all of it came", packets, uplink()["packets"])
    t.check("over one connection", "broke" not in sniff.said(), sniff.said())
    t.equal("SIGTERM: exit 0", 0, sniff.stop())


def test_interrupted_connect(t):
    """Somebody takes the connection and says nothing: an end does not wait for that."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        sniff = Sniff(server(silent.getsockname()[1]), "unheard")
        silent.settimeout(10)
        peer, _ = silent.accept()
        began = time.monotonic()
        code = sniff.stop()
        took = time.monotonic() - began
        t.check("SIGTERM during a connect ends sniff at once, with 0", code == 0 and took < 1, code, took,
                sniff.said())
        peer.close()


def test_record(t):
    sniff, sender = Sniff(server(), "kept"), end_a()
    appears("kept")

    def sessions():
        return [s for s in node.get("/api/v1/sessions").json()
                if any(i["name"] == f"kept:{IF_B}" for i in s["interfaces"])]
    sender.send(*(numbered(i) for i in range(300)))
    t.check("with --ingest-record it is a session", wait_for(10, lambda: sessions() and
                                                           sessions()[0]["packets"] >= 300), sessions())
    sniff.stop()
    t.check("which waits for the sniffer, that may come back", sessions()[0]["state"] == "running" and
            sessions()[0]["packets"] == 300, sessions())


def test_cut_off(t):
    """A sniffer that ends says so; one that is killed cannot, and the node tells."""
    def known(name):
        return node.metric(f"packetrecorder_uplink_{name}", interface=f"cut:{IF_B}")
    sniff = Sniff(server(), "cut")
    t.check("a sniffer is there", appears("cut") and wait_for(10, lambda: known("up") == 1))
    t.equal("it ends with 0", 0, sniff.stop())
    sniff = Sniff(server(), "cut")
    t.check("after an end in peace nothing is missing", wait_for(
        10, lambda: known("connects_total") == 2 and known("up") == 1) and known("cut_off_total") == 0,
            known("cut_off_total"))
    end_a().send(*(numbered(i) for i in range(100)))
    wait_for(10, lambda: known("packets_total") == 100)
    sniff.process.kill()
    sniff.process.wait()
    sniff = Sniff(server(), "cut")
    t.check("after kill -9 it is told that nobody knows how many are missing",
            wait_for(10, lambda: known("cut_off_total") == 1) and
            wait_for(5, lambda: node.has_said("ended without a word")), known("cut_off_total"), node.said())
    sniff.stop()


def test_many(t):
    sender = end_a()
    sniffs = [Sniff(server(), f"many{i}") for i in range(10)]
    t.check("ten sniffers at once", all(appears(f"many{i}") for i in range(10)), names())
    viewers = [watch(f"many{i}") for i in range(10)]
    sender.send(*(numbered(i) for i in range(500)))
    found = [numbers_until(v, 499)[0] for v in viewers]
    t.check("a viewer of each gets all", found == [list(range(500))] * 10, [len(f) for f in found])
    for viewer in viewers:
        viewer.close()
    t.equal("all end with 0", [0] * 10, [s.stop() for s in sniffs])


def test_refused(t):
    with open(os.path.join(FOLDER, "view.key"), "w", encoding="ascii") as file:
        os.chmod(file.fileno(), 0o600)
        file.write(keys["view"])
    sniff = Sniff(server(), "refused", key="view")
    t.check("a key without the role ingest: it says why", wait_for(
        10, lambda: re.search("ingest", sniff.said())), sniff.said())
    t.check("and its interface does not appear", f"refused:{IF_B}" not in names())
    sniff.process.kill()
    sniff.process.wait()
    code, _, err = command("sniff", "--server", server(), "--api-key-file", "/nosuch", "-i", IF_B)
    t.check("a key file that is not there is named", code in (1, 2) and "/nosuch" in err, code, err)
    code, _, err = command("sniff", "--server", "ws://10.77.0.1:9/ingest", "-i", IF_B, "--api-key-file",
                           os.path.join(FOLDER, "ingest.key"))
    t.check("a key over plain ws:// to another host is refused without --insecure",
            code in (1, 2) and "--insecure" in err, code, err)


def test_hostile(t):
    """Whatever comes on /ingest, the node says no and lives."""
    rng = random.Random(9)
    blocks = b"".join(bytes.fromhex(h) for h in (
        "0a0d0d0a1c0000004d3c2b1a01000000ffffffffffffffff1c000000", "01000000140000000100000000000400"
        "14000000"))
    attempts = [(TEXT, b"{}"), (BINARY, b""), (BINARY, rng.randbytes(5000)), (BINARY, blocks),
                (BINARY, blocks + b"\x06\0\0\0\xff\xff\xff\x7f"), (BINARY, b"\x28\xb5\x2f\xfd" + bytes(60)),
                (BINARY, subprocess.run(["zstd", "-19", "-c"], input=bytes(100 << 20), check=True,
                                        capture_output=True).stdout)]
    before = node.rss_bytes()
    for opcode, data in attempts:
        try:
            ws = WebSocket(node.address, "/ingest", key=keys["ingest"])
            for _ in range(3):
                ws.send(opcode, data)
            code, reason = ws.closed_by_peer(10)
            t.check(f"{data[:8].hex() or 'nothing'}…: closed with a reason", code >= 1002 and reason,
                    code, reason)
        except (Closed, ConnectionError) as error:
            t.check(f"{data[:8].hex() or 'nothing'}…: closed", True, error)
        except Refused as error:
            t.check(f"{data[:8].hex() or 'nothing'}…: refused", error.answer.problem(400), error.answer)
        except TimeoutError:
            t.check(f"{data[:8].hex() or 'nothing'}…: closed with a reason", False, "nothing in 10 s")
    t.check("no bomb went off", node.rss_bytes() - before < 64 << 20, node.rss_bytes() - before)
    t.check("the node is alive", node.get("/").status == 200)


def main():
    global node
    tap = Checks()
    for folder in (FOLDER, os.path.join(FOLDER, "far")):
        os.makedirs(folder, exist_ok=True)
    for role in ("view", "ingest"):
        keys[role] = add_key(FOLDER, role)
    subprocess.run(["cp", "-a", os.path.join(FOLDER, "packets.db.d"), os.path.join(FOLDER, "far")], check=True)
    with open(os.path.join(FOLDER, "ingest.key"), "w", encoding="ascii") as file:
        os.chmod(file.fileno(), 0o600)
        file.write(keys["ingest"] + "\n")
    with Node(FOLDER, "--ingest-record") as node:
        node.key = keys["view"]
        tap.run([test_sniff, test_break, test_spool, test_killed, test_one_name, test_wrong_server, test_backlog,
                 test_interrupted_connect, test_record, test_cut_off, test_many, test_refused, test_hostile])
        tap.check("the node is alive at the end", not node.has_ended(), node.said())
        code, took = node.stop()
        tap.check("SIGTERM: exit 0 within 5 s", code == 0 and took < 5, code, took, node.said())
        listed = json.loads(command("sessions", "--json", "--database", node.database)[1])
        tap.check("then every recording of an uplink is complete",
                  listed and {x["state"] for x in listed} == {"complete"}, listed)
    finish(tap)


main()
