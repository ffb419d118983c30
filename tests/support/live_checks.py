# SPDX-License-Identifier: Apache-2.0
"""live_checks.py SCRATCH: the interfaces of one member followed through another, on three real
nodes, each in a namespace of its own. The viewer is inside the namespace of the node that it asks,
whose HTTP and RPC listen on loopback alone, and has no other way to the far one than that node.
Driven by tests/system/live_swarm.sh."""
import json
import os
import signal
import subprocess
import sys
import time

from recorder import Tap
from rpc_client import Client, Failed
from swarm_lab import Lab, wait_for

tap = Tap()
SCRATCH = sys.argv[1]
BIN = os.environ["PR_BIN"]
FILTER = "udp port 9 and src 10.88.0.3"  # what n2 sends


def client(node):
    return Client(f"{node.folder}/rpc.sock")


def view(node, interface, path, *words):
    return subprocess.Popen(["ip", "netns", "exec", node.place.ns, BIN, "view",
                             "http://127.0.0.1:8080", "-i", interface, "-f", FILTER, "-w", path,
                             *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def done(process, seconds=20):
    out, err = process.communicate(timeout=seconds)
    return process.returncode, out, err


def numbers(path):
    """Of the packets in a file, as tshark reads it."""
    out = subprocess.run(["tshark", "-r", path, "-Tfields", "-e", "data.data"], check=True,
                         capture_output=True, text=True).stdout.split()
    return [int(bytes.fromhex(line)[:8]) for line in out]


def read_some(c, stream, wanted):
    """Until so many packets have come: the last answer, and whether watermarks only grew."""
    answer, grows, last = {"packets": 0}, True, 0
    deadline = time.monotonic() + 15
    while answer["packets"] < wanted and time.monotonic() < deadline:
        answer = c.call("live.read", stream=stream, wait_ms=500)
        grows = grows and answer["watermark_ns"] >= last
        last = answer["watermark_ns"]
    return answer, grows


def by_http(lab):
    path = f"{SCRATCH}/view.pcapng"
    code, out, err = done(view(lab.nodes[0], "swarm:n2/eth0", path, "-c", "200"))
    tap.check("view follows the interface of another node", code == 0, code, out, err)
    got = numbers(path) if code == 0 else []
    names = subprocess.run(["capinfos", "-I", path], capture_output=True, text=True).stdout
    tap.check("the interface in the file has its node's name", "Name = n2/eth0" in names, names)
    tap.check("tshark reads 200 packets, in order, none missing",
              len(got) == 200 and got == list(range(got[0], got[0] + 200)), got)
    answer = lab.nodes[0].get("/connections/n2/eth0")
    tap.check("the path takes a plain slash", "WebSocket" in answer or "upgrade" in answer.lower(),
              answer)


def own_name(lab):
    """Whoever is asked, NODE/IFACE is the same interface: also where NODE is who is asked."""
    path = f"{SCRATCH}/own.pcapng"
    for name in ("swarm:n0/eth0", "n0/eth0"):
        code, out, err = done(view(lab.nodes[0], name, path, "-c", "20"))
        tap.check(f"view of {name} at n0 is of its eth0", code == 0 and len(numbers(path)) == 20,
                  code, out, err)
    answer = lab.nodes[0].get("/connections/n0/eth0")
    tap.check("so is its address of HTTP",
              answer.replace("n0/", "") == lab.nodes[0].get("/connections/eth0"), answer)
    with client(lab.nodes[0]) as c:
        session = c.call("capture.start", interface="n0/eth0", filter=FILTER, max_packets=20)
        tap.check("so is a capture", wait_for(
            15, lambda: c.call("capture.stats", session_id=session["id"])["packets"] == 20))


def listed(lab):
    found = {i["name"]: i["node"]
             for i in json.loads(lab.nodes[0].get("/api/v1/interfaces?nodes=all"))}
    tap.check("one node lists the interfaces of all", found.get("eth0") == "n0" and
              found.get("n1/eth0") == "n1" and found.get("n2/eth0") == "n2", found)
    out = subprocess.run(["ip", "netns", "exec", lab.places[0].ns, f"{BIN}-extcap",
                          "--extcap-interfaces"], capture_output=True, text=True,
                         env=dict(os.environ, PACKETRECORDER_ENDPOINT="http://127.0.0.1:8080"))
    tap.check("and Wireshark is offered them", "n2/eth0" in out.stdout, out.stdout, out.stderr)


def by_rpc(lab):
    with client(lab.nodes[0]) as c:
        opened = c.call("live.open", interface="n2/eth0", filter=FILTER, snaplen=60)
        tap.check("live.open takes NODE/IFACE", opened["link_type"] == 1, opened)
        answer, grows = read_some(c, opened["stream"], 200)
        tap.check("and live.read has its packets", answer["packets"] >= 200, answer)
        tap.check("with watermarks that grow", grows and answer["watermark_ns"] > 0, answer)
        behind = time.time_ns() - answer["watermark_ns"]
        tap.check(f"that are not far behind ({behind / 1e6:.0f} ms)", behind < 2e9)
        # A swarm that is a second old has not agreed on the time yet.
        with_clock = wait_for(20, lambda: [a for a in [c.call("live.read", stream=opened["stream"],
                                                              wait_ms=100)] if a["clock"]])
        tap.check("with the name and the clock of the far node",
                  with_clock and with_clock[0]["node"] == "n2" and
                  with_clock[0]["clock"]["bound_ns"] < 1e9, with_clock)
        tap.check("nothing was lost", answer["lost"] == 0, answer)
        own = c.call("live.open", interface="n0/eth0", filter=FILTER)
        tap.check("the asked node's own NODE/IFACE is its IFACE", own["node"] == "n0" and
                  read_some(c, own["stream"], 20)[0]["packets"] >= 20, own)
        for wrong, code in (("n0/eth9", "not_found"), ("n2/n1/eth0", "usage"), ("n9/eth0", "not_found"),
                            ("n2/eth9", "not_found")):
            try:
                c.call("live.open", interface=wrong)
                tap.check(f"{wrong} is refused", False)
            except Failed as failed:
                tap.check(f"{wrong} is refused", failed.code == code, failed)


def recorded(lab):
    with client(lab.nodes[1]) as c:
        session = c.call("capture.start", interface="n2/eth0", filter=FILTER, max_packets=300)
        tap.check("a node records the interface of another", wait_for(
            15, lambda: c.call("capture.stats", session_id=session["id"])["state"] != "running"))
        ended = c.call("capture.stats", session_id=session["id"])
        tap.check("all of it", ended["packets"] == 300 and ended["loss"]["store"] == 0, ended)


def away_and_back(lab):
    far = lab.nodes[2]
    with client(lab.nodes[0]) as c:
        stream = c.call("live.open", interface="n2/eth0", filter=FILTER)["stream"]
        read_some(c, stream, 50)
        far.kill()
        tap.check("who reads is not ended when the node dies",
                  not c.call("live.read", stream=stream, wait_ms=1000)["end"])
        far.start(join=[lab.places[0].ip])
        wait_for(20, lambda: lab.converged(3))
        before = c.call("live.read", stream=stream, wait_ms=0)["packets"]
        answer, _ = read_some(c, stream, before + 50)
        tap.check("and goes on when it is back", answer["packets"] >= before + 50, answer, before)


with Lab(SCRATCH, 3) as lab_:
    tap.check("three nodes see each other", lab_.start(3))
    sender = lab_.places[2].broadcast()
    try:
        for part in (listed, by_rpc, by_http, own_name, recorded, away_and_back):
            part(lab_)
    finally:
        sender.kill()
        sender.wait()
    tap.check("no node has ended by itself",
              all(n.process.poll() is None for n in lab_.nodes), [n.said() for n in lab_.nodes])
    with client(lab_.nodes[0]) as following:
        following.call("live.open", interface="n2/eth0", filter=FILTER)
        lab_.nodes[0].kill(signal.SIGTERM)
        tap.check("who follows another ends when he is told to",
                  lab_.nodes[0].process.returncode == 0, lab_.nodes[0].said())
sys.exit(tap.failures > 0)
