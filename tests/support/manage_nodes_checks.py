# SPDX-License-Identifier: Apache-2.0
"""The commands of `manage` for several nodes, through one of three: for forward_checks.py, which has the
lab. Each is one row of the table below; what it prints has the node, and its exit code says who answered."""
import json
import os
import re
import subprocess

from swarm_lab import wait_for

BIN = os.path.abspath(os.environ["PR_BIN"])


class Manage:
    """The command line, asking one node on its socket."""

    def __init__(self, node):
        self.endpoint = f"unix:{node.folder}/rpc.sock"

    def __call__(self, *words, timeout=60):
        done = subprocess.run([BIN, "manage", "--endpoint", self.endpoint, *words], timeout=timeout,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        self.out, self.err = done.stdout, done.stderr
        return done.returncode

    def rows(self, *words):
        """(exit code, what --json printed, as a list)"""
        code = self(*words, "--json")
        try:
            return code, json.loads(self.out or "[]")
        except json.JSONDecodeError:
            return code, [json.loads(line) for line in self.out.splitlines()]


# What each prints with --json: rows of all three ("each"), or none ("nothing").
COMMANDS = (
    (("info",), "each"),
    (("list-interfaces",), "each"),
    (("sessions",), "each"),
    (("captures",), "nothing"),
    (("captures", "one"), "each"),
    (("capture-status", "one"), "each"),
    (("query", "-s", "one", "-l", "0"), "each"),
    (("query", "-s", "all"), "some"),
    (("replays",), "nothing"),
    (("members",), "each"),
    (("keys", "list"), "some"),
    (("audit",), "some"),
    (("doctor",), "each"),
)

ONE_AT_A_TIME = (
    ("leave",), ("join", "10.88.0.9"), ("members", "forget", "n2"), ("cluster-keys", "list"),
    ("keys", "add", "--role", "view"), ("keys", "revoke", "none at all"), ("events", "-c", "1"),
    ("replay", "-s", "one"),
)

NAMES = ["n0", "n1", "n2"]


def record(tap, manage, lab):
    """A session of a few packets on each node, of one name."""
    traffic = lab.places[0].broadcast(0.01)
    code = manage("start-capture", "-i", "eth0", "--all", "--name", "one", "-c", "5", "--wait",
                  "--start-at", "+1s", "--", "udp port 9")
    traffic.kill()
    traffic.wait()
    tap.check("a capture on all", code == 0 and all(re.search(f"^{n} +done ", manage.out, re.M)
                                                    for n in NAMES), manage.out, manage.err)


def by_the_table(tap, manage):
    for words, kind in COMMANDS:
        code, rows = manage.rows(*words, "--all")
        nodes = sorted({row.get("node") for row in rows})
        good = {"each": nodes == NAMES, "some": bool(rows) and set(nodes) <= set(NAMES),
                "nothing": rows == []}[kind]
        ends = code == (1 if words[0] == "doctor" and any(r["state"] == "problem" for r in rows) else 0)
        tap.check(f"{' '.join(words)} of all", good and ends, words, code, manage.out[:2000],
                  manage.err)
    for words in ONE_AT_A_TIME:
        tap.check(f"{' '.join(words[:2])} is for one at a time: 2", manage(*words, "--all") == 2 and
                  ("--nodes NODE" in manage.err or "--endpoint" in manage.err), manage.err)


def chosen(tap, manage):
    code, rows = manage.rows("info", "--nodes", "n2,n1", "--nodes", "n2")
    tap.check("those that are named, once", code == 0 and [r["node"] for r in rows] == ["n1", "n2"])
    tap.check("in a table with the node", manage("sessions", "--nodes", "n1,n2") == 0 and
              re.match("NODE +ID ", manage.out) and
              {line.split()[0] for line in manage.out.splitlines()[1:]} == {"n1", "n2"}, manage.out)
    tap.check("who is not known is named", manage("info", "--nodes", "n1,nobody") == 1 and
              "nobody" in manage.err, manage.err)
    tap.check("two ways at once: 2", manage("info", "--all", "--nodes", "n1") == 2)
    code, ring = manage.rows("cluster-keys", "list", "--nodes", "n1")
    tap.check("one node through another", code == 0 and len(ring) == 1, manage.out, manage.err)
    _, rows = manage.rows("query", "-s", "one", "-l", "0", "--all")
    times = [row["time"] for row in rows]
    tap.check("packets of all come in the order of their times", len(rows) == 15 and
              times == sorted(times))
    tap.check("lines begin with time and node", manage("query", "-s", "one", "--all") == 0 and
              re.match(r"\S+Z n[012] eth0 IP ", manage.out), manage.out[:300])
    path = f"{os.path.dirname(manage.endpoint[5:])}/of-n1.pcap"
    tap.check("a download of another node", manage(
        "download-pcap", "-s", "one", "--nodes", "n1", "-o", path) == 0 and os.path.getsize(path) > 400,
        manage.err)


def pruned(tap, manage):
    code, rows = manage.rows("prune", "--all", "--max-age", "1h")
    tap.check("prune finds nothing that is old", code == 0 and [r["node"] for r in rows] == NAMES and
              all(r["sessions"] == 0 for r in rows), manage.out, manage.err)
    tap.check("a quorum needs its policy", manage("start-capture", "-i", "eth0", "--all", "--quorum", "60") == 2
              and "--policy quorum" in manage.err, manage.err)
    tap.check("without a rule: 2", manage("prune", "--all") == 2)
    code = manage("prune", "--nodes", "n2", "--max-bytes", "1")
    tap.check("a store that stays too large: 3", code == 3 and
              re.search("^n2 +1 +5 ", manage.out, re.M), manage.out, manage.err)
    _, rows = manage.rows("audit", "--nodes", "n2")
    tap.check("who only listed the cluster keys is not", not any(r["method"] == "swarm.keys" for r in
                                                                manage.rows("audit", "--nodes", "n1")[1]))
    tap.check("and it is in the audit", any(r["method"] == "session.prune" and
                                            r["target"].startswith("more than") for r in rows), rows)


def changed(tap, manage):
    tap.check("delete-session on another", manage("delete-session", "one", "--nodes", "n0,n0") == 0 and
              "deleted" in manage.err, manage.err)
    code = manage("delete-session", "one", "--all")
    tap.check("who has it no longer says so", code == 3 and
              re.search("^n0: .*one", manage.err, re.M) and " on n1" in manage.err, code, manage.err)
    code = manage("stop-capture", "one", "--all")
    tap.check("none: 1", code == 1 and "none of 3 nodes" in manage.err, code, manage.err)


def all_up(tap, lab):
    manage = Manage(lab.nodes[0])
    record(tap, manage, lab)
    by_the_table(tap, manage)
    chosen(tap, manage)
    pruned(tap, manage)
    changed(tap, manage)


def one_down(tap, lab):
    """n2 is known to be dead."""
    manage = Manage(lab.nodes[0])
    for words, kind in COMMANDS:
        if "one" in words:
            continue
        code, rows = manage.rows(*words, "--all")
        nodes = {row.get("node") for row in rows}
        tap.check(f"{' '.join(words)} without n2", code in (1, 3) and "n2" not in nodes and
                  (code == 3 or words[0] == "doctor") and re.search("^n2: .*dead", manage.err, re.M) and
                  (kind != "each" or nodes == {"n0", "n1"} or words[0] == "sessions"), code,
                  manage.out[:1000], manage.err)
    tap.check("none that is named: 1", manage("info", "--nodes", "n2") == 1 and
              manage.err.startswith("n2: "), manage.err)


def left(tap, lab):
    """The last check: n1 leaves, told so by n0."""
    manage, other = Manage(lab.nodes[0]), Manage(lab.nodes[1])

    def loads():
        _, rows = manage.rows("members", "--nodes", "n0,n1")
        return [r["load"] for r in rows if r["node"] == r["name"]]
    tap.check("a node knows its own load", wait_for(15, lambda: all(0 < n <= 100 for n in loads())), loads())
    tap.check("a node leaves through another", manage("leave", "--nodes", "n1") == 0, manage.err)
    code = other("leave")
    tap.check("and has left, when it is told again", code == 1 and "has left its swarm already" in
              other.err, code, other.err)
