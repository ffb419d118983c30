#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""api_problems.py SCRATCH IFACE: what POST /api/v1/captures takes, by the schema that the node
itself gives, and what it says when it cannot: 409, 500, 503 and 507, each a problem document with a
cause and a way out. SCRATCH/disk is a small file system. Called by api_problems.sh inside a network
namespace."""
import os
import subprocess
import sys

import recorder
from api_client import DISK, SCRATCH, Node, refused, tap
from recorder import wait_for


def post(node, **body):
    return node.ask("POST", "/api/v1/captures", body)


def place(name):
    return os.path.join(SCRATCH, name)


def check_schema():
    """Every property of the schema, with each of its examples, in a real request."""
    node = Node(place("schema.db"))
    content = node.get("/openapi.json").json()["paths"]["/api/v1/captures"]["post"]["requestBody"]
    schema = content["content"]["application/json"]["schema"]
    tap.check("the content of a capture is described", len(schema["properties"]) >= 10, content)
    for name, one in schema["properties"].items():
        for example in one["examples"]:
            body = {name: example} if name.startswith("interface") else {
                "interface": "lo", name: example}
            answer = node.ask("POST", "/api/v1/captures", body)
            tap.check(f"{name} {example!r} of the schema is taken", answer.status == 201, answer.body)
            if answer.status == 201:
                node.stop_capture(answer.json()["id"])
        wrong = {"interface": "lo", name: None}
        refused(f"{name} null is not", node.ask("POST", "/api/v1/captures", wrong), 400, name)
    refused("a member that the schema has not is not", post(node, interface="lo", more=1), 400, "more")
    node.stop()


def check_in_use():
    """409: another program records into the store."""
    store = recorder.Store(place("used.db"))
    node = Node(store.path)
    other = subprocess.Popen(store.command("capture", "-i", "lo", "-f", "udp"),
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE, text=True)
    for line in other.stderr:
        if line.startswith("session "):
            break
    refused("409: another program records here, which one, and what to do",
            post(node, interface="lo"), 409, str(other.pid), "stop")
    other.terminate()
    other.communicate()
    tap.check("with it gone it is taken", post(node, interface="lo").status == 201)
    node.stop()


def check_busy():
    """503: as many captures as are allowed."""
    node = Node(place("busy.db"), "--max-captures", "1")
    one = node.start(interface="lo")
    answer = post(node, interface="lo")
    refused("503: as many as --max-captures run", answer, 503, "--max-captures", "1")
    tap.check("and when to try again", int(answer.headers.get("retry-after", 0)) > 0, answer.headers)
    node.stop_capture(one)
    tap.check("with one gone it is taken", post(node, interface="lo").status == 201)
    node.stop()


def check_down():
    """500: an interface that is there and cannot be opened."""
    node = Node(place("down.db"))
    subprocess.run(["ip", "link", "add", "prdown", "type", "veth", "peer", "name",
                    "prother"], check=True)
    refused("500: an interface that is down, by name, and what brings it up",
            post(node, interface="prdown"), 500, "prdown", "ip link set", "up")
    tap.check("the node goes on", post(node, interface="lo").status == 201)
    tap.check("and left no session of it", len(node.get("/api/v1/sessions").json()) == 1)
    subprocess.run(["ip", "link", "del", "prdown"], check=True)
    node.stop()


def check_rights():
    """500: a node that may not capture."""
    node = Node(place("rights.db"), prefix=["setpriv", "--bounding-set", "-net_raw", "--inh-caps",
                                             "-net_raw"])
    refused("500: rights are missing, which, and how to get them",
            post(node, interface="lo"), 500, "lo", "CAP_NET_RAW")
    node.stop()


def check_broken():
    """500: a store that cannot be read."""
    store = recorder.Store(place("broken.db"))
    node = Node(store.path)
    node.stop_capture(node.start(interface="lo"))
    node.stop()
    node = Node(store.path)
    with open(store.path, "r+b") as f:
        f.write(b"no database, whatever it is.." * 40)
    for name in ("-wal", "-shm"):
        if os.path.exists(store.path + name):
            os.unlink(store.path + name)
    refused("500: a broken store, by its path, and what mends it", post(node, interface="lo"), 500,
            store.path)
    refused("500: its sessions neither", node.get("/api/v1/sessions"), 500, store.path)
    health = wait_for(10, lambda: (lambda h: h if h.status == 503 else None)(node.get("/health")))
    failing = [c["name"] for c in health.json()["checks"] if not c["ok"]] if health else None
    tap.check("health fails by its name", failing == ["store"], failing)
    node.stop()


def check_full():
    """507: there is no room."""
    node = Node(os.path.join(DISK, "full.db"), "--min-free", "4MiB")
    filler = os.path.join(DISK, "filler")
    recorder.fill_disk(filler)
    refused("507: no room for a capture, where, and what makes room", post(node, interface="lo"),
            507, DISK, "No space left", "make room", "packetrecorder prune")
    tap.check("no session was begun", node.get("/api/v1/sessions").json() == [])
    os.unlink(filler)
    answer = wait_for(5, lambda: (lambda a: a if a.status == 201 else None)(post(node, interface="lo")))
    tap.check("with room it is taken", answer)
    node.stop_capture(answer.json()["id"])
    recorder.fill_disk(filler)
    refused("507: nor for one more in a store that exists", post(node, interface="lo"), 507, DISK,
            "make room")
    node.stop()


def main():
    for check in (check_schema, check_in_use, check_busy, check_down, check_rights, check_broken,
                  check_full):
        check()
    return 1 if tap.failures else 0


if __name__ == "__main__":
    sys.exit(main())
