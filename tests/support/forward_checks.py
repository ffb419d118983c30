# SPDX-License-Identifier: Apache-2.0
"""forward_checks.py SCRATCH: calls to one node of three, for the others."""
import os
import random
import signal
import struct
import subprocess
import sys
import threading

import manage_nodes_checks
from recorder import Tap
from rpc_client import Client, Failed
from swarm_lab import Lab, wait_for

tap = Tap()
SCRATCH = sys.argv[1]
TAGS = ([], ["--tag", "site=north", "--tag", "rack=7"], ["--tag", "site=north"])


def ask(caller, method, args=None, **options):
    """Its error, as it came, or None; and its result."""
    try:
        return None, caller.end(caller.begin(method, args, **options))
    except Failed as failed:
        return {"code": failed.code, "message": failed.message, "node": failed.node}, None


def several(caller):
    error, result = ask(caller, "node.info", nodes="all")
    rows = result["nodes"] if error is None else []
    tap.check("all answer through one", [r["node"] for r in rows] == ["n0", "n1", "n2"])
    tap.check("each for itself", [r["result"]["node"] for r in rows] == ["n0", "n1", "n2"])
    _, result = ask(caller, "node.interfaces", nodes=["n2", "n1", "n2"])
    tap.check("or those that are named, once", [r["node"] for r in result["nodes"]] == ["n1", "n2"])
    tap.check("with what they have", all(i["node"] == r["node"] for r in result["nodes"]
                                         for i in r["result"]))
    error, _ = ask(caller, "session.query", {"session_id": "none at all"}, node="n1")
    tap.check("an error of another is its own", error is not None and error["node"] == "n1")
    error, _ = ask(caller, "node.info", nodes=["n1", "nobody"])
    tap.check("who is not known is named", error["code"] == "not_found" and
              "nobody" in error["message"])


def tags_of(caller):
    return {m["name"]: m["tags"] for m in caller.call("swarm.members")}


def chosen(lab, caller):
    """By tags, which n1 and n2 have, and n0 learns of."""
    there = {"n0": {}, "n1": {"site": "north", "rack": "7"}, "n2": {"site": "north"}}
    tap.check("tags of the others are known", wait_for(10, lambda: tags_of(caller) == there),
              tags_of(caller))

    def names(*select):
        error, result = ask(caller, "node.info", select=list(select))
        return error["code"] if error else [r["node"] for r in result["nodes"]]
    tap.check("who has a tag is asked", names("site=north") == ["n1", "n2"], names("site=north"))
    tap.check("who has both", names("site=north", "rack=7") == ["n1"])
    tap.check("nobody is an error", names("site=south") == "not_found", names("site=south"))
    tap.check("and so is what is no tag", names("north") == "usage" and names() == "usage")
    error, job = ask(caller, "job.start", {"interface": "eth0", "select": ["site=north"],
                                       "duration": "1s", "start_in": "1500ms"})
    tap.check("and who captures", job and {r["node"]: r["state"] for r in job["nodes"]} ==
              {"n1": "armed", "n2": "armed"}, job, error)
    error, _ = ask(caller, "job.start", {"interface": "eth0", "select": ["site=south"]})
    tap.check("or nobody", error and error["code"] == "not_found" and "tags" in error["message"],
              error)
    lab.nodes[2].kill(signal.SIGTERM)
    lab.nodes[2].start("--tag", "site=south", join=[lab.places[0].ip])
    there["n2"] = {"site": "south"}
    tap.check("other tags after a restart", wait_for(20, lambda: tags_of(caller) == there),
              tags_of(caller))
    tap.check("are those that count", names("site=south") == ["n2"] and
              names("site=north") == ["n1"])
    tap.check("all are well again", wait_for(20, lambda: lab.nodes[0].n_alive() == 3))


def bad_options(caller):
    cases = (
        ("two ways at once", "usage", "node.info", {"node": "n1", "nodes": "all"}),
        ("neither names nor all", "usage", "node.info", {"nodes": 7}),
        ("no names", "usage", "node.info", {"nodes": []}),
        ("a name that is none", "usage", "node.info", {"node": 5}),
        ("what is for one at a time", "unsupported", "swarm.leave", {"nodes": "all"}),
        ("a subscription elsewhere", "unsupported", "events.subscribe", {"node": "n1"}),
        ("rights that one gives oneself", "permission", "node.info",
         {"forwarded": {"who": "root", "rights": 31}}),
    )
    for what, code, method, options in cases:
        error, _ = ask(caller, method, **options)
        tap.check(f"{what}: {code}", error is not None and error["code"] == code)
    error, _ = ask(caller, "job.arm", {"spec": "x"})
    tap.check("what nodes ask each other nobody else may", error["code"] == "permission")


def too_large(caller):
    """What is just small enough for the node asked, and with what goes along too large for the other."""
    waiting = caller.begin("node.info", node="n1")
    names = ["h" * 4090] * 15 + ["h" * 4085]
    error, _ = ask(caller, "swarm.join", {"addresses": names}, node="n1")
    tap.check("a call too large to be passed on is told", error is not None and
              error["code"] == "limit", error)
    tap.check("and does the others no harm", caller.end(waiting)["node"] == "n1")
    tap.check("nor the next", ask(caller, "node.info", node="n1")[0] is None)


def many(caller):
    numbers = [caller.begin("node.info", node=f"n{1 + i % 2}") for i in range(500)]
    tap.check("five hundred at once are answered", all(caller.end(n) for n in numbers))


def read_whole(caller, **options):
    """A session as a file; between its pieces other answers come on the same connection."""
    data, cursor, between = b"", None, []
    while True:
        args = {"session_id": "large", "max_bytes": 4 << 20}
        number = caller.begin("session.read", dict(args, cursor=cursor) if cursor else args, **options)
        between.append(caller.begin("node.info", node="n2"))
        piece = caller.end(number)
        data, cursor = data + piece["data"], piece["next"]
        if cursor is None:
            return data, sum(caller.end(n)["node"] == "n2" for n in between) == len(between)


def large(lab, callers):
    """Answers of megabytes, which are passed on as they came."""
    path, noise = f"{SCRATCH}/large.pcap", random.Random(1)
    with open(path, "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xa1b2c3d4, 2, 4, 0, 0, 65535, 1))
        for i in range(6000):
            file.write(struct.pack("<IIII", 1700000000 + i, 0, 1500, 1500) + noise.randbytes(1500))
    subprocess.run([os.environ["PR_BIN"], "--quiet", "capture", "-r", path, "-d",
                    f"{lab.nodes[1].folder}/p.db", "--name", "large"], check=True,
                   capture_output=True)
    there, _ = read_whole(callers[1])
    here, others = read_whole(callers[0], node="n1")
    tap.check("a session of megabytes comes through another node", len(there) > 9000000 and
              here == there, len(here), len(there))
    tap.check("and other answers beside it", others)


def audited(lab, callers):
    error, made = ask(callers[0], "keys.add", {"role": "view"}, node="n1")
    tap.check("what changes something is done there", error is None)

    def who():
        _, audit = ask(callers[1], "node.audit")
        return [entry["who"] for entry in audit if entry["method"] == "keys.add"]
    wait_for(10, who)  # it is written behind the answer
    tap.check("and tells who, and through whom", who() == ["uid 0 via node n0"], who(),
              ask(callers[1], "node.audit"), *[node.said() for node in lab.nodes])


def gone(lab, caller):
    lab.nodes[2].kill(signal.SIGSTOP)
    error, result = ask(caller, "node.info", nodes="all", deadline_ms=1500)
    codes = [r.get("error", {}).get("code") for r in result["nodes"]] if error is None else []
    tap.check("who is silent has its row, in time", codes[:2] == [None, None] and
              codes[2] in ("deadline", "unreachable"))
    lab.nodes[2].kill(signal.SIGCONT)
    wait_for(20, lambda: lab.nodes[0].sees("n2", "alive"))
    lab.nodes[2].kill()
    wait_for(20, lambda: lab.nodes[0].sees("n2", "dead"))
    error, result = ask(caller, "node.info", nodes="all")
    row = result["nodes"][2]
    tap.check("who is dead is told", row["error"]["code"] == "unreachable" and
              "dead" in row["error"]["message"])
    manage_nodes_checks.one_down(tap, lab)
    waiting = threading.Thread(target=lambda: ask(caller, "node.info", nodes="all"))
    waiting.start()
    waiting.join(20)
    tap.check("and keeps nobody waiting", not waiting.is_alive())


def main():
    with Lab(SCRATCH, 3) as lab:
        for i in range(3):
            lab.node(i).start(*TAGS[i], join=[lab.places[0].ip] if i > 0 else [])
        tap.check("three nodes find each other", lab.converged(3))
        callers = [Client(f"{node.folder}/rpc.sock", timeout=20) for node in lab.nodes]
        several(callers[0])
        bad_options(callers[0])
        too_large(callers[0])
        many(callers[0])
        large(lab, callers)
        audited(lab, callers)
        manage_nodes_checks.all_up(tap, lab)
        chosen(lab, callers[0])
        gone(lab, callers[0])
        manage_nodes_checks.left(tap, lab)
        lab.nodes[0].kill(signal.SIGTERM)
        tap.check("it ends in order", lab.nodes[0].process.wait(15) == 0)


main()
sys.exit(1 if tap.failures else 0)
