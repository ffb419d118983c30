# SPDX-License-Identifier: Apache-2.0
"""pull_checks.py SCRATCH: what three nodes recorded together, whose clocks differ, as one file. Driven by
tests/system/merged_pull.sh."""
import hashlib
import json
import os
import signal
import socket
import subprocess
import sys
import time

from pcapng_blocks import Stream
from recorder import Tap
from rpc_client import Client
from swarm_lab import Lab, wait_for

tap = Tap()
SCRATCH = sys.argv[1]
BIN = os.environ["PR_BIN"]
SHIFTS = {"n0": 1700000000, "n1": 0, "n2": -400000000}
NOTED_MIN = 100000
PAIRS = int(os.environ.get("PR_PULL_PAIRS", "10000"))


def path(name):
    return f"{SCRATCH}/{name}"


def manage(node, *words):
    return subprocess.Popen([BIN, "manage", "--endpoint", f"unix:{node.folder}/rpc.sock", *words],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(process, seconds_=60):
    out, err = process.communicate(timeout=seconds_)
    return process.returncode, out, err


def call(node, method, **args):
    with Client(f"{node.folder}/rpc.sock") as c:
        return c.call(method, **args)


def pull(node, output, *words):
    return manage(node, "download-pcap", "-o", path(output), *words)


def read(name):
    stream = Stream()
    with open(path(name), "rb") as file:
        stream.feed(file.read())
    if stream.rest:
        raise ValueError("bytes behind the last block")
    return stream


def manifest_of(name):
    with open(path(name) + ".json", encoding="utf-8") as file:
        return json.load(file)


def sha(name):
    with open(path(name), "rb") as file:
        return hashlib.blake2b(file.read(), digest_size=32).hexdigest()


# ---- what is recorded ----

def start_all(lab):
    for i in range(3):
        lab.node(i)
    for node in lab.nodes:
        env = {"PACKETRECORDER_TEST_CLOCK_OFFSET": f"{SHIFTS[node.name] // 1000000}ms"}
        node.start(join=[] if node.number == 0 else [lab.places[0].ip], env=env)
        if node.number == 0:
            wait_for(10, node.is_up)
    tap.check("three nodes whose clocks differ are one swarm", lab.converged(3, 15))


def clocks_are_known(nodes):
    def known(node):
        return all(m["bound_ns"] is not None and m["bound_ns"] < 5000000
                   for m in node.members().values())
    return all(known(node) for node in nodes)


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
        client.sendto(b"ask %08d" % i + bytes(200), (answerer.ip, 4000))
        data, peer = server.recvfrom(1000)
        server.sendto(data.replace(b"ask", b"got"), peer)
        client.recv(1000)
    server.close()
    client.close()


def record(lab):
    nodes, places = lab.nodes, lab.places
    code, out, err = done(manage(nodes[0], "start-capture", "-i", "eth0", "--all", "-t", "5m", "--name",
                                 "talk", "--start-at", "+1500ms", "--json", "--", "udp port 4000"))
    job = json.loads(out)["id"]

    def running():
        rows = call(nodes[1], "job.status", job_id=job)["nodes"]
        return [r["state"] for r in rows] == ["running"] * 3
    tap.check("one capture runs on all", code == 0 and wait_for(15, running), code, err)
    third = PAIRS // 3
    talk(places[0], places[2], 0, PAIRS - 2 * third)
    pause_over = time.monotonic() + 2.2  # a merge waits two seconds of the recorded time for what is late
    wait_for(5, lambda: time.monotonic() > pause_over)
    talk(places[2], places[1], PAIRS - 2 * third, third)
    talk(places[1], places[0], PAIRS - third, third)
    code, out, err = done(manage(nodes[2], "stop-capture", job))
    tap.check("and ends on all", code == 0, code, out, err)
    return job


# ---- what is pulled ----

def places_of(stream):
    """{number: {(word, node): place in the file}}"""
    found = {}
    for place, packet in enumerate(stream.packets):
        node = stream.interfaces[packet.interface]["name"].split("/")[0]
        word, number = packet.data[42:45].decode(), int(packet.data[46:54])
        found.setdefault(number, {})[(word, node)] = place
    return found


def pairs_in_order(stream):
    """Pairs whose request, where it was sent, stands before the answer, where that was sent; and all."""
    third = PAIRS // 3
    ends = [("n0", "n2")] * (PAIRS - 2 * third) + [("n2", "n1")] * third + [("n1", "n0")] * third
    found = places_of(stream)
    whole = [i for i in found if len(found[i]) == 4]
    good = sum(found[i][("ask", ends[i][0])] < found[i][("got", ends[i][1])] for i in whole)
    return good, len(whole)


def clocks_of(lab):
    """How far each node's clock was off that of the reference, and within what, at each sample."""
    return {n.name: call(n, "session.list")[-1]["clock"] for n in lab.nodes}


def check_order(lab, job):
    code, out, err = done(pull(lab.nodes[1], "all.pcapng", "--capture-id", "talk"))
    tap.check("what all recorded is pulled through any", code == 0, code, out, err)
    stream = read("all.pcapng")
    tap.check("each packet is there once from each end", len(stream.packets) == 4 * PAIRS,
              len(stream.packets))
    good, whole = pairs_in_order(stream)
    tap.check(f"all {PAIRS} requests are before their answers", good == whole == PAIRS, good, whole,
              clocks_of(lab))
    times = [p.time_ns for p in stream.packets]
    tap.check("the file is in order of time", times == sorted(times))
    names = [i["name"] for i in stream.interfaces]
    tap.check("each node has an interface of its own",
              {n.split("/")[0] for n in names} == set(SHIFTS) and all(n.endswith("/eth0") for n in names),
              names)
    tap.check("which says how its clock stood", all("its clock was" in c for i in stream.interfaces
                                                    for c in i["comments"]), stream.interfaces)
    said = manifest_of("all.pcapng")
    tap.check("the manifest has the sum of the file", said["blake2b_256"] == sha("all.pcapng"), said)
    tap.check("and all nodes, their packets and losses", said["complete"] and said["packets"] == 4 * PAIRS
              and said["capture_id"] == job and [n["node"] for n in said["nodes"]] == ["n0", "n1", "n2"]
              and all(len(n["sessions"]) == 1 and n["sessions"][0]["loss"]["kernel"] == 0
                      and n["sessions"][0]["late"] == 0 for n in said["nodes"]), said)
    offsets = [n["sessions"][0]["clock"]["offset_ns"] for n in said["nodes"]]
    tap.check("and how their clocks stood", all(
        abs(offsets[i] - offsets[1] - SHIFTS[f"n{i}"]) < 10000000 for i in range(3)), offsets)
    tap.check("losses stand in it for each", len({s[0] for s in stream.statistics}) == 3,
              stream.statistics)


def check_uncorrected(lab):
    parts = []
    for node in lab.nodes:
        code, _, err = done(pull(node, f"{node.name}.pcapng", "-s", "last"))
        tap.check(f"the session of {node.name} alone", code == 0, err)
        parts.append(path(f"{node.name}.pcapng"))
    subprocess.run(["mergecap", "-w", path("raw.pcapng"), *parts], check=True)
    stamps = {}
    for name in SHIFTS:
        for packet in read(f"{name}.pcapng").packets:
            stamps[(packet.data[42:45], int(packet.data[46:54]), name)] = packet.time_ns
    wrong = sum(stamps[(b"ask", i, "n0")] > stamps[(b"got", i, "n2")] for i in range(100))
    tap.check("uncorrected, answers come before requests", wrong == 100, wrong)


def check_others_read_it():
    fields = subprocess.run(["tshark", "-r", path("all.pcapng"), "-T", "fields", "-e",
                             "frame.interface_name", "-e", "frame.time_delta"],
                            capture_output=True, text=True, check=False)
    lines = fields.stdout.splitlines()
    tap.check("tshark reads it, and sees no time go back", len(lines) == 4 * PAIRS and
              not any(line.split("\t")[1].startswith("-") for line in lines), fields.stderr)
    infos = subprocess.run(["capinfos", "-M", path("all.pcapng")], capture_output=True, text=True, check=False)
    tap.check("capinfos calls it in strict order", infos.returncode == 0 and
              "Strict time order:   True" in infos.stdout, infos.stdout, infos.stderr)
    merged = subprocess.run(["mergecap", "-w", path("twice.pcapng"), path("all.pcapng"),
                             path("n0.pcapng")], capture_output=True, text=True, check=False)
    tap.check("mergecap takes it", merged.returncode == 0, merged.stderr)


def check_classic(lab):
    code, _, err = done(pull(lab.nodes[0], "all.pcap", "--capture-id", "talk"))
    lines = subprocess.run(["tshark", "-r", path("all.pcap")], capture_output=True, text=True,
                           check=False).stdout.count("\n")
    tap.check("a classic file has them all", code == 0 and lines == 4 * PAIRS, err, lines)


def check_part(lab):
    """A range of the common time and a filter; into a pipe."""
    whole = read("all.pcapng").packets
    a, b = whole[len(whole) // 3].time_ns, whole[len(whole) // 2].time_ns

    def at(ns):
        return f"@{ns // 1000000000}.{ns % 1000000000:09d}"
    process = subprocess.run([BIN, "manage", "--endpoint", f"unix:{lab.nodes[2].folder}/rpc.sock",
                              "download-pcap", "-s", "talk", "--all", "-o", "-", "--from", at(a), "--to",
                              at(b), "--", "udp dst port 4000"], capture_output=True, timeout=60)
    stream = Stream()
    stream.feed(process.stdout)
    wanted = [p for p in whole if a <= p.time_ns <= b and p.data[42:45] == b"ask"]
    tap.check("a range and a filter, into a pipe", process.returncode == 0 and
              [p.data for p in stream.packets] == [p.data for p in wanted],
              process.stderr, len(stream.packets), len(wanted))


def slow(node, output):
    """A pull that is under way, and has noted where it is."""
    process = pull(node, output, "--capture-id", "talk", "--limit-rate", "2M")

    def noted():
        try:
            with open(path(output) + ".part.state", encoding="utf-8") as file:
                return json.load(file)["bytes"] > NOTED_MIN
        except OSError:
            return False
    tap.check("a slow pull notes where it is", wait_for(20, noted))
    return process


def check_resume(lab):
    process = slow(lab.nodes[1], "cut.pcapng")
    process.send_signal(signal.SIGINT)
    code, _, err = done(process)
    tap.check("an interrupted pull says how to go on", code != 0 and "goes on there" in err, code, err)
    code, _, err = done(pull(lab.nodes[1], "cut.pcapng", "--capture-id", "talk"))
    said = manifest_of("cut.pcapng")
    tap.check("and goes on where it stopped", code == 0 and "going on behind" in err and
              said["resumed_at"] > NOTED_MIN, code, err, said)
    tap.check("to the very same file", sha("cut.pcapng") == sha("all.pcapng") == said["blake2b_256"], said)


def check_death(lab):
    process = slow(lab.nodes[0], "dead.pcapng")
    lab.nodes[2].kill()
    code, _, err = done(process)
    said = manifest_of("dead.pcapng")
    dead = said["nodes"][2]
    tap.check("a node that dies while it is read costs its own packets only", code == 3 and
              not said["complete"] and dead["node"] == "n2" and not dead["complete"] and dead["reason"]
              and all(n["complete"] and n["sessions"][0]["packets"] >= PAIRS for n in said["nodes"][:2]),
              code, err, said)
    tap.check("and the file is whole", len(read("dead.pcapng").packets) == said["packets"] and
              sha("dead.pcapng") == said["blake2b_256"])
    code, _, err = done(pull(lab.nodes[0], "rest.pcapng", "--capture-id", "talk"))
    said = manifest_of("rest.pcapng")
    tap.check("one that is dead beforehand lacks, and is named", code == 3 and "n2: " in err and
              said["nodes"][2]["reason"], code, err, said)
    code, _, err = done(pull(lab.nodes[0], "none.pcapng", "--capture-id", "nothing"))
    tap.check("what nobody has is no file", code == 1 and not os.path.exists(path("none.pcapng")), err)


def main():
    with Lab(SCRATCH, 3, binary=os.environ["PR_FAKED"]) as lab:
        start_all(lab)
        tap.check("they know each other's clocks", wait_for(15, clocks_are_known, lab.nodes))
        job = record(lab)
        check_order(lab, job)
        check_uncorrected(lab)
        check_others_read_it()
        check_classic(lab)
        check_part(lab)
        check_resume(lab)
        check_death(lab)
    sys.exit(tap.failures > 0)


main()
