# SPDX-License-Identifier: Apache-2.0
"""Replays by a real node, asked for over its UNIX socket: what arrives at the other end of the wire,
stopping, outliving the client, and bounds. Driven by tests/system/rpc_sessions.sh."""
import os
import sys
import threading
import time

from node_process import IF_B, Checks, Node, end_a, number_in, numbered
from recorder import finish, wait_for
from rpc_client import Client, Failed

FOLDER = os.path.join(sys.argv[1], "replays")
SOCKET = os.path.join(FOLDER, "rpc.sock")
PACKETS = 400
GAP = 0.005
node = None


def client():
    return Client(SOCKET, timeout=30)


def refused(c, method, **args):
    try:
        return None, c.call(method, **args)
    except Failed as error:
        return error.code, error.message


class Arrived:
    """The numbers of the frames that come to A, with their times, until stop()."""

    def __init__(self):
        self.wire = end_a()
        self.numbers, self.times, self.over = [], [], False
        self.thread = threading.Thread(target=self.read)
        self.thread.start()

    def read(self):
        self.wire.socket.settimeout(0.1)
        while not self.over:
            try:
                frame = self.wire.socket.recv(1 << 16)
            except TimeoutError:
                continue
            number = number_in(frame)
            if number is not None:
                self.numbers.append(number)
                self.times.append(time.monotonic())

    def stop(self):
        self.over = True
        self.thread.join()
        self.wire.close()
        return self.numbers


def record():
    with client() as c:
        session = c.call("capture.start", interface=IF_B, name="some",
                         filter="ether proto 0x88b5")["id"]
        wire = end_a()
        for i in range(PACKETS):
            wire.send(numbered(i))
            time.sleep(GAP)
        wire.close()
        wait_for(10, lambda: c.call("capture.stats", session_id=session)["packets"] == PACKETS)
        return c.call("capture.stop", session_id=session)["id"]


def ended(c, replay):
    return wait_for(20, lambda: c.call("replay.stats", replay_id=replay)["state"] == "ended")


def test_replay(t):
    with client() as c:
        seen = Arrived()
        events = c.call("events.subscribe", types=["replay.started", "replay.ended"])
        started = c.call("replay.start", session_id="some", interface=IF_B)
        t.equal("a replay begins", ("running", IF_B), (started["state"], started["interface"]))
        t.check("and is about its session", started["session_id"] == SESSION and events is not None)
        t.check("it comes to its end", ended(c, started["replay_id"]))
        numbers = seen.stop()
        t.equal("every packet is on the wire, in order", list(range(PACKETS)), numbers)
        took = seen.times[-1] - seen.times[0]
        t.check("at the pace that they were recorded with", took > PACKETS * GAP * 0.95, took)
        done = c.call("replay.stats", replay_id=started["replay_id"])
        t.equal("all are counted", (PACKETS, 0, 0, False, None),
                (done["packets"], done["errors"], done["missing"], done["stopped"],
                 done["error"]))
        event = c.wait_event("replay.ended")
        t.equal("it is told as an event", (started["replay_id"], PACKETS),
                (event["replay_id"], event["packets"]))
        t.equal("stopping one that has ended says what came of it", done,
                c.call("replay.stop", replay_id=started["replay_id"][:20]))
        t.equal("it is in the list", [done], c.call("replay.list"))
        t.equal("and in the metrics", PACKETS, node.metric("packetrecorder_replayed_packets_total"))


def test_fast_filtered_looped(t):
    with client() as c:
        seen = Arrived()
        # The number is behind 14 bytes of header and 8 of the mark, little-endian.
        replay = c.call("replay.start", session_id="last", speed=0, loop=3,
                        filter="ether[22] < 10 and ether[23] = 0")["replay_id"]
        ended(c, replay)
        numbers = seen.stop()
        t.equal("filtered, three times in a row, where it was recorded", list(range(10)) * 3,
                numbers)
        seen = Arrived()
        replay = c.call("replay.start", session_id="some", interface=IF_B, speed=0, count=25)
        ended(c, replay["replay_id"])
        t.equal("a count ends it", list(range(25)), seen.stop())
        empty = c.call("replay.start", session_id="some", interface=IF_B, speed=0, loop=0,
                       filter="len < 10")
        t.check("one that can send nothing does not go on for ever",
                ended(c, empty["replay_id"]))


def test_outlives_its_client(t):
    with client() as c:
        replay = c.call("replay.start", session_id="some", interface=IF_B, speed=0.5,
                        loop=0)["replay_id"]
    seen = Arrived()
    t.check("the packets go on when the client is gone",
            wait_for(5, lambda: len(seen.numbers) > 20))
    with client() as c:
        before = c.call("replay.stats", replay_id=replay)["packets"]
        t.check("progress is seen", wait_for(
            5, lambda: c.call("replay.stats", replay_id=replay)["packets"] > before))
        began = time.monotonic()
        done = c.call("replay.stop", replay_id=replay)
        t.check("it is stopped at once", time.monotonic() - began < 2 and
                (done["state"], done["stopped"]) == ("ended", True), done)
        n = len(seen.numbers)
        time.sleep(0.3)
        t.check("and nothing comes any more", len(seen.stop()) <= n + 1)


def test_refused(t):
    with client() as c:
        for name, wanted, args in (
                ("no such session", "not_found", {"session_id": "nothing-like-it"}),
                ("no such interface", "not_found", {"interface": "no-such-if"}),
                ("loopback", "unsupported", {"interface": "lo"}),
                ("a wrong filter", "filter", {"filter": "udp udp"}),
                ("a negative speed", "usage", {"speed": -1}),
                ("a speed that is never done", "usage", {"speed": 1e-9}),
                ("a speed in words", "usage", {"speed": "fast"})):
            t.equal(f"refused: {name}", wanted,
                    refused(c, "replay.start", **{"session_id": "some", **args})[0])
        for bad in ("", "0", "x" * 36, "%s%n", SESSION):
            t.check(f"no replay '{bad[:8]}'", refused(c, "replay.stop", replay_id=bad)[0] in
                    ("not_found", "usage"))
        slow = [c.begin("replay.start", {"session_id": "some", "interface": IF_B, "speed": 0.01})
                for _ in range(8)]
        answers = []
        for call in slow:
            try:
                answers.append(c.end(call)["replay_id"])
            except Failed as error:
                answers.append(error.code)
        t.equal("four at a time", 4, answers.count("limit"), )
        running = [a for a in answers if a != "limit"]
        t.equal("the others run", 4, node.metric("packetrecorder_replays"))
        t.equal("a session is deleted while it is replayed", SESSION,
                c.call("session.delete", session_id="some")["id"])
        stopped = [c.begin("replay.stop", {"replay_id": one}) for one in running[:3] * 2]
        t.check("several may stop one", all(c.end(s)["state"] == "ended" for s in stopped))
        for _ in range(30):
            refused(c, "replay.start", session_id="some", interface=IF_B)
        t.check("of those that ended 16 are kept", len(c.call("replay.list")) <= 17)


def test_end(t):
    code, took = node.stop()
    t.check("SIGTERM ends what still replays, within five seconds", code == 0 and took < 5, code,
            took, node.said())


def test_not_allowed(t):
    with Node(FOLDER, "--rpc-addr", "127.0.0.1:0", "--rpc-socket", SOCKET), client() as c:
        t.equal("without --allow-inject nothing is sent", "permission",
                refused(c, "replay.start", session_id="some", interface=IF_B)[0])


def main():
    global node, SESSION
    os.makedirs(FOLDER)
    tap = Checks()
    with Node(FOLDER, "--allow-inject", "--rpc-addr", "127.0.0.1:0", "--rpc-socket",
              SOCKET) as node:
        SESSION = record()
        tap.run([test_replay, test_fast_filtered_looped, test_outlives_its_client, test_refused,
                 test_end])
    tap.run([test_not_allowed])
    finish(tap)


SESSION = ""
main()
