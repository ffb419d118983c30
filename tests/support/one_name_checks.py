# SPDX-License-Identifier: Apache-2.0
"""one_name_checks.py SCRATCH: two of three real nodes have the same name, and clocks that differ, so that who takes one
for the other puts packets seconds off. Driven by tests/system/live_swarm.sh."""
import json
import os
import subprocess
import sys

from job_lab import BIN, call, done, manage
from pcapng_blocks import Stream
from recorder import Tap
from swarm_lab import Lab, wait_for

tap = Tap()
SCRATCH = f"{sys.argv[1]}/one_name"
SHIFTS = ["0s", "-5s", "3s"]
os.makedirs(SCRATCH)


def labels(lab):
    """{number of a node: what it is called}"""
    ids = {m["address"].rsplit(":", 1)[0]: m["id"] for m in json.loads(lab.nodes[0].get("/api/v1/members"))}
    return ["a"] + [f"b@{ids[n.place.ip][:8]}" for n in lab.nodes[1:]]


def names_in(path):
    stream = Stream()
    with open(path, "rb") as file:
        stream.feed(file.read())
    return {stream.interfaces[p.interface]["name"] for p in stream.packets}


def rows(lab, *words):
    code, out, err = done(manage(lab.nodes[0], *words, "--json"))
    return [row["node"] for row in json.loads(out)] if code == 0 else [code, err]


def listed(lab, called):
    for words in (("list-interfaces", "--all"), ("doctor", "--all")):
        tap.check(f"{words[0]} of all tells them apart", set(rows(lab, *words)) == set(called), rows(lab, *words))
    found = {i["name"]: i["node"] for i in json.loads(lab.nodes[0].get("/api/v1/interfaces?nodes=all"))}
    tap.check("so does the list for viewers", all(found.get(f"{n}/eth0") == n for n in called[1:]) and
              found["eth0"] == "a", found)
    code, _, err = done(manage(lab.nodes[0], "list-interfaces", "--nodes", "b"))
    tap.check("who says the name alone is told what to say", code != 0 and "2 members are called 'b': say 'b@" in err,
              code, err)


def offered(lab, called):
    """By a, and by one of those that share a name, whose own interfaces have none before them."""
    for asked in (0, 1):
        out = subprocess.run(["ip", "netns", "exec", lab.places[asked].ns, f"{BIN}-extcap", "--extcap-interfaces"],
                             capture_output=True, text=True,
                             env=dict(os.environ, PACKETRECORDER_ENDPOINT="http://127.0.0.1:8080")).stdout
        others = [name for i, name in enumerate(called) if i != asked]
        tap.check(f"Wireshark is offered them by {called[asked]}", "{value=packetrecorder:eth0}" in out and
                  all(out.count(f"{{value=packetrecorder:swarm:{name}/eth0}}") == 1 for name in others), out)
    for name in called:
        answer = lab.nodes[0].get(f"/connections/{name}/eth0")
        tap.check(f"/connections/{name}/eth0 is there", "WebSocket" in answer or "upgrade" in answer.lower(), answer)
    known = {m["label"] for m in json.loads(lab.nodes[1].get("/api/v1/members"))}
    tap.check("members say what each is called", known == set(called), known)


def spread_ns(path):
    """({names}, how far apart at most the times are of what two nodes saw at once; None: nothing was)"""
    stream, times = Stream(), {}
    with open(path, "rb") as file:
        stream.feed(file.read())
    for packet in stream.packets:
        times.setdefault(packet.data[42:50], []).append(packet.time_ns)
    return ({stream.interfaces[p.interface]["name"] for p in stream.packets},
            max((max(t) - min(t) for t in times.values() if len(t) > 1), default=None))


def together(lab, called):
    for asked in (0, 1):
        path = f"{SCRATCH}/all{asked}.pcapng"
        code, _, err = done(subprocess.Popen(
            ["ip", "netns", "exec", lab.places[asked].ns, BIN, "view", "http://127.0.0.1:8080", "-i", "swarm:all",
             "-f", "udp port 9", "-c", "600", "-w", path], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        names, apart = spread_ns(path) if code == 0 else (set(), None)
        tap.check(f"swarm:all of {called[asked]} tells them apart", names == {f"{n}/eth0" for n in called}, code, err, names)
        tap.check("and takes nobody's clock for another's", apart is not None and apart < 1e9, apart)


def named_in_errors(lab, called):
    """Last: one of them dies."""
    lab.nodes[2].kill()
    gone = called[2]

    def state():
        return {m["id"][:8]: m["state"] for m in json.loads(lab.nodes[0].get("/api/v1/members"))}[gone[-8:]]
    tap.check("one of them dies", wait_for(30, lambda: state() == "dead"), state())
    code, _, err = done(manage(lab.nodes[0], "list-interfaces", "--nodes", gone))
    tap.check("what fails is told of it", code != 0 and gone in err, code, err)
    code, _, err = done(manage(lab.nodes[0], "download-pcap", "--nodes", gone, "-s", "last", "-o",
                              f"{SCRATCH}/gone.pcapng"))
    tap.check("also where it alone is asked", code != 0 and f"{gone}: " in err, code, err)
    code, out, err = done(manage(lab.nodes[0], "list-interfaces", "--nodes", "b", "--json"))
    tap.check("who alone lives of a name has it", code == 0 and {r["node"] for r in json.loads(out)} == {"b"}, code, err)
    code, _, err = done(manage(lab.nodes[0], "members", "forget", gone))

    def left():
        return {m["id"][:8] for m in json.loads(lab.nodes[0].get("/api/v1/members"))}
    tap.check("and the other is forgotten by what it is called",
              code == 0 and wait_for(10, lambda: gone[-8:] not in left()) and called[1][-8:] in left(), code, err, left())


def viewed(lab, called):
    for name in called[1:]:
        path = f"{SCRATCH}/{name}.pcapng"
        code, out, err = done(subprocess.Popen(
            ["ip", "netns", "exec", lab.places[0].ns, BIN, "view", "http://127.0.0.1:8080", "-i",
             f"swarm:{name}/eth0", "-f", "udp port 9", "-c", "20", "-w", path], stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True))
        tap.check(f"{name} is viewed by what it is called", code == 0 and names_in(path) == {f"{name}/eth0"},
                  code, err, code == 0 and names_in(path))


def recorded(lab, called):
    code, out, err = done(manage(lab.nodes[0], "start-capture", "-i", "eth0", "--nodes", ",".join(called), "-t", "1s",
                                 "--start-at", "+1500ms", "--json"))
    tap.check("a capture on those that are named so", code == 0 and
              {r["node"]: r["state"] for r in json.loads(out)["nodes"]} == dict.fromkeys(called, "armed"), code, out, err)
    job = json.loads(out)["id"]

    def status():
        return {r["node"]: r["state"] for r in call(lab.nodes[1], "job.status", job_id=job)["nodes"]}
    tap.check("any node calls them the same", wait_for(10, lambda: status() == dict.fromkeys(called, "done")), status())
    code, out, err = done(manage(lab.nodes[2], "download-pcap", "--capture-id", job, "-o", f"{SCRATCH}/all.pcapng"))
    wanted = {f"{name}/eth0" for name in called}
    tap.check("in one file each has an interface of its own", code == 0 and names_in(f"{SCRATCH}/all.pcapng") == wanted,
              code, err)
    with open(f"{SCRATCH}/all.pcapng.json", encoding="utf-8") as file:
        tap.check("and a row of its own in the manifest", {n["node"] for n in json.load(file)["nodes"]} == set(called))


def watched(lab, called):
    path = f"{SCRATCH}/watch.pcapng"
    code, _, err = done(manage(lab.nodes[0], "--all", "watch", "-i", "eth0", "-f", "udp port 9", "-w", path, "-c", "300"))
    wanted = {f"{name}/eth0" for name in called}
    tap.check("a watch tells them apart", code == 0 and names_in(path) == wanted, code, err,
              code == 0 and names_in(path))


with Lab(SCRATCH, 3, os.environ["PR_NODE_FAKED"]) as lab_:
    for i in range(3):
        lab_.node(i)
    for node in lab_.nodes:
        node.name = "a" if node.number == 0 else "b"
        node.start(join=[] if node.number == 0 else [lab_.places[0].ip],
                   env={"PACKETRECORDER_TEST_CLOCK_OFFSET": SHIFTS[node.number]})
        wait_for(10, node.is_up)
    tap.check("three nodes, two of one name, see each other", wait_for(15, lambda: all(
        len(json.loads(n.get("/api/v1/members"))) == 3 for n in lab_.nodes)))
    sender = lab_.places[0].broadcast()
    try:
        called_ = labels(lab_)
        # A swarm that is a second old has not agreed on the time yet.
        wait_for(20, lambda: all(m["bound_ns"] is not None and m["bound_ns"] < 50e6 for n in lab_.nodes
                                 for m in json.loads(n.get("/api/v1/members"))))
        for part in (listed, offered, viewed, together, recorded, watched, named_in_errors):
            part(lab_, called_)
    finally:
        sender.kill()
        sender.wait()
sys.exit(tap.failures > 0)
