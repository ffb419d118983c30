# SPDX-License-Identifier: Apache-2.0
"""clock_checks.py SCRATCH: nodes whose clocks differ, one of which is set. Driven by
tests/system/clocks.sh. What the clocks are is known here, since all are this machine's, shifted."""
import json
import os
import socket
import subprocess
import sys
import time

from recorder import Tap
from swarm_lab import Lab, seconds, wait_for

tap = Tap()
SCRATCH = sys.argv[1]
SECOND = 1000000000
SHIFTS = {"n0": 1700000000, "n1": 0, "n2": -400000000, "n3": 30 * SECOND, "n4": 0}
SET_BY = 5 * SECOND
PAIRS = int(os.environ.get("PR_CLOCK_PAIRS", "300"))


class TestClock:
    """The file that a faked clock follows: {before, at, after}; each word is changed so that the clock
    does not move before `at`."""

    def __init__(self, path, shift=0):
        self.path, self.shift = path, shift
        with open(path, "wb") as file:
            for word in (shift, 0, shift):
                file.write(word.to_bytes(8, sys.byteorder, signed=True))

    def set_by(self, ns, delay_ns=300000000):
        """Gives when, by the true clock."""
        at = time.time_ns() + delay_ns
        with open(self.path, "r+b") as file:
            for place, word in ((0, self.shift), (1, at), (2, self.shift + ns)):
                file.seek(8 * place)
                file.write(word.to_bytes(8, sys.byteorder, signed=True))
                file.flush()
        self.shift += ns
        return at


def ns_of(text):
    whole, fraction = text.rstrip("Z").split(".")
    return int(seconds(whole + ".0Z")) * SECOND + int(fraction.ljust(9, "0"))


def manage(node, *words):
    done = subprocess.run([os.environ["PR_BIN"], "manage", "--endpoint",
                           f"unix:{node.folder}/rpc.sock", *words],
                          capture_output=True, text=True, timeout=20)
    return done.returncode, done.stdout, done.stderr


def start_all(lab):
    clock = TestClock(f"{SCRATCH}/n4.clock")
    for i in range(6):
        lab.node(i)
    for node in lab.nodes[:5]:
        env = {"PACKETRECORDER_TEST_CLOCK_OFFSET": f"{SHIFTS[node.name] // 1000000}ms"} \
            if node.name != "n4" else {"PACKETRECORDER_TEST_CLOCK_FILE": clock.path}
        join = [] if node.number == 0 else [lab.places[0].ip]
        node.start(join=join, env=env)
        if node.number == 0:
            wait_for(10, node.is_up)
    lab.binary = os.environ["PR_NODE"]
    lab.nodes[5].start(join=[lab.places[0].ip],
                       env={"PACKETRECORDER_TEST_CLOCK_OFFSET": "1h",
                            "PACKETRECORDER_TEST_CLOCK_FILE": "/nonexistent"})
    tap.check("nodes whose clocks are half a minute apart find each other", lab.converged(6, 15))
    return clock


def wrong_offsets(nodes, shifts):
    """(observer, member, offset − truth, bound) of those that are out of bounds, or have none."""
    wrong = []
    for node in nodes:
        for name, m in node.members().items():
            truth = shifts.get(name, 0) - shifts.get(node.name, 0)
            if m["offset_ns"] is None or abs(m["offset_ns"] - truth) > m["bound_ns"]:
                wrong.append((node.name, name, m["offset_ns"] and m["offset_ns"] - truth,
                              m["bound_ns"]))
    return wrong


def worst_bound(nodes):
    return max(1 << 62 if m["bound_ns"] is None else m["bound_ns"] for node in nodes for m in node.members().values())


def nobody_doubted(nodes):
    return all(node.metric("packetrecorder_swarm_suspicions_total") == 0 and
               node.metric("packetrecorder_swarm_deaths_total") == 0 for node in nodes)


# ---- sessions ----

def record(nodes):
    for node in nodes:
        code, out, err = manage(node, "start-capture", "--interface", "eth0", "--filter",
                                "udp port 4000", "--name", "clocks", "--json")
        if code != 0:
            raise RuntimeError(err)


def stop(node):
    code, out, err = manage(node, "stop-capture", "clocks", "--json")
    if code != 0:
        raise RuntimeError(err)
    found = json.loads(manage(node, "sessions", "--json")[1])
    return found[0] if isinstance(found, list) else found


def packets_of(node):
    """(time, payload) of the recorded ones."""
    done = subprocess.run([os.environ["PR_BIN"], "query", "--database", f"{node.folder}/p.db",
                           "--json", "--show-data", "-l", "0"], capture_output=True, text=True, timeout=20)
    return [json.loads(line) for line in done.stdout.splitlines()]


def offset_at(samples, stamp):
    """The clock minus swarm time at a stamp of it, as docs/http-api.md says."""
    before = samples[0]
    for sample in samples:
        if ns_of(sample["time"]) > stamp:
            if sample["step"] or ns_of(before["time"]) > stamp:
                return before["offset_ns"]
            span = ns_of(sample["time"]) - ns_of(before["time"])
            gained = sample["offset_ns"] - before["offset_ns"]
            return before["offset_ns"] + gained * (stamp - ns_of(before["time"])) // max(span, 1)
        before = sample
    return before["offset_ns"]


def udp_at(place, address=None):
    def make():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.settimeout(5)
        if address:
            s.bind(address)
        return s
    return place.inside(make)


def talk(asker, answerer, first, pairs):
    """Requests first, first + 1, …; each is answered before the next."""
    server = udp_at(answerer, (answerer.ip, 4000))
    client = udp_at(asker)
    for i in range(first, first + pairs):
        client.sendto(b"ask %08d" % i, (answerer.ip, 4000))
        data, peer = server.recvfrom(100)
        server.sendto(data.replace(b"ask", b"got"), peer)
        client.recv(100)
    server.close()
    client.close()


def said(packets, word):
    """{number: stamp} of the payloads with that word."""
    found = {}
    for p in packets:
        payload = bytes.fromhex(p["data"])[42:]
        if payload.startswith(word):
            found[int(payload[len(word):])] = ns_of(p["time"])
    return found


def check_order(nodes, sessions):
    """Requests as their sender has stamped them come before the answers as theirs has."""
    asked = said(packets_of(nodes[0]), b"ask ")
    got = said(packets_of(nodes[1]), b"got ")
    tap.check("both ends have all packets", len(asked) == PAIRS == len(got), len(asked), len(got))
    raw = sum(asked[i] < got[i] for i in got)
    tap.check("by the stamps alone answers come before requests", raw == 0, raw)
    clocks = [s["clock"] for s in sessions]
    true = sum(asked[i] - offset_at(clocks[0], asked[i]) < got[i] - offset_at(clocks[1], got[i])
               for i in got)
    tap.check("corrected by what the sessions say, all requests come first", true == PAIRS, true)


def check_sessions(lab):
    nodes = [lab.nodes[0], lab.nodes[2]]
    record(nodes)
    wait_for(5, lambda: all(len(json.loads(manage(n, "captures", "--json")[1])[0]["clock"]) >= 2
                            for n in nodes))
    talk(lab.places[0], lab.places[2], 0, PAIRS)
    sessions = [stop(n) for n in nodes]
    clocks = [s["clock"] for s in sessions]
    tap.check("a session has samples of its clock from the start to the end",
              all(len(c) >= 3 and ns_of(c[0]["time"]) <= ns_of(s["started"]) + SECOND // 2 and
                  ns_of(c[-1]["time"]) >= ns_of(s["ended"]) - SECOND // 2
                  for c, s in zip(clocks, sessions)), clocks)
    tap.check("of one timeline", clocks[0][-1]["root"] == clocks[1][-1]["root"], clocks)
    off = clocks[0][1]["offset_ns"] - clocks[1][1]["offset_ns"]
    truth = SHIFTS["n0"] - SHIFTS["n2"]
    bound = clocks[0][1]["bound_ns"] + clocks[1][1]["bound_ns"]
    tap.check(f"they are {off - truth} ns from the truth, within {bound} ns",
              abs(off - truth) <= bound < 3000000, off - truth, bound)
    check_order(nodes, sessions)


def check_set(lab, clock):
    """The clock of n4 is set while it records."""
    n4 = lab.nodes[4]
    record([n4])
    wait_for(5, lambda: len(json.loads(manage(n4, "captures", "--json")[1])[0]["clock"]) >= 2)
    sent = {}
    s = udp_at(lab.places[4])

    def send(first, seconds_):
        deadline, i = time.monotonic() + seconds_, first
        while time.monotonic() < deadline:
            sent[i] = time.time_ns()
            s.sendto(b"one %08d" % i, (lab.places[0].ip, 4000))
            i += 1
            time.sleep(0.002)
        return i
    at = clock.set_by(SET_BY)
    send(0, (at - time.time_ns()) / SECOND + 0.6)
    s.close()
    session = stop(n4)
    steps = [c for c in session["clock"] if c["step"]]
    tap.check("a session says that its clock was set", len(steps) == 1, session["clock"])
    stamps = said(packets_of(n4), b"one ")
    moved = max(stamps[i] - sent[i] for i in stamps) - min(stamps[i] - sent[i] for i in stamps)
    tap.check("and packets have stamps of both", moved > SET_BY - SECOND // 100, moved)
    base = [stamps[i] - offset_at(session["clock"], stamps[i]) - sent[i] for i in stamps]
    tap.check(f"but corrected they are {len(base)} of one clock within {max(base) - min(base)} ns",
              len(base) >= 300 and max(base) - min(base) < SECOND // 20, max(base) - min(base))
    shifts = dict(SHIFTS, n4=SET_BY)
    wait_for(10, lambda: not wrong_offsets(lab.nodes[:6], shifts))
    tap.check("the others know the new clock", not wrong_offsets(lab.nodes[:6], shifts),
              wrong_offsets(lab.nodes[:6], shifts))


def check_warning(lab):
    """A job says whose clock is known least, and whether that is too little."""
    words = ("start-capture", "--interface", "eth0", "--nodes", "n0,n1,n2", "--duration", "100ms",
             "--start-at", "+1200ms", "--yes")
    code, out, err = manage(lab.nodes[0], *words, "--json")
    found = json.loads(out or "{}").get("least_known_clock") or {}
    tap.check(f"a job says whose clock is known least ({found})", code == 0 and
              found.get("node") in ("n1", "n2") and 0 < found.get("bound_ns", 0) < 1000000, out, err)
    tap.check("and does not warn of a LAN", "is known to within" not in err, err)


def main():
    with Lab(SCRATCH, 6, binary=os.environ["PR_FAKED"]) as lab:
        clock = start_all(lab)
        nodes = lab.nodes[:6]
        wait_for(10, lambda: not wrong_offsets(nodes, SHIFTS) and worst_bound(nodes) < 5000000)
        tap.check("members know each other's clocks within their bounds; a release is not faked",
                  not wrong_offsets(nodes, SHIFTS), wrong_offsets(nodes, SHIFTS))
        tap.check("which are below 5 ms", worst_bound(nodes) < 5000000, worst_bound(nodes))
        code, out, err = manage(nodes[3], "info")
        tap.check("a node half a minute ahead answers its operator", code == 0, err)
        check_sessions(lab)
        check_warning(lab)
        check_set(lab, clock)
        tap.check("nobody was suspected for its clock", nobody_doubted(nodes))
    sys.exit(tap.failures > 0)


main()
