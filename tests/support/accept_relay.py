# SPDX-License-Identifier: Apache-2.0
"""What viewers of a node get, packet by packet: raw frames, pcapng, zstd, history, resuming, what a
slow one is told, who shares what. Driven by tests/system/relay_acceptance.sh."""
import os
import random
import re
import selectors
import subprocess
import sys
import threading
import time
from urllib.parse import quote

import pcapng_blocks
from node_process import IF_B, NOBODY, Checks, Node, end_a, number_in, numbered
from recorder import finish, wait_for
from ws_raw import TEXT, Refused

FOLDER = sys.argv[1]
OURS = "filter=" + quote("ether proto 0x88b5")
node = None
sender = None


class PcapngViewer:
    """A viewer with ?format=pcapng and the stream it got."""

    def __init__(self, query="", on=None, interface=IF_B, **more):
        self.ws = (on or node).watch(interface, "format=pcapng" + (f"&{query}" if query else ""), **more)
        self.stream = pcapng_blocks.Stream()

    @property
    def packets(self):
        return self.stream.packets

    def numbers(self):
        return [n for n in (number_in(p.data) for p in self.packets) if n is not None]

    def until(self, condition, seconds=10):
        """Reads until condition(self); whether it came true."""
        deadline = time.monotonic() + seconds
        while not condition(self):
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            try:
                self.stream.feed(self.ws.binary(left))
            except TimeoutError:
                return False
        return True

    def until_number(self, last, seconds=10):
        return self.until(lambda v: v.packets and number_in(v.packets[-1].data) == last or
                          last in v.numbers()[-3000:], seconds)


def raw_until(viewer, last, seconds=10):
    """The numbered frames of a raw viewer up to number `last`."""
    return [f for f in viewer.until(lambda f: number_in(f) == last, seconds)
            if number_in(f) is not None]


def test_raw_frames(t):
    rng = random.Random(7)
    frames = [NOBODY + rng.randbytes(6) + b"\x88\xb5" + rng.randbytes(rng.randint(46, 1500))
              for _ in range(2000)]
    viewer = node.watch(IF_B, OURS)
    viewer.send(TEXT, b"hello")
    viewer.send(TEXT, b"")
    sender.send(*frames)
    got = [viewer.binary() for _ in frames]
    t.check("2,000 frames of every size come byte for byte, in order", got == frames,
            next(((a, b) for a, b in zip(got, frames) if a != b), None))
    t.check("text is ignored and the connection stays", viewer.is_alive())
    t.equal("closing is answered", 1000, viewer.finish())


def test_filter(t):
    viewer = node.watch(IF_B, "filter=" + quote("ether proto 0x88b6"))
    everything = node.watch(IF_B)
    wanted = numbered(7).replace(b"\x88\xb5", b"\x88\xb6")
    sender.send(numbered(1), wanted, numbered(2))
    t.equal("a filter lets through what it says", wanted, viewer.binary())
    got = everything.until(lambda f: number_in(f) == 2)
    t.check("without one all comes", numbered(1) in got and wanted in got)
    viewer.close()
    everything.close()


def test_vlan_frames(t):
    viewer = node.watch(IF_B, "filter=" + quote("ether proto 0x88b5 or vlan"))
    tagged = NOBODY + NOBODY + bytes.fromhex("8100e02a0800") + bytes(range(46))
    double = NOBODY + NOBODY + bytes.fromhex("88a800058100000708064500") + bytes(50)
    sender.send(tagged, double, numbered(3))
    got = viewer.until(lambda f: number_in(f) == 3)
    t.check("a VLAN tag, which the kernel takes off, is back where it was", got[0] == tagged, got[0].hex())
    t.check("and two of them", got[1] == double, got[1].hex())
    viewer.close()


def test_pcapng(t):
    before = time.time_ns()
    viewer = PcapngViewer(OURS)
    sender.send(*(numbered(i, 300) for i in range(100)))
    t.check("100 packets in a pcapng stream", viewer.until_number(99))
    t.equal("byte for byte", [numbered(i, 300) for i in range(100)], [p.data for p in viewer.packets])
    order = viewer.stream.order
    t.check("Section Header and Interface Description come first",
            order[:2] == [pcapng_blocks.SHB, pcapng_blocks.IDB] and viewer.stream.sections == 1, order[:9])
    interface = viewer.stream.interfaces[0]
    t.check("the interface is described", interface["name"] == IF_B and interface["link_type"] == 1 and
            interface["tsresol"] == 9 and "ether proto 0x88b5" in (interface["filter"] or ""), interface)
    times = [p.time_ns for p in viewer.packets]
    t.check("time stamps are of now and do not go back", before - 10**9 < times[0] and
            times[-1] < time.time_ns() + 10**9 and times == sorted(times), times[:3])
    t.check("statistics come now and then", viewer.until(lambda v: v.stream.statistics, 15))
    viewer.ws.close()
    cut = PcapngViewer(OURS + "&snaplen=40")
    sender.send(*(numbered(i, 300) for i in range(10)))
    cut.until(lambda v: len(v.packets) >= 10)
    t.check("&snaplen= cuts and keeps the length", [(p.data, p.length) for p in cut.packets] ==
            [(numbered(i, 300)[:40], 300) for i in range(10)] and
            cut.stream.interfaces[0]["snaplen"] == 40, cut.stream.interfaces)
    cut.ws.close()
    cut = node.watch(IF_B, OURS + "&snaplen=40")
    sender.send(numbered(5, 300))
    t.equal("&snaplen= of raw frames", numbered(5, 300)[:40], cut.binary())
    cut.close()


def test_zstd(t):
    viewer = node.watch(IF_B, f"format=pcapng&compress=zstd&{OURS}")
    sender.send(*(numbered(i, 1000) for i in range(500)))
    data, stream, deadline = b"", pcapng_blocks.Stream(), time.monotonic() + 10
    while 499 not in [number_in(p.data) for p in stream.packets] and time.monotonic() < deadline:
        data += viewer.binary()
        plain = subprocess.run(["zstd", "-dc"], input=data, capture_output=True, check=False).stdout
        stream = pcapng_blocks.Stream()
        stream.feed(plain)
    t.equal("zstd gives the same packets", [numbered(i, 1000) for i in range(500)],
            [p.data for p in stream.packets][-500:])
    t.check("in fewer bytes", 0 < len(data) < 250000, len(data))
    viewer.close()


class Flow:
    """Numbered packets without an end, a few thousand a second."""

    def __init__(self, start=0, pause=0.001):
        self.next = start
        self.stopping = False
        self.pause = pause
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        end = end_a()
        while not self.stopping:
            end.send(numbered(self.next, 200), numbered(self.next + 1, 200))
            self.next += 2
            time.sleep(self.pause)

    def stop(self):
        self.stopping = True
        self.thread.join()
        return self.next


def test_history(t):
    answer = node.http("POST", "/api/v1/captures", {"interfaces": [IF_B]})
    identity = answer.json()["id"]
    flow = Flow()
    for wanted in ("2s", "30s"):
        wait_for(5, lambda: node.get(f"/api/v1/sessions/{identity}").json()["packets"] > 1000)
        seen = flow.next
        viewer = PcapngViewer(f"{OURS}&history={wanted}")
        end = flow.next + 2000
        t.check("history and live come", viewer.until(lambda v, e=end: v.numbers()[-1:] >= [e], 15))
        numbers = viewer.numbers()
        t.check(f"&history={wanted} begins in the past", numbers and numbers[0] < seen - 500,
                numbers[:2], seen)
        wrong = [(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1]
        t.check("no packet is missing or doubled where history becomes live", not wrong, wrong[:5])
        viewer.ws.close()
    t.check("&history=30s has all from the start of the recording", numbers[0] < 500, numbers[0])
    flow.stop()
    node.http("DELETE", f"/api/v1/captures/{identity}")
    viewer = PcapngViewer("history=30s&filter=" + quote("ether proto 0x88b6"))
    sender.send(numbered(1).replace(b"\x88\xb5", b"\x88\xb6"))
    viewer.until(lambda v: v.packets)
    t.check("history has the filter of the request",
            {p.data[12:14] for p in viewer.packets} == {b"\x88\xb6"})
    viewer.ws.close()


def test_resume(t):
    viewer = PcapngViewer(OURS)
    stream, position = (viewer.ws.headers.get(f"packetrecorder-{name}", "")
                        for name in ("stream", "position"))
    t.check("the upgrade names the stream and the position", re.fullmatch(r"[\w.-]{1,63}", stream) and
            position.isdigit(), viewer.ws.headers)
    sender.send(*(numbered(i) for i in range(100)))
    viewer.until_number(99)
    viewer.ws.wire.abort()
    sender.send(*(numbered(i) for i in range(100, 200)))
    again = PcapngViewer(f"{OURS}&resume={stream}:{int(position) + 100}")
    sender.send(*(numbered(i) for i in range(200, 300)))
    t.check("after a break it goes on", again.until_number(299))
    t.equal("where it was: nothing missing, nothing twice", list(range(100, 300)), again.numbers())
    t.equal("in the same stream", stream, again.ws.headers.get("packetrecorder-stream"))
    again.ws.close()
    fresh = PcapngViewer(f"{OURS}&resume=0123456789abcdef:5")
    sender.send(numbered(1))
    t.check("an unknown stream begins anew", fresh.until_number(1) and
            fresh.ws.headers.get("packetrecorder-stream") != "0123456789abcdef")
    beyond = PcapngViewer(f"{OURS}&resume={fresh.ws.headers['packetrecorder-stream']}:1000000")
    sender.send(*(numbered(i) for i in range(2, 9)))
    t.check("a position that the stream has not reached begins now", beyond.until_number(8) and
            beyond.numbers() == list(range(2, 9)) and
            int(beyond.ws.headers["packetrecorder-position"]) < 1000000, beyond.numbers())
    beyond.ws.close()
    fresh.ws.close()
    try:
        PcapngViewer(OURS + "&resume=x").ws.close()
        t.check("a malformed resume is refused", False)
    except Refused as refusal:
        t.check("a malformed resume is 400 and says the form", refusal.answer.status == 400 and
                b"STREAM:POSITION" in refusal.answer.body, refusal.answer)


def test_sharing(t):
    def sockets():
        with open("/proc/net/packet", encoding="ascii") as file:
            return len(file.readlines())

    filters = "filter=" + quote("ether proto 0x88b5 and less 999")
    before = sockets()
    viewers = [node.watch(IF_B, filters) for _ in range(3)]
    sender.send(numbered(1))
    t.equal("three viewers get the packet", [numbered(1)] * 3, [v.binary() for v in viewers])
    one = sockets()
    viewers += [node.watch(IF_B, filters) for _ in range(7)]
    t.equal("ten viewers of the same interface and filter share one capture", one, sockets())
    t.check("which is one socket", wait_for(5, lambda: sockets() - before <= 1), before, sockets())
    for viewer in viewers:
        viewer.close()


def test_max_captures(t):
    viewers, refusal = [], None
    with Node(os.path.join(FOLDER), "--max-captures", "3", database="few.db") as few:
        for i in range(4):
            try:
                viewers.append(few.watch(IF_B, "filter=" + quote(f"less {500 + i}")))
            except Refused as error:
                refusal = error.answer
        t.check("a fourth distinct capture of three: 503", len(viewers) == 3 and
                refusal is not None and refusal.problem(503), refusal)
        same = few.watch(IF_B, "filter=" + quote("less 500"))
        t.check("one more viewer of a running one is no new capture", same.is_alive())
        answer = few.http("POST", "/api/v1/captures", {"interfaces": [IF_B]})
        t.check("nor may anything be recorded then: 503 with the way out", answer.problem(503) and
                "--max-captures" in answer.detail() and "DELETE" in answer.detail(), answer)
        viewers[2].close()
        recorded = []

        def records():
            made = few.http("POST", "/api/v1/captures", {"interfaces": [IF_B]})
            recorded.extend([made.json()["id"]] if made.status == 201 else [])
            return recorded
        t.check("a recording takes the place of a stream that nobody watches any more",
                wait_for(5, records))
        try:
            few.watch(IF_B, "filter=" + quote("less 600")).close()
            t.check("a recording counts for viewers too", False)
        except Refused as error:
            t.check("a recording counts for viewers too: 503 with the way out",
                    error.answer.problem(503) and "1 of them into the store" in error.answer.detail(),
                    error.answer)
        few.http("DELETE", f"/api/v1/captures/{recorded[0]}")
        t.check("and when it has ended there is room", few.watch(IF_B, "filter=" + quote("less 600")).is_alive())


def test_slow_viewer(t):
    with Node(FOLDER, "--backlog", "2MiB", "--viewer-queue", "64KiB", database="slow.db") as small:
        slow = PcapngViewer(OURS, on=small, small_window=True)
        raw = small.watch(IF_B, OURS, small_window=True)
        fast = PcapngViewer(OURS, on=small)
        total = 30000
        for start in range(0, total, 500):
            sender.send(*(numbered(i, 1000) for i in range(start, start + 500)))
            fast.until_number(start + 499)
        t.equal("the fast viewer beside two stopped ones lost nothing", list(range(total)), fast.numbers())
        sender.send(numbered(total, 1000))
        t.check("the slow one goes on", slow.until_number(total, 20))
        told = slow.stream.lost()
        lost = sum(n for n, _ in told)
        t.check("it lost packets", lost > 10000, told)
        t.equal("and was told exactly how many", total + 1, len(slow.packets) + lost)
        numbers = slow.numbers()
        t.check("what it has is in order and there once", numbers == sorted(set(numbers)))
        gaps = sum(b - a - 1 for a, b in zip([-1] + numbers, numbers))
        t.equal("the gaps are what was told", lost, gaps)
        got = len(raw_until(raw, total, 20))
        counted = [(name, value) for name, value in small.metrics().items()
                   if "viewer" in name and "lost" in name or "dropped" in name and "viewer" in name]
        t.check("a raw viewer's loss is in the metrics",
                any(value == total + 1 - got + lost for _, value in counted) or
                any(value == total + 1 - got for _, value in counted), counted, got, lost)


def test_hundred_viewers(t):
    """100 viewers of one interface, one of them stopped: the 99 lose nothing."""
    with Node(FOLDER, database="hundred.db") as many:
        memory = many.rss_bytes()
        viewers = [many.watch(IF_B, OURS) for _ in range(100)]
        stopped = viewers.pop()
        total, counts, order = 20000, [0] * 99, [True] * 99
        selector = selectors.DefaultSelector()
        for i, viewer in enumerate(viewers):
            viewer.wire.socket.setblocking(False)
            selector.register(viewer.wire.socket, selectors.EVENT_READ, i)
        flow = threading.Thread(target=lambda: [
            (sender.send(*(numbered(i, 100) for i in range(start, start + 20))), time.sleep(0.002))
            for start in range(0, total, 20)])
        flow.start()
        deadline = time.monotonic() + 30
        while min(counts) < total and time.monotonic() < deadline:
            for key, _ in selector.select(0.5):
                i = key.data
                wire = viewers[i].wire
                try:
                    wire.fill()
                except BlockingIOError:
                    continue
                whole = len(wire.buffer) // 102 * 102  # a header of two bytes and a frame of 100
                data = wire.take(whole)
                for at in range(0, whole, 102):
                    order[i] = order[i] and number_in(data[at + 2:at + 102]) == counts[i]
                    counts[i] += 1
        flow.join()
        t.check("99 viewers beside a stopped one get all of 20,000 packets in order",
                min(counts) == total and all(order), sorted(counts)[:5], order.count(False))
        used = many.rss_bytes() - memory
        t.check("with at most 64 MiB and 1 MiB a viewer", used < (64 + 100) << 20, f"{used >> 20} MiB")
        stopped.close()


def main():
    global node, sender
    tap = Checks()
    sender = end_a()
    with Node(FOLDER) as node:
        tap.run([test_raw_frames, test_filter, test_vlan_frames, test_pcapng, test_zstd, test_resume,
                 test_sharing, test_history, test_max_captures, test_slow_viewer,
                 test_hundred_viewers])
        tap.check("the node is alive at the end", not node.has_ended(), node.said())
        code, took = node.stop()
        tap.check("SIGTERM: exit 0 within 5 s", code == 0 and took < 5, code, took, node.said())
    finish(tap)


main()
