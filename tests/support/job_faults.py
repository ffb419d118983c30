# SPDX-License-Identifier: Apache-2.0
"""job_faults.py SCRATCH PART…: who dies, is cut off, has another clock or no disk while a job of many nodes is
on. Each part has a swarm of its own. Driven by tests/system/jobs_faults.sh, which lets them run side by side."""
import json
import os
import signal
import subprocess
import sys
import threading
import time

from job_lab import all_in, call, client, done, manage, own, query, sessions_of, states
from recorder import Tap
from rpc_client import Failed
from swarm_lab import Lab, seconds, wait_for

tap = Tap()
EVERY = 0.001  # a numbered datagram to all


def start_job(node, **more):
    return call(node, "job.start", **{"interface": "eth0", "nodes": ["all"], "filter": "udp port 9", **more})


def rows_of(job):
    return {row["node"]: row["state"] for row in job["nodes"]}


def await_own(node, job, state, seconds_=15):
    return wait_for(seconds_, lambda: own(node, job).get("state") == state)


BEGUN = ("running", "done")  # it may be over when a busy machine comes to look


def await_begun(node, job):
    return wait_for(20, lambda: own(node, job).get("state") in BEGUN and own(node, job).get("session"))


def numbers(node, job):
    """(number, stamp) of what the node's one session of a job has; []: it has none."""
    found = sessions_of(node, job)
    if len(found) != 1:
        return []
    return [(int(bytes.fromhex(p["data"])[42:50]), seconds(p["time"]))
            for p in query(node, found[0]["id"], "--show-data")]


def check_within(name, nodes, job):
    """Each node has packets of it, and none outside of it."""
    begin, end = seconds(job["start_at"]), seconds(job["end_at"])
    for node in nodes:
        got = numbers(node, job["id"])
        tap.check(f"{name}: {node.name} has packets of it, all between its start and its end",
                  len(got) > 50 and got[0][1] > begin - 0.005 and got[-1][1] < end + 0.005,
                  len(got), got[:1], got[-1:], begin, end)


def check_whole(name, nodes, job):
    """Nothing is missing between the first and the last."""
    for node in nodes:
        got = [n for n, _ in numbers(node, job["id"])]
        tap.check(f"{name}: {node.name} has each of its packets once",
                  len(got) > 50 and got == list(range(got[0], got[-1] + 1)), len(got), got[:1], got[-1:])


# ---- a node dies ----

def node_dies(lab):
    """n1 comes back before the start of those that have not begun, n2 behind it."""
    n0, n1, n2 = lab.nodes
    soon = start_job(n0, start_in="1500ms", duration="1h", name="soon")
    skip = start_job(n0, start_in="8s", duration="3s", name="skip")
    late = start_job(n0, start_in="8s", duration="1h", name="late", late="start")
    tap.check("three jobs on one interface are armed on all",
              all(rows_of(j) == all_in("armed") for j in (soon, skip, late)), soon, skip, late)
    wait_for(5, lambda: all(own(n, soon["id"]).get("session") for n in (n1, n2)))
    n1.kill()
    n2.kill()
    n1.start(join=[n0.place.ip])
    tap.check("who is back before the start begins with the others",
              all(await_begun(n1, j["id"]) for j in (skip, late)),
              own(n1, skip["id"]), own(n1, late["id"]))
    tap.check("and is not late", own(n1, skip["id"]).get("late_ns") == 0, own(n1, skip["id"]))
    wait_for(10, lambda: time.time() > seconds(late["start_at"]) + 0.5)
    n2.start(join=[n0.place.ip])
    for job, state in ((skip, "missed"), (late, "running"), (soon, "running")):
        tap.check(f"who is back behind the start of '{job['name']}' says '{state}'",
                  await_own(n2, job["id"], state), own(n2, job["id"]), n2.said())
    tap.check("late, by how much", own(n2, late["id"]).get("late_ns", 0) > 4e8, own(n2, late["id"]))
    for job in (soon, late):
        wait_for(5, lambda j=job: (own(n2, j["id"]).get("packets") or 0) > 100)
        call(n1, "job.stop", job_id=job["id"])
    for job, third in ((soon, "done"), (skip, "missed"), (late, "done")):
        wanted = dict(all_in("done"), n2=third)
        tap.check(f"'{job['name']}' ends on all", wait_for(15, lambda j=job, w=wanted: states(n0, j["id"]) == w),
                  states(n0, job["id"]))
        n = [len(sessions_of(node, job["id"])) for node in lab.nodes]
        tap.check(f"'{job['name']}' ran once on each", n == [1, 1, 0 if third == "missed" else 1], n)
    check_whole("who did not die", [n0], soon)
    check_whole("back before the start", [n0, n1], skip)
    check_within("of two at once", [n0, n1], skip)
    check_within("of two at once", [n0, n1, n2], late)
    check_within("with a hole", [n0, n1, n2], soon)


# ---- the coordinator dies ----

def asking(node, **more):
    """job.start by a thread whose caller gets no answer."""
    def ask():
        try:
            start_job(node, **more)
        except (OSError, EOFError, Failed):
            pass
    thread = threading.Thread(target=ask)
    thread.start()
    return thread


def coordinator_dies(lab):
    """n2 while it tells, n3 when all are armed, n4 behind the start, n5 while it runs; n0 and n1 are left."""
    n0, n1, n2, n3, n4, n5 = lab.nodes
    three = {"late": "skip", "duration": "3s"}
    start_job(n2, name="first", nodes=["n0", "n2"], start_in="1s", duration="500ms")  # waits until the swarm's time is settled
    n1.kill(signal.SIGSTOP)
    threads = [asking(n2, name="telling", nodes=["n0", "n1", "n2"], policy="all", start_in="5s", **three)]
    armed = await_own(n0, "telling", "armed")
    n2.kill()
    n1.kill(signal.SIGCONT)
    tap.check("one is armed when its coordinator dies while it tells the other", armed, own(n0, "telling"))
    told = start_job(n3, name="told", nodes=["n0", "n1", "n3"], policy="quorum", quorum=60,
                     start_in="7s", **three)
    n3.kill()
    begun = start_job(n4, name="begun", nodes=["n0", "n1", "n4"], start_in="3s", duration="4s", policy="all")
    long = start_job(n5, name="long", nodes=["n0", "n1", "n5"], start_in="2s", duration="1h")
    tap.check("those behind it are armed", all(set(rows_of(j).values()) == {"armed"} for j in (told, begun, long)),
              told, begun, long)
    await_own(n4, "begun", "running")
    n4.kill()
    await_own(n5, "long", "running")
    n5.kill()
    for node in (n0, n1):
        for name in ("told", "begun", "long"):
            tap.check(f"'{name}' begins on {node.name} without its coordinator", await_begun(node, name),
                      own(node, name))
    tap.check("'telling' begins where it was armed, as decisions/0014 says", await_begun(n0, "telling"),
              own(n0, "telling"))
    tap.check("and who was not told hears of it, too late", await_own(n1, "telling", "missed"),
              own(n1, "telling"))
    tap.check("any node reports it", states(n1, "telling").get("n0") in BEGUN, states(n1, "telling"))
    code, out, err = done(manage(n1, "stop-capture", "long"))
    tap.check("any node stops it", all(await_own(n, "long", "done") for n in (n0, n1)), code, out, err)
    for name in ("told", "begun"):
        tap.check(f"'{name}' ends by itself", all(await_own(n, name, "done") for n in (n0, n1)),
                  states(n0, name))
    tap.check("'telling' too", await_own(n0, "telling", "done"), states(n0, "telling"))
    for node in (n3, n4, n5):
        node.start(join=[n0.place.ip])
    tap.check("they are up again", wait_for(20, lambda: all(n.is_up() for n in (n3, n4, n5))))
    for node, job, name, state in ((n3, told, "told", "missed"), (n4, begun, "begun", "done"),
                                   (n5, long, "long", "done")):
        tap.check(f"the coordinator of '{name}' comes back and says '{state}'", await_own(node, name, state),
                  own(node, name), node.said())
        tap.check(f"having begun it at most once ({name})", len(sessions_of(node, job["id"])) <= 1)
    check_within("without its coordinator", [n0, n1], told)
    check_within("without its coordinator", [n0, n1], begun)
    for thread in threads:
        thread.join()


# ---- clocks ----

def clocks_apart(lab):
    """n1 is half a minute ahead, n2 half a minute behind; and both come back before they know swarm time."""
    nodes = lab.nodes
    n0, n1, n2 = nodes
    given_up(n0)
    first = start_job(n0, start_in="3s", duration="1s", policy="all", name="first")
    tap.check("a job of a swarm that is just being founded waits until its time is settled, and is armed",
              rows_of(first) == all_in("armed"), first)
    once = start_job(n1, start_in="2s", duration="2s", policy="all")
    job = start_job(n0, start_in="7s", duration="2s", policy="all")
    tap.check("nodes with clocks 30 s apart are armed", rows_of(job) == all_in("armed") == rows_of(once), job, once)
    tap.check("all are done", wait_for(15, lambda: states(n2, once["id"]) == all_in("done")),
              states(n2, once["id"]))
    check_one_instant("clocks 30 s apart", nodes, once)
    lab.cut([1, 2])
    for node in (n1, n2):
        node.kill()
        node.start(join=[n0.place.ip])
    up = wait_for(10, lambda: n1.is_up() and n2.is_up())
    tap.check("who is back and knows no swarm time has not begun, nor missed it",
              up and all(own(n, job["id"]).get("state") in ("arming", "armed") for n in (n1, n2)),
              [own(n, job["id"]) for n in (n1, n2)])
    lab.cut([1, 2], on=False)
    tap.check("all end it", wait_for(20, lambda: states(n0, job["id"]) == all_in("done")),
              states(n0, job["id"]))
    check_one_instant("back without swarm time", nodes, job)


def given_up(node):
    """While a swarm is founded a start waits: one whose caller has no time for it, and one whose caller goes."""
    job = {"interface": "eth0", "nodes": ["all"], "start_in": "2s", "duration": "1s"}
    with client(node) as one:
        codes = [refused(one, one.begin("job.start", dict(job, name=name), deadline_ms=200)) for name in ("late", "later")]
    tap.check("who has no time for a start that waits is told so", codes == ["deadline", "deadline"], codes)
    with client(node) as one:
        one.begin("job.start", dict(job, name="left"))
    settled = start_job(node, start_in="1s", duration="500ms", name="settled")
    names = {j["name"] for j in call(node, "job.list")}
    tap.check("none of these jobs has begun when the time is settled", names == {"settled"}, names, settled)


def refused(one, call_id):
    try:
        one.end(call_id)
    except Failed as failed:
        return failed.code
    return None


def check_one_instant(name, nodes, job):
    got = [numbers(node, job["id"]) for node in nodes]
    firsts = [g[0][0] if g else -1000000 for g in got]
    lasts = [g[-1][0] if g else -1000000 for g in got]
    tap.check(f"{name}: all begin at one packet of the sender, and end at one ({firsts}, {lasts})",
              max(firsts) - min(firsts) <= 10 and max(lasts) - min(lasts) <= 10 and
              min(len(g) for g in got) > 100, firsts, lasts, job)


# ---- a full disk ----

def disk_full(lab):
    n0, n1, n2 = lab.nodes
    job = start_job(n0, start_in="1500ms", duration="8s", filter="")
    tap.check("armed with enough room", rows_of(job) == all_in("armed"), job)
    wait_for(10, lambda: (own(n1, job["id"]).get("packets") or 0) > 300)
    fill(n1.folder)
    tap.check("the others are done", all(await_own(n, job["id"], "done", 30) for n in (n0, n2)),
              states(n0, job["id"]))
    tap.check("the full one has failed, and says why",
              await_own(n1, job["id"], "failed") and "full" in own(n1, job["id"]).get("reason", ""),
              own(n1, job["id"]), n1.said())
    out = f"{lab.scratch}/full.pcapng"
    code, said, err = done(manage(n0, "download-pcap", "--capture-id", job["id"], "-o", out))
    tap.check("the pull has all three, and lacks nothing that was stored", code == 0 and per_node(out).keys() == all_in("").keys(),
              code, said, err)
    counts = per_node(out)
    tap.check("of the full one what it had stored", counts.get("n1", 0) >= 300 and
              counts.get("n0", 0) > counts.get("n1", 0), counts)


def fill(folder):
    """Leaves nothing."""
    with open(f"{folder}/filler", "wb", buffering=0) as file:
        try:
            while True:
                file.write(b"\0" * 65536)
        except OSError:
            pass


def per_node(path):
    """{node: packets} of a merged file, by the manifest beside it; {}: there is none."""
    if not os.path.exists(path + ".json"):
        return {}
    with open(path + ".json", encoding="utf-8") as file:
        return {n["node"]: sum(s["packets"] for s in n["sessions"]) for n in json.load(file)["nodes"]}


# ---- a cut ----

def cut_in_half(lab):
    """n2 and n3 are cut off while jobs run; n4 comes when one half is left."""
    nodes = lab.nodes[:4]
    n0, n1, n2, n3 = nodes
    whole = start_job(n0, start_in="1500ms", duration="8s", filter="")
    long = start_job(n1, name="stopped", start_in="1500ms", duration="1h")
    start_job(n1, name="skip", start_in="1500ms", duration="1h")
    start_job(n1, name="late", start_in="1500ms", duration="1h", late="start")
    for node in nodes:
        await_own(node, long["id"], "running")
    lab.cut([2, 3])
    code, out, err = done(manage(n2, "stop-capture", "stopped"))
    tap.check("a stop in one half ends it there", all(await_own(n, "stopped", "done") for n in (n2, n3)),
              code, out, err)
    tap.check("and not in the other", own(n0, "stopped").get("state") == "running", own(n0, "stopped"))
    n4 = lab.node(4).start(join=[n0.place.ip])
    for name, state in (("late", "running"), ("skip", "missed")):
        tap.check(f"who joins while '{name}' runs says '{state}'", await_own(n4, name, state), own(n4, name))
    tap.check("each ends by itself in its half", all(await_own(n, whole["id"], "done") for n in nodes),
              [own(n, whole["id"]) for n in nodes])
    lab.cut([2, 3], on=False)
    tap.check("the stop reaches the other half", all(await_own(n, "stopped", "done", 25) for n in (n0, n1)),
              states(n0, "stopped"))
    wanted = dict(all_in("done", 4), n4="missed")
    tap.check("healed, one node tells of all", wait_for(20, lambda: states(n3, whole["id"]) == wanted),
              states(n3, whole["id"]))
    output = f"{lab.scratch}/whole.pcapng"
    code, out, err = done(manage(n3, "download-pcap", "--capture-id", whole["id"], "-o", output))
    stored = {n.name: own(n, whole["id"])["packets"] for n in nodes}
    pulled = {name: n for name, n in per_node(output).items() if n > 0}
    tap.check("the pull is complete from all", code == 0 and min(stored.values()) > 1000 and pulled == stored, code, stored, per_node(output), out, err)
    for node in nodes:
        times = [seconds(p["time"]) for p in query(node, sessions_of(node, whole["id"])[0]["id"])]
        tap.check(f"no packet of {node.name} is past the end, nor does it stop before",
                  seconds(whole["end_at"]) - 0.5 < times[-1] < seconds(whole["end_at"]) + 0.005,
                  times[-1], whole)
    call(n4, "job.stop", job_id="late")
    tap.check("'late' ends by who joined it last", all(await_own(n, "late", "done") for n in lab.nodes),
              states(n4, "late"))


def start_faked(lab):
    shifts = {"n0": "0s", "n1": "30s", "n2": "-30s"}
    for i in range(3):
        lab.node(i)
    for node in lab.nodes:
        node.shift = {"PACKETRECORDER_TEST_CLOCK_OFFSET": shifts[node.name]}
        start = node.start
        node.start = lambda *o, _start=start, _env=node.shift, **more: _start(*o, env=_env, **more)
        node.start(join=[] if node.number == 0 else [lab.places[0].ip])
        wait_for(10, node.is_up)
    return lab.converged(3)


def start_small(lab):
    """The store of n1 is on a disk of its own."""
    folder = f"{lab.scratch}/n1"
    os.makedirs(folder, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m,mode=700", "packetrecorder", folder], check=True)
    return lab.start(3)


PARTS = {"node_dies": (node_dies, 3, lambda lab: lab.start(3)),
         "coordinator_dies": (coordinator_dies, 6, lambda lab: lab.start(6)),
         "clocks_apart": (clocks_apart, 3, start_faked),
         "disk_full": (disk_full, 3, start_small),
         "cut_in_half": (cut_in_half, 5, lambda lab: lab.start(4))}


def run_part(name):
    part, n, start = PARTS[name]
    scratch = f"{sys.argv[1]}/{name}"
    os.makedirs(scratch)
    binary = os.environ["PR_FAKED" if name == "clocks_apart" else "PR_NODE"]
    with Lab(scratch, n, binary=binary) as lab:
        try:
            tap.check(f"{name}: the nodes see each other", start(lab))
            senders = [lab.places[i].broadcast(EVERY) for i in ((0, 3) if name == "cut_in_half" else (0,))]
            try:
                part(lab)
            finally:
                for sender in senders:
                    sender.kill()
                    sender.wait()
        finally:
            for node in lab.nodes:
                if node.process is not None and node.process.poll() is None:
                    node.kill()
            subprocess.run(["umount", "-l", f"{scratch}/n1"], check=False, capture_output=True)


run_part(sys.argv[2])
sys.exit(tap.failures > 0)
