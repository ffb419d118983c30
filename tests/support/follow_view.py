# SPDX-License-Identifier: Apache-2.0
"""view under stress, driven by tests/system/view.sh: what is written and what is told as lost make up
what was sent."""
import json
import os
import re
import signal
import subprocess
import sys
import time

import pcapng_blocks
from broken_wire import BrokenWire
from node_process import BIN, IF_A, IF_B, Checks, Node, command, end_a, number_in, numbered
from recorder import finish, wait_for

FOLDER = sys.argv[1]
OURS = "ether proto 0x88b5"
MARK = 1 << 40  # numbers from here on only find out whether somebody watches
FLOOD_PACKETS = 2_000_000
FLOOD_BLOCK = 32 + 104  # an Enhanced Packet Block of 102 bytes
sender = None


class View:
    """packetrecorder view -w FILE; `output` in place of the file for a pipe."""

    def __init__(self, name, endpoint, *options, filter_=OURS):
        self.file = os.path.join(FOLDER, name)
        self.errors = open(self.file + ".err", "w+b")
        self.process = subprocess.Popen(
            [BIN, "view", endpoint, "-i", IF_B, "-f", filter_, "-w", self.file, "--json", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors)
        self.stream = pcapng_blocks.Stream()
        self.at = 0
        self.summary = None

    def read(self):
        try:
            with open(self.file, "rb") as file:
                file.seek(self.at)
                data = file.read()
        except FileNotFoundError:
            return self.stream
        self.at += len(data)
        self.stream.feed(data)
        return self.stream

    def numbers(self):
        return [number_in(p.data) for p in self.read().packets]

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def watches(self):
        def seen():
            sender.send(numbered(MARK))
            return MARK in self.numbers()
        return wait_for(10, seen)

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        code = self.process.wait(10)
        out = self.process.stdout.read()
        self.summary = json.loads(out) if out else None
        self.read()
        return code


def at(node):
    return f"127.0.0.1:{node.address[1]}"


def told(stream):
    """Sum of the losses in comments, and the last isb_osdrop."""
    lost, osdrop = 0, None
    for _, options in stream.statistics:
        for code, value in options:
            if code == 1:
                found = re.search(rb"packetrecorder:.* lost=(\d+)", value)
                lost += int(found[1]) if found else 0
            elif code == 7:
                osdrop = int.from_bytes(value, "little")
    return lost, osdrop


def send_many(first, count, size=1000):
    for i in range(first, first + count):
        sender.send(numbered(i, size))


def stored(database):
    code, out, _ = command("query", "-d", os.path.join(FOLDER, database), "-s", "all", "--count", "-f", OURS)
    return int(out) if code == 0 else 0


class Tally:
    """Everything that is sent from the time on when a first packet has come through."""

    def __init__(self, numbers):
        self.numbers = numbers
        self.sent = 0
        sender.send(numbered(MARK + 1))  # behind all that is still on its way
        wait_for(10, lambda: MARK + 1 in numbers())

    def send(self, first, count):
        send_many(first, count)
        self.sent += count

    def send_until_seen(self, number):
        def seen():
            self.send(number, 1)
            return number in self.numbers()
        return wait_for(20, seen)

    def came(self):
        numbers = self.numbers()
        return numbers[numbers.index(MARK + 1) + 1:]

    def check(self, t, stream):
        """Nothing is missing that was not told."""
        good = wait_for(10, lambda: len(self.came()) + told(stream)[0] == self.sent)
        t.check("what arrived and what was told as lost is what was sent", good, len(self.came()),
                told(stream), self.sent)
        found = [n for n in self.came() if n < 20000]
        t.check("in order, none twice", found == sorted(set(found)))


def test_stopped(t):
    """A viewer that is stopped falls behind the backlog: the loss is told, to the packet."""
    with Node(FOLDER, "--backlog", "1MiB", "--viewer-queue", "256KiB", database="s.db") as node:
        view = View("stopped.pcapng", at(node))
        t.check("it watches", view.watches(), view.said())
        tally = Tally(view.numbers)
        view.process.send_signal(signal.SIGSTOP)
        tally.send(0, 20000)
        view.process.send_signal(signal.SIGCONT)
        t.check("it goes on", tally.send_until_seen(20000), view.said())
        tally.check(t, view.stream)
        t.equal("a stopped viewer ends with 0", 0, view.end())
        lost, osdrop = told(view.stream)
        t.check("something was lost (else this tests nothing)", lost > 0)
        t.equal("the file's last isb_osdrop says the same", lost, osdrop)
        t.equal("and the summary", lost, view.summary["lost"])
        t.check("and standard error", "lost on the way" in view.said(), view.said())


def test_slow_pipe(t):
    """Who reads a pipe slowly loses packets, is told in the pipe, and the node goes on."""
    with Node(FOLDER, "--backlog", "1MiB", "--viewer-queue", "256KiB", database="p.db") as node:
        p = subprocess.Popen([BIN, "view", at(node), "-i", IF_B, "-f", OURS, "-w", "-"],
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        stream = pcapng_blocks.Stream()
        os.set_blocking(p.stdout.fileno(), False)

        def read(limit):
            try:
                stream.feed(os.read(p.stdout.fileno(), limit))
            except BlockingIOError:
                pass

        def numbers():
            return [number_in(x.data) for x in stream.packets]

        t.check("a pipe has the section at once, before any packet",
                wait_for(10, lambda: (read(1 << 16), stream.interfaces)[1]))
        wait_for(10, lambda: (sender.send(numbered(MARK)), read(1 << 16), MARK in numbers())[2])
        tally = Tally(lambda: (read(1 << 20), numbers())[1])
        tally.send(0, 20000)
        t.check("once it is read again, packets come", tally.send_until_seen(20000))
        tally.check(t, stream)
        t.check("it lost some (else this tests nothing)", told(stream)[0] > 0)
        send_many(30000, 20000)  # nobody reads
        p.send_signal(signal.SIGINT)
        t.check("an interrupt ends it though the pipe is full", wait_for(8, lambda: p.poll() is not None))
        p.kill()
        p.communicate()


def test_forgotten(t):
    """The node was ended and another came: its store fills in what the viewer missed."""
    database = "forgotten.db"
    with Node(FOLDER, database=database) as first:
        answer = first.http("POST", "/api/v1/captures", {"interfaces": [IF_B]})
        t.check("the node records", answer.status in (200, 201, 202), answer.status)
        wire = BrokenWire(first.address)
        view = View("forgotten.pcapng", f"127.0.0.1:{wire.port}")
        t.check("view of a node that records", view.watches(), view.said())
        send_many(0, 6000, 100)
        wait_for(10, lambda: 5999 in view.numbers())
        wire.cut()
        send_many(6000, 3000, 100)

        t.check("what the viewer misses is recorded", wait_for(15, lambda: stored(database) >= 9000))
        first.stop()
    with Node(FOLDER, database=database) as second:
        wire.mend(second.address)
        came = wait_for(30, lambda: (sender.send(numbered(MARK + 1)), MARK + 1 in view.numbers())[1])
        t.check("it goes on at the second node", came, view.said())
        code = view.end()
    numbers = [n for n in view.numbers() if n < MARK]
    t.equal("an interrupt ends it with 0", 0, code)
    t.check("each packet is there once, also those that only the store has", numbers == list(range(9000)),
            len(numbers), next(((a, b) for a, b in zip(numbers, range(9000)) if a != b), None))
    t.equal("one gap is told", 1, view.summary["gaps"])
    t.check("3,000 came from the store", view.summary["from_store"] >= 3000, view.summary)
    comments = [value for _, options in view.stream.statistics for code, value in options if code == 1]
    t.check("the file says that the node began anew", any(b"began anew" in c for c in comments), comments)


def test_killed(t):
    """kill -9: what the viewer had does not come again, whatever the store saved."""
    database = "killed.db"
    first = Node(FOLDER, database=database)
    first.http("POST", "/api/v1/captures", {"interfaces": [IF_B]})
    wire = BrokenWire(first.address)
    view = View("killed.pcapng", f"127.0.0.1:{wire.port}", "--compress")
    t.check("view, compressed", view.watches(), view.said())
    send_many(0, 5000, 100)
    wait_for(10, lambda: 4999 in view.numbers())
    t.check("the store has them too", wait_for(15, lambda: stored(database) >= 5000))
    first.kill()
    with Node(FOLDER, database=database) as second:
        wire.mend(second.address)
        came = wait_for(30, lambda: (sender.send(numbered(7000)), 7000 in view.numbers())[1])
        t.check("it goes on after a kill", came, view.said(), second.process.poll(), second.said())
        view.end()
    numbers = [n for n in view.numbers() if n < 7000]
    t.check("each packet is there once", numbers == list(range(5000)), len(numbers))
    t.check("though the store sent them again", view.summary["duplicates"] > 0, view.summary)


def test_limits(t):
    with Node(FOLDER, database="limits.db") as node:
        view = View("count.pcapng", at(node), "-c", "25")
        code = wait_for(10, lambda: (sender.send(*[numbered(i) for i in range(10)]),
                                     view.process.poll() is not None)[1])
        t.check("-c ends it", code and view.process.poll() == 0, view.said())
        t.equal("with exactly so many", 25, len(view.read().packets))
        began = time.monotonic()
        code, _, _ = command("view", at(node), "-i", IF_B, "-t", "0.5", "-w", os.path.join(FOLDER, "t.pcap"))
        t.check("-t ends it, also while nothing comes", code == 0 and 0.4 < time.monotonic() - began < 3)
        with open(os.path.join(FOLDER, "t.pcap"), "rb") as file:
            t.equal(".pcap is classic, with nanoseconds", b"\x4d\x3c\xb2\xa1", file.read(4))
        code, out, err = command("view", at(node), "-w", "-", "-t", "0.3")
        t.check("the only interface that is up is found", code == 0 and IF_B.encode() in out.encode(), code, err)
        code, _, err = command("view", "127.0.0.1:1", "-i", "eth0")
        t.check("a node that is not there: exit 1 at once", code == 1 and "127.0.0.1:1" in err, code, err)


def test_flood(t):
    """As fast as the generator sends."""
    with Node(FOLDER, database="flood.db") as node:
        view = View("flood.pcapng", at(node), filter_="ether dst 02:00:00:00:00:99")
        t.check("it watches", view.watches(), view.said())
        before = len(view.stream.packets)
        flood = os.path.join(os.environ["PR_BUILD"], "tests/bench/flood")
        began = time.monotonic()
        subprocess.run(["ip", "netns", "exec", os.environ["NS_A"], flood, IF_A, "02:00:00:00:00:99",
                        str(FLOOD_PACKETS), "102"], check=True, stdout=subprocess.DEVNULL)
        took = time.monotonic() - began

        def size():
            return os.path.getsize(view.file)
        wait_for(10, lambda: size() >= FLOOD_PACKETS * FLOOD_BLOCK)
        with open(f"/proc/{view.process.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        cpu = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
        view.process.send_signal(signal.SIGINT)
        summary = json.loads(view.process.communicate(timeout=20)[0])
        got = summary["packets"] - before
        print(f"# flood: {FLOOD_PACKETS / took / 1e6:.2f} Mpps, received {got}, {summary}, view's cpu {cpu:.2f} s")
        accounted = got + summary["lost"] + (summary["kernel"] or 0)
        t.check("a flood: all is accounted for", FLOOD_PACKETS <= accounted <= FLOOD_PACKETS + 100, accounted)
        t.equal("nothing is lost on the way to this viewer", 0, summary["lost"])


def main():
    global sender
    tap = Checks()
    sender = end_a()
    tap.run([test_stopped, test_slow_pipe, test_forgotten, test_killed, test_limits, test_flood])
    finish(tap)


main()
