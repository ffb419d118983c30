# SPDX-License-Identifier: Apache-2.0
"""job_rows.py SCRATCH [NODES [JOBS]]: what jobs of a swarm of real nodes take, each node in a network
namespace of its own: how long it takes until all are armed, and how far apart their captures begin, by
the time stamps of packets (a broadcast every 0.1 ms that each of them sees). Root; PR_NODE and PR_BIN."""
import json
import os
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
from rpc_client import Client  # noqa: E402
from swarm_lab import Lab, seconds, wait_for  # noqa: E402

SCRATCH = sys.argv[1]
NODES = int(sys.argv[2]) if len(sys.argv) > 2 else 50
JOBS = int(sys.argv[3]) if len(sys.argv) > 3 else 10
BIN = os.environ.get("PR_BIN", "build/release/cli/packetrecorder")


def first_packet(node, session):
    out = subprocess.run([BIN, "query", "-d", f"{node.folder}/p.db", "-s", session, "--json", "-l",
                          "1"], capture_output=True, text=True, check=True).stdout
    return seconds(json.loads(out.splitlines()[0])["time"])


def one_job(lab, number):
    with Client(f"{lab.nodes[number % lab.n].folder}/rpc.sock") as asked:
        began = time.monotonic()
        job = asked.call("job.start", interface="eth0", nodes=["all"], filter="udp port 9",
                         max_packets=20, duration="5s", start_in="4s")
        armed_in = time.monotonic() - began
        armed = sum(row["state"] == "armed" for row in job["nodes"])

        def rows():
            return asked.call("job.status", job_id=job["id"])["nodes"]
        wait_for(20, lambda: all(row["state"] == "done" for row in rows()))
        found = {row["node"]: row["session"] for row in rows() if row["state"] == "done"}
    firsts = [first_packet(node, found[node.name]) for node in lab.nodes if node.name in found]
    return armed_in, armed, firsts


with Lab(SCRATCH, NODES) as lab_:
    print(f"{NODES} nodes see each other: {bool(lab_.start(NODES))}", flush=True)
    time.sleep(10)  # clocks are measured
    sender = lab_.places[0].broadcast(0.00005)
    arms, skews = [], []
    try:
        for i in range(JOBS):
            took, n, times = one_job(lab_, i)
            arms.append(took)
            skews += [t - min(times) for t in times]
            print(f"job {i}: {n} armed in {took * 1e3:.0f} ms, {len(times)} began within "
                  f"{(max(times) - min(times)) * 1e3:.3f} ms", flush=True)
    finally:
        sender.kill()
        sender.wait()
    skews.sort()
    print(f"| arm {NODES} nodes | {max(arms) * 1e3:.0f} ms at the most |")
    print(f"| start skew, p99 of {len(skews)} | {skews[len(skews) * 99 // 100] * 1e3:.3f} ms |")
