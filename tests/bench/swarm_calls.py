# SPDX-License-Identifier: Apache-2.0
"""Rows of swarm_rows.py that are about calls and packets through another node: fanout, calls, live,
pull, flood. Each takes the lab, whose nodes are up, and the function that prints a row. The tools are
those of $PR_BUILD (build/release)."""
import contextlib
import os
import subprocess
import time

from rpc_client import Client
from swarm_lab import run, wait_for

BUILD = os.environ.get("PR_BUILD", "build/release")
BIN = f"{BUILD}/cli/packetrecorder"
RUNS = int(os.environ.get("PR_SWARM_RUNS", "5"))
FRAME = 102
PULL_BYTES = 1 << 30  # of all nodes together
PIECE = 4 << 20


def tool(name, *words, ns=None):
    """A process of a program of the benchmark, in a namespace."""
    command = ["ip", "netns", "exec", ns] if ns else []
    return subprocess.Popen([*command, f"{BUILD}/tests/bench/{name}", *map(str, words)],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process, seconds=120):
    out, err = process.communicate(timeout=seconds)
    if process.returncode != 0:
        raise OSError(f"{process.args}: {err}{out}")
    return out


def words(text):
    return {k: float(v) for k, v in (word.split("=") for word in text.split())}


def socket_of(node):
    return f"{node.folder}/rpc.sock"


# ---- calls ----

def fanout(lab, row):
    """The first one makes the connections to all."""
    took, asked = [], [lab.nodes[i % lab.n] for i in range(RUNS)]
    for node in asked:
        with Client(socket_of(node)) as c:
            for _ in range(2):
                began = time.monotonic()
                answers = c.end(c.begin("node.info", {}, nodes="all"))["nodes"]
                took.append((time.monotonic() - began) * 1e3)
                failed = [a for a in answers if "result" not in a]
                if failed or len(answers) != len(lab.nodes):
                    print(f"# {len(answers)} answers, {len(failed)} failed: {failed[:1]}")
    row(f"node.info of {len(lab.nodes)} nodes through one that has no connections", took[::2], "ms", 1)
    row(f"node.info of {len(lab.nodes)} nodes, again", took[1::2], "ms", 1)


def calls(lab, row):
    node, other = lab.nodes[0], lab.nodes[1]
    for name, more in (("to a node", []), ("through it to another", [other.name])):
        found = [words(ended(tool("rpc_load", f"unix:{socket_of(node)}", "-", "calls", 1000, *more)))
                 for _ in range(RUNS)]
        row(f"1,000 calls at once {name}, {sum(f['failed'] for f in found):.0f} failed: p99",
            [f["p99_ms"] for f in found], "ms", 1)


# ---- packets ----

@contextlib.contextmanager
def wire(lab, node):
    """Another interface of a node, wire0, whose other end, wire1, is in a place of its own."""
    ns = f"{lab.name}-w{node.place.number}"
    run("ip", "netns", "add", ns)
    try:
        run("ip", "-n", ns, "link", "add", "wire1", "type", "veth", "peer", "name", "wire0", "netns",
            node.place.ns)
        for where, end in ((ns, "wire1"), (node.place.ns, "wire0")):
            run("ip", "-n", where, "link", "set", end, "addrgenmode", "none")  # it says nothing itself
            run("ip", "-n", where, "link", "set", end, "up")
        run("ip", "netns", "exec", node.place.ns, "ethtool", "-K", "wire0", "gro", "on")
        yield ns
    finally:
        run("ip", "-n", ns, "link", "del", "wire1", check=False)  # at once; that of a namespace is not
        run("ip", "netns", "del", ns)


def flood(ns, count, pps, to="02:00:00:00:00:99"):
    """To nobody: the kernel drops each frame behind the capture."""
    return tool("flood", "wire1", to, count, FRAME, 1024, pps, ns=ns)


def received(node):
    text = run("ip", "netns", "exec", node.place.ns, "cat",
               "/sys/class/net/wire0/statistics/rx_packets").stdout
    return int(text)


def live(lab, row):
    """From the stamp of a packet of a node to its bytes at the viewer of another."""
    far, near = lab.nodes[2], lab.nodes[0]
    for pps in (10000, 100000):
        p50, p99, told, missing = [], [], 0, 0
        with wire(lab, far) as ns:
            for _ in range(RUNS):
                path = "/connections/n2/wire0?format=pcapng"
                viewer = tool("ws_viewer", "-s", 8080, path, 30, ns=near.place.ns)
                while "ready" not in viewer.stderr.readline():
                    pass
                time.sleep(0.5)
                before = received(far)
                ended(flood(ns, pps * 5, pps))
                sent = received(far) - before
                viewer.terminate()
                got = words(ended(viewer))
                p50.append(got["p50_us"] / 1e3)
                p99.append(got["p99_us"] / 1e3)
                told += got["told"]
                missing += sent - got["packets"] - got["told"]
        row(f"{pps // 1000} kpps of a node to a viewer of another ({told:.0f} told as lost, "
            f"{missing:.0f} missing): median", p50, "ms", 1)
        row("the same: p99", p99, "ms", 1)


@contextlib.contextmanager
def recording(node):
    """A capture of wire0; what was lost is in the dictionary behind it."""
    found = {}
    with Client(socket_of(node)) as c:
        session = c.call("capture.start", interface="wire0")["id"]
        before = received(node)
        yield found
        sent = received(node) - before
        wait_for(2, lambda: c.call("capture.stats", session_id=session)["packets"] >= sent)
        ended_ = c.call("capture.stop", session_id=session)
        found.update(sent=sent, packets=ended_["packets"], lost=sum(ended_["loss"].values()))
        c.call("session.delete", session_id=session)


def pull(lab, row):
    """Of three nodes while each of them records 33,000 packets a second."""
    near, far = lab.nodes[0], lab.nodes[1:4]
    size = PULL_BYTES // len(far)
    mixed = f"{lab.scratch}/mixed.pcap"
    subprocess.run([f"{BUILD}/tests/bench/make_mixed", mixed, str(size)], check=True,
                   stdout=subprocess.DEVNULL)
    for node in far:
        run(BIN, "--quiet", "capture", "-r", mixed, "-d", f"{node.folder}/p.db", "--name", "mixed")
    os.unlink(mixed)

    def once(node, *names):
        return words(ended(tool("rpc_pull", f"unix:{socket_of(node)}", "-", "mixed", PIECE,
                                *names)))["mb_per_s"]

    def merged():
        """All three as one file, as a user does it."""
        output = f"{lab.scratch}/merged.pcapng"
        began = time.monotonic()
        run(BIN, "--quiet", "manage", "--endpoint", f"unix:{socket_of(near)}", "download-pcap", "-s",
            "mixed", "--nodes", ",".join(node.name for node in far), "-o", output)
        rate = os.path.getsize(output) / (time.monotonic() - began) / 1e6
        os.unlink(output)
        os.unlink(output + ".json")
        return rate

    def beside_captures(measure):
        with contextlib.ExitStack() as all_:
            wires = [all_.enter_context(wire(lab, node)) for node in far]
            records = [all_.enter_context(recording(node)) for node in far]
            floods = [flood(ns, 33000 * 20, 33000) for ns in wires]
            rate = measure()
            for process in floods:
                process.terminate()
                process.wait()
        return rate, sum(r["lost"] + r["sent"] - r["packets"] for r in records)

    found = {"of a node itself": [], "of it through another": [], "of three through another": [],
             "of three, merged into one file": []}
    lost = 0
    for _ in range(RUNS):
        found["of a node itself"].append(once(far[0]))
        found["of it through another"].append(once(near, far[0].name))
        for name, measure in (("of three through another", lambda: once(near, *[n.name for n in far])),
                              ("of three, merged into one file", merged)):
            rate, missing = beside_captures(measure)
            found[name].append(rate)
            lost += missing
    for name, values in found.items():
        row(f"pull of {size >> 20} MiB {name}", values, "MB/s", 0)
    print(f"while three were pulled their captures lost {lost}")


def flooded(lab, row):
    """A member that records a million packets a second, and a node without a swarm that does."""
    member = lab.nodes[1]
    alone = lab.node(len(lab.nodes), place=lab.places[-1])
    lab.nodes.remove(alone)
    alone.start(alone=True)
    wait_for(10, alone.is_up)
    lost, since = {member: [], alone: []}, time.time()
    dropped = member.metric("packetrecorder_swarm_kernel_drops_total")
    try:
        for _ in range(RUNS):
            for node in lost:
                with wire(lab, node) as ns, recording(node) as found:
                    ended(flood(ns, 5000000, 1000000))
                lost[node].append(found["lost"] / found["sent"] * 1e6)
    finally:
        alone.kill()
    suspicions = [d for n in lab.nodes for when, kind, d in n.events() if when > since
                  and kind in ("member.suspect", "member.dead") and d.get("member") == member.name]
    row("1 Mpps recorded by a member: lost of a million", lost[member], "packets", 0)
    row("1 Mpps recorded by a node alone: lost of a million", lost[alone], "packets", 0)
    print(f"suspicions of it at {len(lab.nodes)} nodes: {len(suspicions)}; datagrams of the swarm that "
          f"its kernel dropped: "
          f"{member.metric('packetrecorder_swarm_kernel_drops_total') - dropped:.0f}", flush=True)


ALL = {"fanout": fanout, "calls": calls, "live": live, "pull": pull, "flood": flooded}
