# SPDX-License-Identifier: Apache-2.0
"""The checks of api_calls.py in which something goes wrong: nodes that are ended and killed, keys and
stores that are changed under them, a disk that fills."""
import os
import shutil
import threading
import time

import recorder
from api_client import DISK, PORT, SCRATCH, Events, Node, counted, export, refused, send, tap
from recorder import wait_for


def check_end(node, store, key):
    """SIGTERM with a capture and a follower."""
    node.key = key
    follower = Events(node)
    a = node.start(interface="lo", filter=f"udp dst port {PORT}", name="last words")
    send(0, 300)
    code, seconds = node.stop()
    tap.check("SIGTERM ends within five seconds with 0", code == 0 and seconds < 5, code, seconds,
              node.said())
    follower.ended.wait(5)
    tap.check("followers are told", follower.wait("node.stopping", 1), follower.seen)
    found = [s for s in store.sessions() if s["id"] == a]
    tap.check("captures are flushed", found and found[0]["state"] == "complete" and
              found[0]["packets"] == 300, found)


def check_killed():
    path = os.path.join(SCRATCH, "killed.db")
    store = recorder.Store(path)
    node = Node(path)
    ids = [node.start(interface="lo", filter=f"udp dst port {PORT}") for _ in range(2)]
    send(0, 1000)
    durable = wait_for(10, lambda: all(
        len(node.get(f"/api/v1/sessions/{i}/packets?limit=1000").json()["packets"]) == 1000
        for i in ids))
    node.kill()
    node = Node(path)
    states = {s["id"]: (s["state"], s["packets"]) for s in node.get("/api/v1/sessions").json()}
    tap.check("a killed node's captures are recovered at its next start",
              durable and states == {i: ("recovered", 1000) for i in ids}, durable, states)
    a = node.start(interface="lo", filter="udp", max_packets=1)
    tap.check("and it records again", node.stop_capture(a).status == 200)
    node.stop()
    code, out, err = store.run("verify")
    tap.check("the store is whole", code == 0, out, err)


def check_encrypted():
    path = os.path.join(SCRATCH, "sealed.db")
    key = os.path.join(SCRATCH, "key")
    with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write("correct horse battery staple\n")
    store = recorder.Store(path, key)
    node = Node(path, "--encryption-key-file", key)
    a = node.start(interface="lo", filter=f"udp dst port {PORT}")
    send(0, 500)
    counted(node, a, 500)
    one = node.stop_capture(a).json()
    tap.check("an encrypted store is one", one["encrypted"] and one["packets"] == 500, one)
    tap.check("downloads are opened", node.get(f"/api/v1/sessions/{a}/pcap").body ==
              export(store, a))
    began = time.monotonic()
    for _ in range(30):
        node.get("/api/v1/sessions/last/packets?limit=1")
    tap.check("the key is derived once", time.monotonic() - began < 2, time.monotonic() - began)
    fresh = os.path.join(SCRATCH, "fresh")
    with open(os.open(fresh, os.O_CREAT | os.O_WRONLY, 0o600), "w") as f:
        f.write("another one\n")
    tap.check("a node at rest is in no rekey's way", wait_for(
        8, lambda: store.run("rekey", "--new-key-file", fresh)[0] == 0))
    refused("and says what has happened", node.get("/api/v1/sessions"), 500, "key")
    tap.check("its health too", wait_for(5, lambda: node.get("/health").status == 503))
    node.stop()
    node = Node(path, "--encryption-key-file", key, start=False)
    tap.check("a node with the wrong key does not start",
              wait_for(20, node.has_ended) and wait_for(5, lambda: node.has_said("wrong key")),
              node.said())


def check_replaced():
    path = os.path.join(SCRATCH, "replaced.db")
    node = Node(path)
    a = node.start(interface="lo", filter="udp", duration=0.1)
    wait_for(5, lambda: node.get("/api/v1/captures").json() == [])
    tap.check("a session is there", node.get("/api/v1/sessions").json()[0]["id"] == a)
    shutil.rmtree(path + ".d")
    for name in os.listdir(SCRATCH):
        if name.startswith("replaced.db"):
            os.unlink(os.path.join(SCRATCH, name))
    tap.check("a store that was removed is none", node.get("/api/v1/sessions").json() == [],
              node.get("/api/v1/sessions").body)
    b = node.start(interface="lo", filter="udp", duration=0.1)
    tap.check("and the next capture makes a new one",
              [s["id"] for s in node.get("/api/v1/sessions").json()] == [b])
    node.stop()


def check_disk_full():
    path = os.path.join(DISK, "full.db")
    filler = os.path.join(DISK, "filler")
    node = Node(path, "--min-free", "4MiB")
    events = Events(node)
    a = node.start(interface="lo", filter=f"udp dst port {PORT}", name="full")
    send(0, 500)
    counted(node, a, 500)
    stop = threading.Event()

    def feed():
        n = 500
        while not stop.is_set():
            send(n, n + 20, size=20000)
            n += 20
            time.sleep(0.02)
    thread = threading.Thread(target=feed)
    thread.start()
    recorder.fill_disk(filler, 2 << 20)
    tap.check("a full disk is an event", events.wait("store.full", 15, session=a), events.seen)
    tap.check("and a state", node.get("/api/v1/captures/" + a).json()["state"] == "disk_full")
    ill = wait_for(5, lambda: (lambda h: h if h.status == 503 else None)(node.get("/health")))
    failing = [c["name"] for c in ill.json()["checks"] if not c["ok"]] if ill else None
    tap.check("health says what fails", failing == ["disk", "captures"], failing)
    text = node.get("/health", Accept="text/plain")
    tap.check("as text too", text.status == 503 and b"disk: failing" in text.body, text.body)
    tap.check("what was stored is read on", wait_for(5, lambda: node.get(
        f"/api/v1/sessions/{a}/packets?limit=500").status == 200))
    os.unlink(filler)
    tap.check("with room again it goes on, and says so", events.wait("store.ok", 15, session=a),
              events.seen)
    tap.check("and is well", wait_for(10, lambda: node.get("/health").status == 200),
              node.get("/health").body)
    stop.set()
    thread.join()
    one = node.stop_capture(a).json()
    lost = node.metric("packetrecorder_lost_packets_total", stage="store")
    tap.check("what was lost meanwhile is counted", one["loss"]["store"] > 0 and
              lost == one["loss"]["store"], one, lost)
    node.stop()
