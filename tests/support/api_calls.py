#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""api_calls.py SCRATCH IFACE: asks a real node everything its API can be asked. SCRATCH/disk is a
small file system. Called by api.sh inside a network namespace."""
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time

import recorder
from api_client import Events, Node, wait_for

SCRATCH, IFACE = sys.argv[1:3]
DISK = os.path.join(SCRATCH, "disk")
PORT = 5555
tap = recorder.Tap()


def send(first, last, port=PORT, size=100, host="127.0.0.1", pause=0.0):
    """Numbered datagrams over lo (or to the other end of the wire, which needs not listen)."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    for n in range(first, last):
        try:
            s.sendto(b"%08d" % n + os.urandom(size - 8), (host, port))
        except ConnectionRefusedError:
            pass
        if pause:
            time.sleep(pause)
    s.close()


def counted(node, identity, n):
    """True once a running capture has so many packets."""
    return wait_for(10, lambda: node.get("/api/v1/captures/" + identity).json()["packets"] >= n)


def refused(name, answer, status, *words):
    """A problem document with that status, whose detail holds the words."""
    good = answer.status == status and all(w in answer.detail() for w in words)
    tap.check(name, good and answer.detail() != "", answer.status, answer.body[:400])


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
    send(2000, 2500, host="10.77.0.2")
    tap.check("two captures at once are counted live",
              counted(node, a, 2000) and counted(node, b, 2500),
              node.get("/api/v1/captures").body)
    listed = node.get("/api/v1/captures").json()
    tap.check("the running captures are listed, oldest first", [c["id"] for c in listed] == [a, b])
    tap.check("a session that runs is shown with its live counters",
              node.get("/api/v1/sessions/a").json()["packets"] == 2000)
    tap.check("active_sessions counts them", node.metric("packetrecorder_active_sessions") == 2)
    code, _, err = store.run("capture", "-i", "lo", "-c", "1")
    tap.check("another program is told which process writes",
              code != 0 and str(node.process.pid) in err, code, err)
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


def check_max_captures(node):
    ids = [node.start(interface="lo", filter="udp") for _ in range(4)]
    refused("more than --max-captures is a 503",
            node.ask("POST", "/api/v1/captures", {"interface": "lo"}), 503, "--max-captures")
    done = [node.stop_capture(i).status for i in ids]
    tap.check("four captures at once all end", done == [200] * 4, done)


# ---- reading back ----

def all_pages(node, path, limit):
    packets, cursor = [], ""
    while cursor is not None:
        page = node.get(f"{path}limit={limit}" + (f"&cursor={cursor}" if cursor else "")).json()
        packets += page["packets"]
        cursor = page["next"]
    return packets


def check_packets(node, store, a):
    path = f"/api/v1/sessions/{a}/packets?"
    _, out, _ = store.run("query", "-s", a, "-l", "0", "--json", "--show-data")
    wanted = [json.loads(line) for line in out.splitlines()]
    tap.check("all pages together are query --json",
              len(wanted) == 2000 and all_pages(node, path + "data=1&", 97) == wanted)
    odd = "udp[12] = 0x31"  # the datagrams 1000 to 1999
    _, out, _ = store.run("query", "-s", a, "-l", "0", "--json", "--", odd)
    wanted = [json.loads(line) for line in out.splitlines()]
    found = all_pages(node, path + "filter=" + odd.replace(" ", "%20") + "&", 10000)
    tap.check("with a filter too", len(wanted) == 1000 and found == wanted, len(wanted), len(found))
    tap.check("the default limit is 100", len(node.get(path).json()["packets"]) == 100)
    third = node.get(path + "limit=3").json()["packets"][2]["time"]
    tap.check("from and to are times",
              [p["number"] for p in node.get(path + f"from={third}&limit=1").json()["packets"]]
              == [3] and len(node.get(path + f"to={third}").json()["packets"]) == 3)
    refused("limit 0 is a 400", node.get(path + "limit=0"), 400, "limit")
    refused("limit 10001 is a 400", node.get(path + "limit=10001"), 400, "limit")
    refused("a filter that is wrong is a 400", node.get(path + "filter=prot%2080"), 400)
    refused("a time that is none is a 400", node.get(path + "from=yesterday"), 400, "from")
    refused("a cursor that is none is a 400", node.get(path + "cursor=0123"), 400, "cursor")
    cursor = node.get(path + "limit=1").json()["next"]
    refused("a cursor of another session is a 400",
            node.get("/api/v1/sessions/b/packets?cursor=" + cursor), 400, "another session")
    refused("a session that is not there is a 404",
            node.get("/api/v1/sessions/nobody/packets"), 404)


def check_growing(node):
    a = node.start(interface="lo", filter=f"udp dst port {PORT}")
    path = f"/api/v1/sessions/{a}/packets?limit=1000"
    numbers, cursor = [], ""

    def read():
        nonlocal cursor
        page = node.get(path + cursor).json()
        numbers.extend(p["number"] for p in page["packets"])
        cursor = "&cursor=" + page["resume"]
        return len(numbers)
    for part in range(3):
        send(part * 700, part * 700 + 700)
        wait_for(10, lambda part=part: read() >= part * 700 + 700)
    tap.check("a cursor stays good while the session grows", numbers == list(range(1, 2101)),
              len(numbers))
    whole = node.get(f"/api/v1/sessions/{a}/pcap")
    tap.check("a session that runs is downloaded in chunks, without ranges",
              whole.status == 200 and whole.headers.get("transfer-encoding") == "chunked" and
              whole.headers["accept-ranges"] == "none" and len(whole.body) > 2100 * 100,
              whole.headers)
    node.stop_capture(a)


def export(store, session, *more):
    path = os.path.join(SCRATCH, "out")
    code, _, err = store.run("export", "-s", session, "-o", path, "--force", *more)
    if code != 0:
        raise RuntimeError(err)
    with open(path, "rb") as f:
        return f.read()


def check_downloads(node, store, a):
    path = f"/api/v1/sessions/{a}/pcap"
    wanted = export(store, a)
    whole = node.get(path)
    etag = whole.headers["etag"]
    tap.check("a download is what export writes", whole.status == 200 and whole.body == wanted and
              int(whole.headers["content-length"]) == len(wanted) and
              f"{a}.pcapng" in whole.headers["content-disposition"], whole.headers)
    parts, at, step = [], 0, len(wanted) // 13 + 1
    while at < len(wanted):
        part = node.get(path, Range=f"bytes={at}-{at + step - 1}", If_Range=etag)
        last = min(at + step, len(wanted)) - 1
        if part.status != 206 or \
                part.headers["content-range"] != f"bytes {at}-{last}/{len(wanted)}":
            break
        parts.append(part.body)
        at += step
    tap.check("ranges come to the whole", b"".join(parts) == wanted, len(parts))
    tail = node.get(path, Range="bytes=-100")
    tap.check("the last bytes can be asked for", tail.status == 206 and tail.body == wanted[-100:])
    beyond = node.get(path, Range=f"bytes={len(wanted)}-")
    tap.check("beyond the end is a 416 that says the length", beyond.status == 416 and
              beyond.headers["content-range"] == f"bytes */{len(wanted)}", beyond.headers)
    tap.check("a range of other bytes is answered as the whole",
              node.get(path, Range="bytes=0-9", If_Range='"x"').body == wanted)
    tap.check("several ranges are answered as the whole",
              node.get(path, Range="bytes=0-1,5-6").body == wanted)
    same = node.get(path, If_None_Match=f'"x", W/{etag}')
    tap.check("what the client has is a 304", same.status == 304 and same.body == b"")
    head = node.ask("HEAD", path)
    tap.check("HEAD tells the length", head.status == 200 and head.body == b"" and
              int(head.headers["content-length"]) == len(wanted))
    part = node.get(path + "?filter=udp%5B12%5D%20=%200x31")
    tap.check("a filtered download is the filtered export",
              part.body == export(store, a, "--", "udp[12] = 0x31") and
              len(part.body) > 1000 * 140 and part.headers["accept-ranges"] == "none")
    classic = node.get(path + "?format=pcap")
    tap.check("so is the classic format", classic.body == export(store, a, "--format", "pcap") and
              classic.headers["content-type"] == "application/vnd.tcpdump.pcap")
    refused("another format is a 400", node.get(path + "?format=zip"), 400, "format")
    refused("a wrong filter is a 400", node.get(path + "?filter=prot%2080"), 400)


def check_slow_clients(node, store):
    """Clients that take nothing keep neither workers nor the node busy."""
    big = node.start(interface="lo", filter=f"udp dst port {PORT}", name="big")
    for part in range(20):
        send(part * 500, part * 500 + 500, size=60000)
        counted(node, big, part * 500 + 400)
    node.stop_capture(big)
    stuck = []
    for _ in range(8):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.connect(("127.0.0.1", node.port))
        s.sendall(f"GET /api/v1/sessions/{big}/pcap HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
        s.recv(100)
        stuck.append(s)
    refused("a ninth download at once is a 503", node.get(f"/api/v1/sessions/{big}/pcap"), 503)
    began = time.monotonic()
    for _ in range(20):
        node.get("/api/v1/sessions/a/packets?limit=10")
    tap.check("with eight that take nothing others are served", time.monotonic() - began < 2,
              time.monotonic() - began)
    for s in stuck:
        s.close()
    tap.check("and when they are gone downloads go on", wait_for(
        10, lambda: node.get(f"/api/v1/sessions/{big}/pcap").body == export(store, big)))
    resident = node.metric("process_resident_memory_bytes")
    tap.check("they cost no memory", resident < 500 << 20, resident)


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
    before = node.metric('packetrecorder_packets_total{protocol="udp"}')
    for part in range(6):
        a = node.start(interface="lo", filter=f"udp dst port {PORT}")
        send(0, 500)
        counted(node, a, 500)
        node.stop_capture(a)
    stop.set()
    thread.join()
    tap.check("counters never go back while captures end", not bad, bad[:5])
    after = node.metric('packetrecorder_packets_total{protocol="udp"}')
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
        return {p: node.metric(f'packetrecorder_packets_total{{protocol="{p}"}}') for p in names}
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

def make_key(store, role):
    code, out, err = store.run("keys", "add", "--role", role)
    if code != 0:
        raise RuntimeError(err)
    return out.strip()


def check_rights(node, store, a):
    keys = {role: make_key(store, role) for role in ("view", "capture", "admin", "ingest")}
    wait_for(5, lambda: node.get("/api/v1/sessions").status == 401)
    body = {"interface": "lo", "max_packets": 1}
    refused("once there is a key everybody needs one", node.get("/api/v1/sessions"), 401)
    refused("also /metrics", node.get("/metrics"), 401)
    tap.check("but for /health", node.get("/health").status == 200)
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


# ---- when things go wrong ----

def check_end(node, store, key):
    """SIGTERM with a capture and a follower."""
    node.key = key
    follower = Events(node)
    a = node.start(interface="lo", filter=f"udp dst port {PORT}", name="last words")
    send(0, 300)
    code, seconds = node.stop()
    tap.check("SIGTERM ends within five seconds with 0", code == 0 and seconds < 5, code, seconds,
              *node.log[-10:])
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
    node = Node(path, "--encryption-key-file", key)
    tap.check("a node with the wrong key does not start",
              node.port is None and any("wrong key" in line for line in node.log), node.log)


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


def fill(leave=0):
    """Takes what is free on the disk but for so many bytes."""
    with open(os.path.join(DISK, "filler"), "ab", buffering=0) as f:
        free = os.statvfs(DISK)
        n = free.f_bavail * free.f_frsize - leave
        try:
            while n > 0:
                n -= f.write(b"\xff" * min(n, 1 << 20))
        except OSError:
            pass


def check_disk_full():
    path = os.path.join(DISK, "full.db")
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
    fill(2 << 20)
    tap.check("a full disk is an event", events.wait("store.full", 15, session=a), events.seen)
    tap.check("and a state", node.get("/api/v1/captures/" + a).json()["state"] == "disk_full")
    ill = wait_for(5, lambda: (lambda h: h if h.status == 503 else None)(node.get("/health")))
    failing = [c["name"] for c in ill.json()["checks"] if not c["ok"]] if ill else None
    tap.check("health says what fails", failing == ["disk", "captures"], failing)
    text = node.get("/health", Accept="text/plain")
    tap.check("as text too", text.status == 503 and b"disk: failing" in text.body, text.body)
    tap.check("what was stored is read on", wait_for(5, lambda: node.get(
        f"/api/v1/sessions/{a}/packets?limit=500").status == 200))
    os.unlink(os.path.join(DISK, "filler"))
    tap.check("with room again it goes on, and says so", events.wait("store.ok", 15, session=a),
              events.seen)
    tap.check("and is well", wait_for(10, lambda: node.get("/health").status == 200),
              node.get("/health").body)
    stop.set()
    thread.join()
    one = node.stop_capture(a).json()
    lost = node.metric('packetrecorder_lost_packets_total{stage="store"}')
    tap.check("what was lost meanwhile is counted", one["loss"]["store"] > 0 and
              lost == one["loss"]["store"], one, lost)
    node.stop()


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
