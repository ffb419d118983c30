# SPDX-License-Identifier: Apache-2.0
"""What checks of jobs on real nodes (tests/support/swarm_lab.py) ask: for job_checks.py, job_faults.py and
tests/bench/job_rows.py."""
import json
import os
import subprocess

from rpc_client import Client, Failed
from swarm_lab import wait_for

BIN = os.environ.get("PR_BIN", "build/release/cli/packetrecorder")


def client(node):
    return Client(f"{node.folder}/rpc.sock")


def call(node, method, **args):
    with client(node) as c:
        return c.call(method, **args)


def manage(node, *words, **more):
    return subprocess.Popen([BIN, "manage", "--endpoint", f"unix:{node.folder}/rpc.sock", *words],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **more)


def done(process, seconds_=30):
    out, err = process.communicate(timeout=seconds_)
    return process.returncode, out, err


def states(node, job):
    try:
        return {row["node"]: row["state"] for row in call(node, "job.status", job_id=job)["nodes"]}
    except (OSError, EOFError, Failed):
        return {}


def own(node, job):
    """What a node itself says of a job, {} while it knows nothing of it."""
    try:
        return call(node, "job.status", job_id=job, only_here=True)
    except (OSError, EOFError, Failed):
        return {}


def await_states(node, job, wanted, seconds_=15):
    return wait_for(seconds_, lambda: states(node, job) == wanted)


def all_in(state, n=3):
    return {f"n{i}": state for i in range(n)}


def sessions_of(node, job):
    return [s for s in call(node, "session.list") if s["tags"].get("job") == job]


def query(node, session, *words):
    out = subprocess.run([BIN, "query", "-d", f"{node.folder}/p.db", "-s", session, "--json", "-l", "0",
                          *words], capture_output=True, text=True, check=True).stdout
    return [json.loads(line) for line in out.splitlines()]
