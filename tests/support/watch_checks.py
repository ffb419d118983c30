# SPDX-License-Identifier: Apache-2.0
"""watch_checks.py SCRATCH: `manage watch` of three real nodes whose clocks differ by seconds. Each node is in
a namespace of its own behind one bridge; n1 sends numbered datagrams to all. Driven by
tests/system/watch.sh."""
import json
import os
import signal
import subprocess
import sys

from recorder import Tap
from swarm_lab import Lab, wait_for

tap = Tap()
SCRATCH = sys.argv[1]
BIN = os.environ["PR_BIN"]
SHIFTS = {"n0": "0ms", "n1": "1700ms", "n2": "-400ms"}
FILTER = "udp port 9"


class Watch:
    """A watch through a node, into a file; or with write="-" into a pipe."""

    def __init__(self, node, name, *words, write=None, select=("--all",)):
        self.path = write or f"{SCRATCH}/{name}.pcapng"
        self.log = open(f"{SCRATCH}/{name}.log", "w+")
        self.process = subprocess.Popen(
            [BIN, "manage", "--endpoint", f"unix:{node.folder}/rpc.sock", *select, "watch", "-i", "eth0",
             "-f", FILTER, "-w", self.path, *words], stdout=subprocess.PIPE, stderr=self.log)

    def said(self):
        self.log.seek(0)
        return self.log.read()

    def done(self, seconds=20):
        out, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, out, self.said()

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
        return self.done()

    def size(self):
        return os.path.getsize(self.path) if os.path.exists(self.path) else 0


class Packet:
    def __init__(self, line):
        name, time, data, comment = (line.split("\t") + ["", ""])[:4]
        self.node = name.split("/")[0]
        self.name, self.comment = name, comment
        whole, fraction = time.split(".")
        self.time = int(whole) * 10**9 + int(fraction.ljust(9, "0"))
        self.number = int(bytes.fromhex(data)[:8])


def read(path):
    out = subprocess.run(["tshark", "-r", path, "-Tfields", "-e", "frame.interface_name", "-e",
                          "frame.time_epoch", "-e", "data.data", "-e", "frame.comment"],
                         capture_output=True, text=True)
    trouble = "".join(line for line in out.stderr.splitlines() if not line.startswith("Running as user"))
    return [Packet(line) for line in out.stdout.splitlines()], trouble


def wait_bytes(watch, more=1):
    """Until so many bytes more are in its file."""
    size = watch.size() + more
    return wait_for(15, lambda: watch.size() >= size)


def in_order(packets):
    return all(a.time <= b.time or b.comment for a, b in zip(packets, packets[1:]))


def whole(lab):
    watch = Watch(lab.nodes[0], "whole", "-c", "900", "--json")
    code, out, err = watch.done()
    tap.check("it ends with 0 after as many packets as were asked for", code == 0, code, err)
    packets, trouble = read(watch.path)
    tap.check("tshark reads them all", len(packets) == 900 and trouble == "", len(packets), trouble)
    tap.check("each has its node's interface",
              {p.name for p in packets} == {"n0/eth0", "n1/eth0", "n2/eth0"}, {p.name for p in packets})
    tap.check("they are in order of time", in_order(packets))
    sent = {p.number: p.time for p in packets if p.node == "n1"}
    apart = [abs(p.time - sent[p.number]) for p in packets if p.number in sent]
    tap.check("what all see at once has one time, though the clocks are 2.1 s apart",
              apart and max(apart) < 50e6, max(apart, default=None))
    place = {}
    for i, p in enumerate(packets):
        place.setdefault(p.number, []).append(i)
    wide = [n for n, places in place.items() if len(places) == 3 and max(places) - min(places) > 150]
    tap.check("and stands together", not wide, wide[:5])
    for node in ("n0", "n1", "n2"):
        numbers = [p.number for p in packets if p.node == node]
        tap.check(f"none of {node} is missing", numbers == list(range(numbers[0], numbers[0] + len(numbers))),
                  numbers[:10])
    told = json.loads(out)
    tap.check("the summary counts the same", told["packets"] == 900 and
              {n["node"]: n["packets"] for n in told["nodes"]} ==
              {n: sum(p.node == n for p in packets) for n in SHIFTS}, told)
    tap.check("nothing is lost, all are whole", all(n["lost"] == 0 and n["whole"] for n in told["nodes"]), told)
    infos = subprocess.run(["capinfos", watch.path], capture_output=True, text=True)
    tap.check("capinfos reads it", infos.returncode == 0 and "n2/eth0" in infos.stdout and
              "its clock was" in infos.stdout, infos.stdout, infos.stderr)
    tap.check("nothing stays open on the nodes", wait_for(10, lambda: not any(viewers(n) for n in lab.nodes)))


def viewers(node):
    return sum(s["viewers"] for s in json.loads(node.get("/api/v1/stats"))["streams"])


def interrupted(lab):
    watch = Watch(lab.nodes[1], "interrupted")
    wait_bytes(watch, 100000)
    code, _, err = watch.interrupt()
    packets, trouble = read(watch.path)
    tap.check("an interrupt ends it with 0 and a whole file", code == 0 and trouble == "" and packets, code, trouble, err)
    tap.check("and with a line for each node", all(n in err for n in SHIFTS), err)
    tap.check("which is in order", in_order(packets))


def into_pipe(lab):
    watch = Watch(lab.nodes[0], "pipe", write="-")
    head = watch.process.stdout.read(4096)
    watch.process.stdout.close()
    watch.process.wait(10)
    err = watch.said()
    tap.check("a reader that has seen enough ends it quietly", head[:4] == b"\x0a\x0d\x0d\x0a" and
              watch.process.returncode == 0 and err == "", watch.process.returncode, err)


def killed(lab):
    far = lab.nodes[2]
    watch = Watch(lab.nodes[0], "killed")
    wait_bytes(watch, 20000)
    far.kill()
    tap.check("the others go on when a node dies", wait_bytes(watch, 200000))
    far.start(join=[lab.places[0].ip], env={"PACKETRECORDER_TEST_CLOCK_OFFSET": SHIFTS["n2"]})
    wait_for(20, lambda: lab.converged(3))
    back = wait_for(20, lambda: "followed again" in watch.said())
    wait_bytes(watch, 100000)
    code, _, err = watch.interrupt()
    packets, _ = read(watch.path)
    numbers = [p.number for p in packets if p.node == "n2"]
    gaps = [(a, b) for a, b in zip(numbers, numbers[1:]) if b != a + 1]
    tap.check("it is followed again when it is back", back and len(gaps) == 1, back, gaps, err)
    tap.check("which is told, and the end is 3", code == 3 and "n2/eth0" in err and "followed again" in err, code, err)
    others = [p.number for p in packets if p.node == "n0"]
    tap.check("of the others nothing is missing", others == list(range(others[0], others[0] + len(others))))
    tap.check("and all is in order or marked", in_order(packets))


def wrong(lab):
    for words, text in ((("-i", "nope0"), "no interface of it fits 'nope0'"), (("-f", "udp prt 9"), "udp prt 9"),
                        (("-i", "nope*"), "none of 3 nodes was followed")):
        code, _, err = Watch(lab.nodes[0], "wrong", *words).done()
        tap.check(f"{words[1]} ends it with 1", code == 1 and text in err, code, err)
    tap.check("and leaves no file", not os.path.exists(f"{SCRATCH}/wrong.pcapng"))


def inside(node, *command):
    return subprocess.Popen(["ip", "netns", "exec", node.place.ns, *command], stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)


def of_all(packets):
    """Those of each node are all there, in order, and what all saw at once stands together."""
    numbers = {node: [p.number for p in packets if p.node == node] for node in SHIFTS}
    return (in_order(packets) and not any(p.comment for p in packets) and
            all(n and n == list(range(n[0], n[0] + len(n))) for n in numbers.values()))


def by_view(lab):
    """swarm:all over HTTP: view, and what Wireshark runs."""
    path = f"{SCRATCH}/view.pcapng"
    process = inside(lab.nodes[0], BIN, "view", "http://127.0.0.1:8080", "-i", "swarm:all", "-f", FILTER, "-c", "600",
                     "-w", path)
    _, err = process.communicate(timeout=20)
    packets, trouble = read(path)
    tap.check("view -i swarm:all ends with 0 and has all nodes", process.returncode == 0 and len(packets) == 600 and
              trouble == "" and {p.name for p in packets} == {"n0/eth0", "n1/eth0", "n2/eth0"}, err, len(packets))
    tap.check("in order", of_all(packets), [(p.name, p.number, p.comment) for p in packets][:20])
    process = inside(lab.nodes[0], BIN, "view", "http://127.0.0.1:8080", "-i", "swarm:all", "-f", FILTER, "-c", "30")
    out, err = process.communicate(timeout=20)
    tap.check("it shows lines too", process.returncode == 0 and len(out.splitlines()) == 30 and b"n2/eth0" in out, out, err)
    offered = subprocess.run(["ip", "netns", "exec", lab.places[0].ns, f"{BIN}-extcap", "--extcap-interfaces"],
                             capture_output=True, text=True,
                             env=dict(os.environ, PACKETRECORDER_ENDPOINT="http://127.0.0.1:8080")).stdout
    tap.check("Wireshark is offered swarm:all and swarm:NODE/IFACE", "{value=packetrecorder:swarm:all}" in offered and
              "{value=packetrecorder:swarm:n2/eth0}" in offered, offered)
    fifo = f"{SCRATCH}/fifo"
    os.mkfifo(fifo)
    process = inside(lab.nodes[0], f"{BIN}-extcap", "--capture", "--extcap-interface", "packetrecorder:swarm:all", "--fifo",
                     fifo, "--extcap-capture-filter", FILTER, "--endpoint", "http://127.0.0.1:8080")
    reader = subprocess.run(["tshark", "-r", fifo, "-c", "300", "-Tfields", "-e", "frame.interface_name"],
                            capture_output=True, text=True, timeout=20)
    process.terminate()
    _, err = process.communicate(timeout=20)
    tap.check("and gets it", set(reader.stdout.split()) == {"n0/eth0", "n1/eth0", "n2/eth0"}, reader.stdout[:200],
              reader.stderr, err)


with Lab(SCRATCH, 3, os.environ["PR_NODE_FAKED"]) as lab_:
    for i in range(3):
        lab_.node(i)
    for node_ in lab_.nodes:
        node_.start(join=[lab_.places[0].ip] if node_.number else [],
                    env={"PACKETRECORDER_TEST_CLOCK_OFFSET": SHIFTS[node_.name]})
        wait_for(10, node_.is_up)
    tap.check("three nodes see each other", lab_.converged(3))
    # A swarm that is a second old has not agreed on the time yet.
    wait_for(20, lambda: all(m["bound_ns"] is not None and m["bound_ns"] < 20e6
                             for n in lab_.nodes for m in n.members().values()))
    sender = lab_.places[1].broadcast()
    try:
        for part in (wrong, whole, by_view, interrupted, into_pipe, killed):
            part(lab_)
    finally:
        sender.kill()
        sender.wait()
    tap.check("no node has ended by itself",
              all(n.process.poll() is None for n in lab_.nodes), [n.said() for n in lab_.nodes])
sys.exit(tap.failures > 0)
