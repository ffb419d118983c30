# SPDX-License-Identifier: Apache-2.0
"""Row of swarm_rows.py: a job of all nodes that are parted half and half while it runs. It ends in both halves, they are
healed behind that, and one node is asked for all of it."""
import json
import os
import time

from job_lab import all_in, await_states, call, done, manage, own, query, sessions_of
from swarm_lab import seconds, wait_for

RUNS = int(os.environ.get("PR_SWARM_RUNS", "5"))
EVERY = 0.001  # a numbered datagram to all, by one sender in each half
DURATION = 8


def per_node(path):
    """{node: packets} of a merged file, by the manifest beside it."""
    with open(path + ".json", encoding="utf-8") as file:
        return {n["node"]: sum(s["packets"] for s in n["sessions"]) for n in json.load(file)["nodes"]}


def holes(packets):
    """Numbers that a half lacks between the first and the last of its sender, the sender told apart by its address."""
    lists = {}
    for packet in packets:
        data = bytes.fromhex(packet["data"])
        lists.setdefault(data[26:30], []).append(int(data[42:50]))
    return min(len(set(range(got[0], got[-1] + 1)) - set(got)) for got in lists.values())


def once(lab, nodes, number):
    asked, far = nodes[0], nodes[len(nodes) // 2:]
    job = call(asked, "job.start", interface="eth0", nodes=["all"], filter="udp port 9", start_in="3s",
               duration=f"{DURATION}s")
    begin, end = seconds(job["start_at"]), seconds(job["end_at"])
    wait_for(10, lambda: time.time() > begin + 2)
    lab.cut([n.number for n in far] + [lab.n - 1])
    ended = wait_for(DURATION + 10, lambda: all(own(n, job["id"]).get("state") == "done" for n in nodes))
    lab.cut([n.number for n in far] + [lab.n - 1], on=False)
    healed = time.monotonic()
    told = await_states(asked, job["id"], all_in("done", len(nodes)), 30)
    took = time.monotonic() - healed
    out = f"{lab.scratch}/cut-{number}.pcapng"
    code, _, err = done(manage(asked, "download-pcap", "--capture-id", job["id"], "-o", out), 120)
    pulled = per_node(out) if code == 0 else {}
    stored, past, lacking = {}, [], []
    for node in nodes:
        packets = [p for s in sessions_of(node, job["id"]) for p in query(node, s["id"], "--show-data")]
        stored[node.name] = len(packets)
        past.append((seconds(packets[-1]["time"]) - end) * 1e3 if packets else float("inf"))
        lacking.append(holes(packets) if packets else -1)
    whole = sum(pulled.get(name) == n and n > 0 for name, n in stored.items())
    said = (f"ended on all {bool(ended)}, told by one node {bool(told)}; pull complete from {whole} of {len(nodes)}, "
            f"{sum(pulled.values())} of {sum(stored.values())} packets; {sum(lacking)} numbers lacking" + (f"; {err}" if code else ""))
    return took, past, said


def cut(lab, row):
    nodes = lab.nodes[:lab.n - 1]
    senders = [lab.places[i].broadcast(EVERY) for i in (0, lab.n - 1)]
    took, past, told = [], [], []
    try:
        for i in range(RUNS):
            one = once(lab, nodes, i)
            took.append(one[0])
            past += one[1]
            told.append(one[2])
            lab.converged(len(nodes))
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()
    name = f"a job of {len(nodes)} nodes, parted half and half before its end"
    row(f"{name}: from healed to all told by one node", took, digits=3)
    row(f"{name}: last packet of a node, behind the end", past, "ms", 1)
    for line in told:
        print(f"  {line}", flush=True)
