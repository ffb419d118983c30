# SPDX-License-Identifier: Apache-2.0
"""swarm_rows.py SCRATCH: figures of real nodes, each in its own network namespace on this machine.
Prints a line a row: median, 99th percentile, least and most. swarm_rows.sh sets PR_SWARM_NODES (50),
PR_SWARM_KILLS (10), PR_SWARM_RUNS (5) and PR_SWARM_ROWS (cold,rest,offset,kill,heal,garbage; those of
swarm_calls.py, swarm_jobs.py and swarm_watch.py are measured when they are named)."""
import base64
import hashlib
import os
import random
import socket
import statistics
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import swarm_calls  # noqa: E402
import swarm_jobs  # noqa: E402
import swarm_watch  # noqa: E402
from swarm_lab import Lab, wait_for  # noqa: E402

SCRATCH = sys.argv[1]
N = int(os.environ.get("PR_SWARM_NODES", "50"))
KILLS = int(os.environ.get("PR_SWARM_KILLS", "10"))
ROWS = os.environ.get("PR_SWARM_ROWS", "cold,rest,offset,kill,heal,garbage").split(",")


def row(name, values, unit="s", digits=2):
    values = sorted(values)
    p99 = values[min(len(values) - 1, int(len(values) * 0.99))]
    print(f"{name}: median {statistics.median(values):.{digits}f} {unit}, p99 {p99:.{digits}f}, "
          f"least {values[0]:.{digits}f}, most {values[-1]:.{digits}f} (n={len(values)})", flush=True)


def joined_by(lab, n):
    """When each node had seen all others, since the last one was ready to speak."""
    spoke = max(os.stat(f"{node.state}/boot").st_mtime for node in lab.nodes[:n])
    done = []
    for node in lab.nodes[:n]:
        seen = sorted(when for when, kind, _ in node.events() if kind == "member.joined")
        done.append(seen[n - 2] - spoke if len(seen) >= n - 1 else float("inf"))
    return done


def cold(lab):
    """All but the first start at once and join it. Measured from when the last has written its boot, since
    starting fifty processes on this machine takes longer than finding each other."""
    whole = lab.start(N)
    print(f"converged: {whole}")
    row(f"cold start of {N}: all others known, after the last was up", joined_by(lab, N))


def rest(lab):
    """Who is asked for metrics looks at its store for a while, and at its connection: twenty seconds later
    it is at rest again. What a node does by itself it does once a minute at least: a minute has it all."""
    seconds, some = 60, lab.nodes[:N:5]
    time.sleep(20)
    asked = time.monotonic()
    sent = [n.metric("packetrecorder_swarm_bytes_sent_total") for n in some]
    for node in lab.nodes[:N]:
        node.hang_up()
    time.sleep(20)
    before = [n.cpu_ns() for n in some]
    time.sleep(seconds)
    row("at rest: CPU of the whole process", [(n.cpu_ns() - b) / seconds / 1e7
                                              for n, b in zip(some, before)], "%", 4)
    pss = [n.pss_bytes() / 1e6 for n in some]
    more = [n.metric("packetrecorder_swarm_bytes_sent_total") for n in some]
    seconds = time.monotonic() - asked
    row("at rest: UDP payload sent", [(b - a) / seconds for a, b in zip(sent, more)], "B/s", 0)
    row("at rest: PSS", pss, "MB", 1)


def offset(lab):
    """Twenty seconds long, when all pairs have met at rest."""
    errors, bounds, wrong = [], [], 0
    time.sleep(10 + N)
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for node in lab.nodes[:N]:
            for name, m in node.members().items():
                if name != node.name and m["offset_ns"] is not None:
                    errors.append(abs(m["offset_ns"]) / 1000)
                    bounds.append(m["bound_ns"] / 1000)
                    wrong += abs(m["offset_ns"]) > m["bound_ns"]
        time.sleep(0.5)
    row("clock offset: error", errors, "us", 1)
    row("clock offset: bound", bounds, "us", 0)
    print(f"clock offset: bounds that were wrong: {wrong} of {len(errors)}")


def kill(lab):
    suspected, known = [], []
    for _ in range(KILLS):
        victim = random.choice(lab.nodes[1:N])
        others = [n for n in lab.nodes[:N] if n is not victim]
        at = time.time()
        victim.kill()
        wait_for(30, lambda: sum(s == "dead" for s in others[-1].states().values()) > 0)
        time.sleep(1.5)
        first, dead = [], []
        for node in others:
            told = [(when, kind) for when, kind, data in node.events()
                    if when > at and data.get("member") == victim.name]
            first += [when for when, kind in told if kind == "member.suspect"][:1]
            dead += [when for when, kind in told if kind == "member.dead"][:1]
        if len(dead) == len(others):
            suspected.append(min(first + dead) - at)
            known.append(max(dead) - at)
        else:
            print(f"# {len(dead)} of {len(others)} know")
        victim.start(join=[lab.places[0].ip])
        wait_for(30, lambda: others[-1].sees(victim.name, "alive"))
        time.sleep(3)
    row(f"{N} nodes: kill to first suspicion", suspected)
    row(f"{N} nodes: kill to all know", known)


def heal(lab):
    half = [n.number for n in lab.nodes[:N // 2]]
    lab.cut(half)
    time.sleep(60)
    dead = sum(s == "dead" for s in lab.nodes[0].states().values())
    lab.cut(half, on=False)
    healed = time.time()
    ok = wait_for(30, lambda: all(n.n_alive() == N for n in lab.nodes[:N:7]))
    ok = ok and lab.converged(N)
    last = max(when for n in lab.nodes[:N] for when, kind, _ in n.events()
               if kind in ("member.joined", "member.alive"))
    print(f"{N} nodes: parted for 60 s ({dead} dead on one side), healed {ok} after "
          f"{last - healed:.2f} s", flush=True)


def ring_id(path):
    """The key's id, which is on the wire in clear (swim_key_id)."""
    with open(path, encoding="ascii") as file:
        key = base64.urlsafe_b64decode(file.read().strip().split("_", 2)[2] + "=")
    return hashlib.blake2b(b"ring key id", key=key, digest_size=32).digest()[:4]


def garbage(lab):
    """100 Mbit/s of datagrams of 128 bytes, paced without pauses: under a key that is not of this swarm; and
    under the one that is, with a tag that is wrong, so that each has to be opened."""
    target = lab.nodes[2]
    head = bytes([0xD7, 1, 0, 0])
    kinds = {"a foreign key": head + b"x" * 124, "a wrong tag": head + ring_id(lab.key) + b"x" * 120}

    def flood(packet, seconds=10):
        began, n = time.monotonic(), 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while (now := time.monotonic() - began) < seconds:
                while n < now * 100e6 / 8 / len(packet):
                    s.sendto(packet, (target.place.ip, 7946))
                    n += 1
                    if n % 50 == 0:
                        break
        return n * len(packet) * 8 / seconds / 1e6
    for kind, packet in kinds.items():
        since, cores, rates = time.time(), [], []
        dropped = target.metric("packetrecorder_swarm_kernel_drops_total")
        for _ in range(int(os.environ.get("PR_SWARM_RUNS", "5"))):
            cpu, began = target.cpu_ns(), time.monotonic()
            rates.append(lab.places[N].inside(flood, packet))
            cores.append((target.cpu_ns() - cpu) / (time.monotonic() - began) / 1e7)
            time.sleep(1)
        false = [d for n in lab.nodes[:N] for when, kind, d in n.events()
                 if when > since and kind in ("member.suspect", "member.dead")]
        name = f"garbage with {kind} against one of {N}"
        row(f"{name}: sent", rates, "Mbit/s", 0)
        row(f"{name}: CPU", cores, "% of a core", 1)
        print(f"{name}: {len(false)} suspicions, kernel dropped "
              f"{target.metric('packetrecorder_swarm_kernel_drops_total') - dropped:.0f}", flush=True)


ALL = {"cold": cold, "rest": rest, "offset": offset, "kill": kill, "heal": heal, "garbage": garbage}
MORE = {**swarm_calls.ALL, "watch": swarm_watch.watch, "cut": swarm_jobs.cut}
UNKNOWN = [name for name in ROWS if name not in ALL and name not in MORE]
if UNKNOWN:
    sys.exit(f"--rows: there is no row '{UNKNOWN[0]}'")
with Lab(SCRATCH, N + 1) as place:
    if "cold" not in ROWS:
        print(f"converged: {place.start(N)}", flush=True)
    for name in ROWS:
        if name in ALL:
            ALL[name](place)
        else:
            MORE[name](place, row)
