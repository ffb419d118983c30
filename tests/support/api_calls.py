# SPDX-License-Identifier: Apache-2.0
"""api_calls.py SCRATCH IFACE: asks a real node everything its API can be asked. Driven by
tests/system/api.sh."""
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import recorder
from api_client import (IFACE, PORT, SCRATCH, Events, Node, counted, make_key, refused, send, tap)
from api_reading import check_downloads, check_growing, check_packets, check_slow_clients
from api_trouble import check_disk_full, check_encrypted, check_end, check_killed, check_replaced
from recorder import wait_for


# ---- before there is a store ----

def check_empty(node):
    for path in ("/api/v1/sessions", "/api/v1/captures"):
        tap.check(f"without a store {path} is an empty array", node.get(path).json() == [])
    for path in ("", "/packets", "/pcap"):
        refused(f"without a store sessions/last{path} is a 404",
                node.get("/api/v1/sessions/last" + path), 404)
    refused("deleting a session that is not there makes no store",
            node.ask("DELETE", "/api/v1/captures/last"), 404)
    tap.check("a node that was only asked has made no store",
              not os.path.exists(os.path.join(SCRATCH, "a.db")))
    health = node.get("/health")
    tap.check("a node without a store is well", health.status == 200 and
              health.json()["status"] == "ok", health.body)


def check_interfaces(node):
    names = node.get("/interfaces").json()
    tap.check("/interfaces is an array of names", "lo" in names and IFACE in names, names)
    listed = json.loads(subprocess.run([recorder.BIN, "list-interfaces", "--json"], check=True,
                                       capture_output=True).stdout)
    tap.check("/api/v1/interfaces is what list-interfaces --json prints",
              node.get("/api/v1/interfaces").json() == listed)


# ---- what is refused ----

def check_refusals(node):
    def post(body, **headers):
        return node.ask("POST", "/api/v1/captures", body, **headers)
    refused("no content is a 400", post(b""), 400)
    refused("no JSON is a 400", post(b"{nonsense"), 400, "JSON")
    refused("an array is a 400", post([1]), 400, "object")
    refused("a missing interface is a 400", post({}), 400, "interface")
    refused("a member that is not known is named", post({"interface": "lo", "filtre": "udp"}),
            400, '"filtre"', '"filter"')
    refused("a member twice is a 400", post(b'{"interface":"lo","interface":"lo"}'), 400)
    refused("interface and interfaces exclude each other",
            post({"interface": "lo", "interfaces": ["lo"]}), 400, "exclude")
    for name, value in (("max_packets", -1), ("max_packets", 1.5), ("max_bytes", "10Q"),
                        ("duration", "soon"), ("snaplen", 1 << 20), ("tags", {"a": 1}),
                        ("promisc", "yes"), ("name", 7), ("interfaces", [])):
        body = {"interface": "lo", name: value} if name != "interfaces" else {name: value}
        refused(f"{name} {value!r} is a 400 that names it", post(body), 400,
                name.rstrip("s") if name == "interfaces" else name)
    refused("a filter that libpcap refuses is a 400 with its words",
            post({"interface": "lo", "filter": "prot 80"}), 400, "syntax error")
    refused("an interface that is not there is a 404",
            post({"interface": "eth99"}), 404, "eth99")
    refused("content that is too long is a 413", post(b" " * 70000), 413)
    refused("a method that a path does not know is a 405",
            node.ask("PUT", "/api/v1/captures", b"{}"), 405)
    refused("an unknown path is a 404", node.get("/api/v1/nothing"), 404)
    refused("an unknown capture is a 404", node.get("/api/v1/captures/nobody"), 404)
    tap.check("what was refused left no session behind",
              node.get("/api/v1/sessions").json() == [])


# ---- captures ----

def check_two_captures(node, store):
    a = node.start(interface="lo", filter=f"udp dst port {PORT}", name="a", tags={"k": "v"})
    b = node.start(interfaces=["lo", IFACE], filter="udp", name="b", snaplen="96",
                   max_bytes="1G", duration="1h")
    send(0, 2000)
    send(2000, 2500, host="10.77.0.1")
    tap.check("two captures at once are counted live",
              counted(node, a, 2000) and counted(node, b, 2500),
              node.get("/api/v1/captures").body)
    listed = node.get("/api/v1/captures").json()
    tap.check("the running captures are listed, oldest first", [c["id"] for c in listed] == [a, b])
    tap.check("a session that runs is shown with its live counters",
              node.get("/api/v1/sessions/a").json()["packets"] == 2000)
    tap.check("active_sessions counts them", node.metric("packetrecorder_active_sessions") == 2)
    stats = node.get("/api/v1/stats").json()["captures"]
    limit = node.metric("packetrecorder_captures_queue_limit_bytes")
    tap.check("so much may wait for both writers", limit == 2 * (24 << 20) and
              stats["queue_limit_bytes"] == limit, limit, stats)
    tap.check("and what waits is within that", node.metric("packetrecorder_captures_queue_bytes") <=
              limit and stats["queue_bytes"] <= limit, stats)
    code, _, err = store.run("capture", "-i", "lo", "-c", "1")
    tap.check("another program is told which process writes",
              code != 0 and str(node.pid) in err, code, err)
    tap.check("and may read", store.run("query", "-s", a, "--count")[0] == 0)
    refused("without keys nobody may delete sessions",
            node.ask("DELETE", "/api/v1/sessions/" + a), 403, "admin")
    ended = node.stop_capture("a")
    one = ended.json()
    tap.check("DELETE answers with the whole session, flushed",
              ended.status == 200 and one["id"] == a and one["state"] == "complete" and
              one["packets"] == 2000 and one["tags"] == {"k": "v"} and one["ended"], ended.body)
    tap.check("ending it again answers the same", node.stop_capture(a).json() == one)
    refused("but not by its name", node.stop_capture("a"), 404)
    tap.check("the other one runs on",
              [c["id"] for c in node.get("/api/v1/captures").json()] == [b])
    listed = [s for s in store.sessions() if s["id"] == a]
    tap.check("the object is that of sessions --json", listed == [one], listed, one)
    other = node.stop_capture(b[:13]).json()
    tap.check("several interfaces are one session",
              [i["name"] for i in other["interfaces"]] == ["lo", IFACE] and
              other["packets"] == 2500 and other["bytes"] == 2500 * 96, other)
    tap.check("between captures another program may write",
              store.run("capture", "-i", "lo", "--duration", "0.1", "--name", "cli")[0] == 0)
    return a


def check_limits(node, events):
    a = node.start(interface="lo", filter=f"udp dst port {PORT}", max_packets="1k", name="limit")
    send(0, 1500)
    ended = events.wait("capture.ended", session=a)
    tap.check("a capture ends at its limit, and an event says so",
              ended and ended[2]["reason"] == "limit" and ended[2]["packets"] == 1000, ended)
    tap.check("GET of a capture that has ended is its session",
              node.get("/api/v1/captures/" + a).json()["state"] == "complete")
    began = time.monotonic()
    b = node.start(interface="lo", filter="udp", duration=0.3)
    tap.check("a duration ends it", events.wait("capture.ended", session=b) and
              0.25 < time.monotonic() - began < 5)


def check_own_traffic(node):
    """What is asked and answered over the very interface that is captured is left out."""
    a = node.start(interface="lo", name="own")
    for _ in range(50):
        node.get("/api/v1/sessions")
    send(0, 10)
    counted(node, a, 10)
    one = node.stop_capture(a).json()
    packets = node.get(f"/api/v1/sessions/{a}/packets?limit=1000").json()["packets"]
    own = [p for p in packets if node.port in (p["sport"], p["dport"])]
    tap.check("the node's own traffic is not captured", not own and len(packets) >= 10, own[:3])
    tap.check("and the session says what was left out", one["self_excluded"] is True and
              str(node.port) in one["excluded_filter"], one)
    tap.check("also when it is read back",
              node.get("/api/v1/sessions/" + a).json()["excluded_filter"] == one["excluded_filter"])


def ip(*words):
    subprocess.run(["ip", *words], check=True, capture_output=True)


def check_interface_goes(node, events):
    ip("link", "add", "prdummy", "type", "veth", "peer", "name", "prother")
    ip("link", "set", "prdummy", "up")
    a = node.start(interface="prdummy", name="goes")
    b = node.start(interface="lo", filter="udp", name="stays")
    ip("link", "del", "prdummy")
    ended = events.wait("capture.ended", session=a)
    tap.check("a capture whose interface is deleted ends with a reason", ended and
              ended[2]["reason"] == "failed" and "prdummy" in ended[2]["error"], ended)
    tap.check("its session stays", node.get("/api/v1/sessions/" + a).json()["ended"] is not None)
    tap.check("others go on", node.get("/api/v1/captures/" + b).json()["state"] == "running")
    tap.check("and it is counted", node.metric("packetrecorder_captures_failed_total") == 1)
    node.stop_capture(b)


def check_max_captures(node):
    ids = [node.start(interface="lo", filter="udp") for _ in range(4)]
    refused("more than --max-captures is a 503",
            node.ask("POST", "/api/v1/captures", {"interface": "lo"}), 503, "--max-captures")
    done = [node.stop_capture(i).status for i in ids]
    tap.check("four captures at once all end", done == [200] * 4, done)


# ---- events, metrics ----

def check_events(node):
    first = Events(node)
    a = node.start(interface="lo", filter="udp", name="events")
    seen = first.wait("capture.started", session=a)
    first.close()
    node.stop_capture(a)
    again = Events(node, after=seen[0])
    missed = again.wait("capture.ended", session=a)
    tap.check("after a reconnect nothing is missing and nothing comes twice",
              missed and [e[0] for e in again.seen] == [seen[0] + 1], again.seen)
    again.close()
    old = Events(node, after=12345)
    lost = old.wait("lost")
    tap.check("events of an earlier life are told as lost", lost and lost[2]["count"] is None, lost)
    old.close()
    everything = Events(node, after=0)
    tap.check("0 asks for all that is kept", everything.wait("capture.started", name="a"))
    everything.close()
    refused("a Last-Event-ID that is no number is a 400",
            node.get("/api/v1/events?last_event_id=x"), 400)


def check_metrics(node):
    stop = threading.Event()
    bad = []

    def scrape():
        last = {}
        while not stop.is_set():
            kinds = {}
            for line in node.get("/metrics").body.decode().splitlines():
                if line.startswith("# TYPE"):
                    kinds[line.split()[2]] = line.split()[3]
                elif not line.startswith("#"):
                    name, value = line.rsplit(" ", 1)
                    family = name.split("{")[0]
                    if kinds.get(family) == "counter" or family.endswith(("_bucket", "_count")):
                        if float(value) < last.get(name, 0):
                            bad.append((name, last[name], value))
                        last[name] = float(value)
    thread = threading.Thread(target=scrape)
    thread.start()
    before = node.metric("packetrecorder_packets_total", protocol="udp")
    for part in range(6):
        a = node.start(interface="lo", filter=f"udp dst port {PORT}")
        send(0, 500)
        counted(node, a, 500)
        node.stop_capture(a)
    stop.set()
    thread.join()
    tap.check("counters never go back while captures end", not bad, bad[:5])
    after = node.metric("packetrecorder_packets_total", protocol="udp")
    tap.check("and count every stored packet", after - before == 3000, before, after)
    page = node.get("/metrics")
    if shutil.which("promtool"):
        told = subprocess.run(["promtool", "check", "metrics"], input=page.body,
                              capture_output=True, check=False)
        tap.check("promtool finds nothing wrong", told.returncode == 0 and not told.stderr,
                  told.stderr.decode())
    tap.check("the page has its own type",
              page.headers["content-type"].startswith("text/plain; version=0.0.4"))
    stats = node.get("/api/v1/stats").json()
    tap.check("stats say the same in JSON",
              stats["protocols"]["udp"]["packets"] == after and stats["store"]["exists"], stats)


def check_protocols(node):
    names = ("tcp", "udp", "icmp", "arp", "other")
    def read():
        return {p: node.metric("packetrecorder_packets_total", protocol=p) for p in names}
    before = read()
    a = node.start(interface=IFACE)
    raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind((IFACE, 0))
    eth = b"\x02\0\0\0\0\x99\x02\0\0\0\0\x01"
    ip4 = b"E\0\0\x28\0\0\0\0\x40%c\0\0\x0a\x4d\0\x01\x0a\x4d\0\x09"
    ip6 = b"`\0\0\0\0\x08%c\x40" + b"\xfd" * 32
    frames = {"tcp": eth + b"\x08\0" + ip4 % 6, "udp": eth + b"\x08\0" + ip4 % 17,
              "icmp": eth + b"\x08\0" + ip4 % 1, "arp": eth + b"\x08\x06\0\x01\x08\0\x06\x04",
              "other": eth + b"\x88\xcc"}
    counts = {"tcp": 5, "udp": 4, "icmp": 3, "arp": 2, "other": 1}
    for name, n in counts.items():
        for _ in range(n):
            raw.send(frames[name] + bytes(40))
    raw.send(eth + b"\x86\xdd" + ip6 % 58 + bytes(40))      # ICMPv6
    raw.send(eth + b"\x86\xdd" + ip6 % 0 + b"\x06" + bytes(47))  # hop-by-hop, then TCP
    raw.send(eth + b"\x81\0\0\x05\x08\0" + ip4 % 17 + bytes(40))  # in a VLAN
    raw.close()
    counted(node, a, 18)
    node.stop_capture(a)
    found = read()
    tap.check("packets are counted by protocol",
              {p: found[p] - before[p] for p in names} ==
              {"tcp": 6, "udp": 5, "icmp": 4, "arp": 2, "other": 1}, before, found)


# ---- who may what ----

def check_rights(node, store, a):
    keys = {role: make_key(store, role) for role in ("view", "capture", "admin", "ingest")}
    wait_for(5, lambda: node.get("/api/v1/sessions").status == 401)
    body = {"interface": "lo", "max_packets": 1}
    refused("once there is a key everybody needs one", node.get("/api/v1/sessions"), 401)
    refused("also /metrics", node.get("/metrics"), 401)
    health = node.get("/health")  # which is not well: an interface was deleted while it was recorded
    tap.check("but for /health", health.status == 503 and "prdummy" in health.text(), health.body)
    view = keys["view"]
    tap.check("view may read", node.get("/api/v1/sessions/a/packets", key=view).status == 200)
    refused("view may not start", node.ask("POST", "/api/v1/captures", body, key=view), 403)
    refused("view may not download", node.get("/api/v1/sessions/a/pcap", key=view), 403)
    refused("ingest may not read", node.get("/api/v1/sessions", key=keys["ingest"]), 403)
    capture = keys["capture"]
    tap.check("capture may download",
              node.get("/api/v1/sessions/a/pcap", key=capture).status == 200)
    refused("capture may not delete sessions",
            node.ask("DELETE", "/api/v1/sessions/" + a, key=capture), 403)
    follower = Events(node, key=keys["admin"])
    running = node.ask("POST", "/api/v1/captures", {"interface": "lo", "filter": "udp"},
                       key=capture).json()["id"]
    refused("what is recorded cannot be deleted",
            node.ask("DELETE", "/api/v1/sessions/" + running, key=keys["admin"]), 409, running)
    tap.check("while it is recorded other sessions can be",
              node.ask("DELETE", "/api/v1/sessions/big", key=keys["admin"]).status == 204)
    node.ask("DELETE", "/api/v1/captures/" + running, key=capture)
    gone = node.ask("DELETE", "/api/v1/sessions/" + a, key=keys["admin"])
    tap.check("admin may: the session is gone", gone.status == 204 and
              node.get("/api/v1/sessions/" + a, key=view).status == 404, gone.body)
    tap.check("and an event says so", follower.wait("session.deleted", session=a))
    follower.close()
    return keys["admin"]


def check_revoked(node, store):
    """A key that is revoked ends what it follows."""
    key = make_key(store, "view")
    wait_for(5, lambda: node.get("/api/v1/stats", key=key).status == 200)
    follower = Events(node, key=key)
    code, _, err = store.run("keys", "revoke", key.split("_")[1])
    tap.check("a key is revoked", code == 0, err)
    tap.check("and its requests are refused at once",
              wait_for(5, lambda: node.get("/api/v1/stats", key=key).status == 401))
    return follower


def main():
    path = os.path.join(SCRATCH, "a.db")
    store = recorder.Store(path)
    node = Node(path, "--max-captures", "4")
    idle = Events(node)
    check_empty(node)
    check_interfaces(node)
    check_refusals(node)
    a = check_two_captures(node, store)
    check_limits(node, idle)
    check_max_captures(node)
    check_own_traffic(node)
    check_interface_goes(node, idle)
    check_packets(node, store, a)
    check_growing(node)
    check_downloads(node, store, a)
    check_slow_clients(node, store)
    check_events(node)
    check_metrics(node)
    check_protocols(node)
    check_killed()
    check_encrypted()
    check_replaced()
    check_disk_full()
    wait_for(18, lambda: idle.comments > 0)  # 15 s after its last event
    tap.check("a quiet stream of events has a heartbeat", idle.comments > 0)
    key = check_rights(node, store, a)
    revoked = check_revoked(node, store)
    tap.check("a stream of events of a revoked key ends", revoked.ended.wait(4))
    check_end(node, store, key)
    return 1 if tap.failures else 0


if __name__ == "__main__":
    sys.exit(main())
