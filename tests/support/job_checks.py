# SPDX-License-Identifier: Apache-2.0
"""job_checks.py SCRATCH: jobs of a swarm of three real nodes, each in a namespace of its own, with
traffic between them all the time. Driven by tests/system/jobs.sh."""
import json
import signal
import sys

from job_lab import all_in, await_states, call, done, manage, own, query, sessions_of, states
from recorder import Tap
from swarm_lab import Lab, seconds, wait_for

tap = Tap()
SCRATCH = sys.argv[1]


def stamps(node, session):
    """The first and the last packet's, by the kernel of the node."""
    times = [seconds(packet["time"]) for packet in query(node, session)]
    return times[0], times[-1], len(times)


def own_packets(node, session):
    """Of the swarm's own traffic, whichever way: there is no other."""
    return query(node, session, "--", "tcp or (udp and not port 9)")


def relates(node, session, reference):
    """Its clock was measured against the reference's, within what a bridge takes, at both ends."""
    samples = session["clock"]
    peers = [s["reference"] for s in samples]
    return len(samples) >= 2 and (all(p is None for p in peers) if node is reference else
                                  peers[-1] is not None and peers[-1]["bound_ns"] < 5e6)


# ---- together ----

def one_instant(lab):
    nodes = lab.nodes
    started = done(manage(nodes[0], "start-capture", "-i", "lo", "-i", "eth*", "--all", "-t", "2s", "--name",
                          "both", "--policy", "all", "--json"))
    tap.check("three nodes are armed from one", started[0] == 0, *started)
    job = json.loads(started[1])
    tap.check("each says so", {r["node"]: r["state"] for r in job["nodes"]} == all_in("armed"), job)
    tap.check("and all are done at the end", await_states(nodes[1], job["id"], all_in("done")),
              states(nodes[1], job["id"]))
    begin, end = seconds(job["start_at"]), seconds(job["end_at"])
    found = []
    for node in nodes:
        sessions = sessions_of(node, job["id"])
        tap.check(f"{node.name} has one session of it", len(sessions) == 1, sessions)
        tap.check(f"{node.name} has both interfaces in it",
                  sorted(i["name"] for i in sessions[0]["interfaces"]) == ["eth0", "lo"], sessions[0])
        found.append(stamps(node, sessions[0]["id"]))
        tap.check(f"{node.name} knows its clock against that of the node asked",
                  relates(node, sessions[0], nodes[0]), sessions[0])
        tap.check(f"{node.name} lost nothing", sessions[0]["loss"]["kernel"] == 0 and
                  sessions[0]["loss"]["store"] == 0, sessions[0])
    firsts, lasts = [f[0] for f in found], [f[1] for f in found]
    tap.check(f"their first packets are within 3 ms ({(max(firsts) - min(firsts)) * 1e3:.2f} ms)",
              max(firsts) - min(firsts) < 0.003, found)
    tap.check("none is before the start or behind the end",
              min(firsts) > begin - 0.001 and max(lasts) < end + 0.001, found, begin, end)
    code, out, err = done(manage(nodes[2], "capture-status", "both", "--json"))
    shown = json.loads(out)
    tap.check("any node shows it, by its name", code == 0 and shown["state"] == "done" and
              all(r["packets"] > 100 and r["late_ns"] == 0 and r["session"] for r in shown["nodes"]),
              code, out, err)


def stopped_elsewhere(lab):
    nodes = lab.nodes
    waiting = manage(nodes[0], "start-capture", "-i", "eth0", "--nodes", "n0,n1,n2", "--wait",
                     "--name", "long")
    tap.check("a job without a limit runs",
              wait_for(15, lambda: states(nodes[1], "long") == all_in("running")),
              states(nodes[1], "long"))
    code, out, err = done(manage(nodes[2], "stop-capture", "long"))
    tap.check("another node stops it", code == 0 and out.count(" done ") == 3, code, out, err)
    code, out, err = done(waiting)
    tap.check("who waits for it is told, and that it had an hour",
              code == 0 and "an hour" in err, code, out, err)


def interrupted(lab):
    nodes = lab.nodes
    waiting = manage(nodes[0], "start-capture", "-i", "eth0", "--all", "-t", "60s", "--wait",
                     "--name", "cut")
    wait_for(15, lambda: states(nodes[1], "cut") == all_in("running"))
    waiting.send_signal(signal.SIGINT)
    code, out, err = done(waiting)
    tap.check("an interrupt of --wait leaves nothing running",
              states(nodes[1], "cut") == all_in("done"), code, out, err)


def refused(lab):
    nodes = lab.nodes
    code, out, err = done(manage(nodes[0], "start-capture", "-i", "eth0", "--all", "-t", "1s", "--",
                                 "nonsense"))
    tap.check("a filter that is none is refused by each", code == 1 and out.count("nonsense") > 2,
              code, out, err)
    code, out, err = done(manage(nodes[0], "start-capture", "-i", "lo1", "--all", "-t", "1s"))
    tap.check("an interface that nobody has is told by each", code == 1 and out.count("lo1") == 3,
              code, out, err)
    code, out, err = done(manage(nodes[0], "start-capture", "-i", "lo", "--nodes", "n0,n7", "-t",
                                 "1s"))
    tap.check("a node that nobody knows is named", code in (1, 2) and "n7" in err, code, out, err)
    code, out, err = done(manage(nodes[0], "start-capture", "-i", "eth0", "--all", "-t", "1s",
                                 "--start-at", "2262-04-11T23:47:16Z"))
    tap.check("a start beyond a year is refused", code in (1, 2) and "366 days" in err, code, out, err)


# ---- trouble ----

def killed_and_back(lab):
    nodes = lab.nodes
    job = call(nodes[0], "job.start", interface="eth0", nodes=["all"], duration="9s",
               start_in="2s")["id"]
    wait_for(10, lambda: own(nodes[1], job).get("state") == "running")
    session = own(nodes[1], job).get("session")
    wait_for(5, lambda: own(nodes[1], job).get("packets", 0) > 100)
    nodes[1].kill()
    nodes[1].start(join=[lab.places[0].ip])
    tap.check("a node that was killed goes on with it",
              wait_for(15, lambda: own(nodes[1], job).get("state") == "running"), own(nodes[1], job))
    tap.check("and ends it in time",
              wait_for(15, lambda: own(nodes[1], job).get("state") == "done"), own(nodes[1], job))
    found = sessions_of(nodes[1], job)
    tap.check("all of it is one session", len(found) == 1 and found[0]["id"] == session, found,
              session)
    first, last, n = stamps(nodes[1], session)
    tap.check("which has both halves", last - first > 7 and n == found[0]["packets"],
              first, last, n, found)
    wait_for(10, lambda: states(nodes[0], job) == all_in("done"))
    own_ = {n.name: own_packets(n, sessions_of(n, job)[0]["id"]) for n in nodes}
    tap.check("nothing of what the nodes said to each other was captured", not any(own_.values()),
              {name: packets[:5] for name, packets in own_.items()})


def down_at_the_start(lab):
    nodes = lab.nodes
    nodes[2].kill()
    job = call(nodes[0], "job.start", interface="eth0", nodes=["n0", "n2"], duration="3s",
               start_in="1.5s")
    rows = {r["node"]: r["state"] for r in job["nodes"]}
    tap.check("a node that is down is unreached", rows == {"n0": "armed", "n2": "unreached"}, job)
    wait_for(10, lambda: own(nodes[0], job["id"]).get("state") == "running")
    nodes[2].start(join=[lab.places[0].ip])
    tap.check("and says that it missed it when it is back",
              wait_for(20, lambda: own(nodes[2], job["id"]).get("state") == "missed"),
              own(nodes[2], job["id"]))


def cut_off(lab):
    nodes = lab.nodes
    wait_for(20, lambda: lab.converged(3))
    job = call(nodes[0], "job.start", interface="eth0", nodes=["all"], duration="4s",
               start_in="1.5s")["id"]
    wait_for(10, lambda: own(nodes[2], job).get("state") == "running")
    lab.cut([2])
    tap.check("who is cut off ends by itself",
              wait_for(10, lambda: own(nodes[2], job).get("state") == "done"), own(nodes[2], job))
    lab.cut([2], on=False)
    tap.check("after the healing any node tells of all",
              wait_for(20, lambda: states(nodes[0], job) == all_in("done")), states(nodes[0], job))


with Lab(SCRATCH, 3) as lab_:
    tap.check("three nodes see each other", lab_.start(3))
    senders = [place.broadcast(0.0003) for place in lab_.places]
    try:
        for part in (one_instant, stopped_elsewhere, interrupted, refused, killed_and_back,
                     down_at_the_start, cut_off):
            part(lab_)
    finally:
        for sender in senders:
            sender.kill()
            sender.wait()
    tap.check("no node has ended by itself",
              all(n.process.poll() is None for n in lab_.nodes), [n.said() for n in lab_.nodes])
sys.exit(tap.failures > 0)
