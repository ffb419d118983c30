# SPDX-License-Identifier: Apache-2.0
"""The HTTP side of a node as a checker from outside sees it: every route, every shape, every refusal.
Driven by tests/system/http_acceptance.sh."""
import os
import re
import subprocess
import sys
from urllib.parse import quote

import pcapng_blocks
from node_process import IF_B, Checks, Node, end_a, numbered
from recorder import finish, wait_for
from ws_raw import Refused, WebSocket, get

FOLDER = sys.argv[1]
UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}"
COUNTED_PROTOCOLS = ("tcp", "udp", "icmp", "arp", "other")
node = None  # without keys: loopback has the role capture


def refusal(target, **more):
    """The answer to an upgrade that must not succeed."""
    try:
        WebSocket(node.address, target, **more).close()
    except Refused as error:
        return error.answer
    raise AssertionError(f"{target}: upgraded")


def record(n, **more):
    """A capture of exactly n numbered packets; its id when it is stored."""
    answer = node.http("POST", "/api/v1/captures",
                       {"interfaces": [IF_B], "filter": "ether proto 0x88b5", "max_packets": n,
                        **more})
    if answer.status != 201:
        raise AssertionError(answer)
    identity = answer.json()["id"]
    end = end_a()
    end.send(*(numbered(i, 200) for i in range(n)))
    if not wait_for(10, lambda: session(identity).get("state") == "complete"):
        raise AssertionError(session(identity))
    return identity


def session(identity):
    return node.get(f"/api/v1/sessions/{identity}").json()


def test_text_and_interfaces(t):
    answer = node.get("/")
    t.check("GET / is a short text", answer.status == 200 and answer.type() == "text/plain" and
            0 < len(answer.body) < 200, answer)
    answer = node.get("/interfaces")
    names = answer.json()
    t.check("GET /interfaces is a JSON array of names",
            answer.status == 200 and answer.type() == "application/json" and
            isinstance(names, list) and all(isinstance(n, str) for n in names), answer)
    t.check("the interfaces of the host are in it", IF_B in names and "lo" in names, names)
    answer = node.http("HEAD", "/interfaces")
    t.check("HEAD answers as GET, without the content", answer.status == 200 and
            answer.type() == "application/json" and answer.body == b"", answer)
    found = node.get("/api/v1/interfaces").json()
    mine = [i for i in found if i.get("name") == IF_B]
    t.check("/api/v1/interfaces has the shape of list-interfaces --json", len(mine) == 1 and
            set(mine[0]) >= {"name", "description", "mac", "addresses", "link_types", "mtu", "flags",
                             "warnings"} and "10.77.0.2/24" in mine[0]["addresses"], found)


def test_refusals(t):
    t.check("an unknown path is 404", node.get("/nothing").problem(404), node.get("/nothing"))
    answer = node.http("PUT", "/interfaces", b"")
    t.check("a wrong method is 405 and says which are right", answer.problem(405) and
            "GET" in answer.headers.get("allow", ""), answer)
    answer = refusal("/connections/nosuch0")
    t.check("no such interface: 404 that names it", answer.problem(404) and
            "nosuch0" in answer.detail(), answer)
    for text, words in (("tcp prot 80", "syntax error"), ("host no.such.name.invalid", "unknown host"),
                        ("port nosuchport", "unknown port"), ("ip and", "syntax error")):
        answer = refusal(f"/connections/{IF_B}?filter={quote(text)}")
        t.check(f"filter '{text}': 400 with libpcap's words", answer.problem(400) and
                words in answer.detail(), answer)
    for query in ("format=xml", "format=pcapng&compress=lz4", "snaplen=many", "snaplen=-1",
                  "format=pcapng&history=soon", "deflate=perhaps", "filter=%zz", "filter=%00"):
        answer = refusal(f"/connections/{IF_B}?{query}")
        t.check(f"?{query}: 400", answer.problem(400), answer)
    for target, words in ((f"/connections/{IF_B}?fliter=udp", "is 'filter' meant"),
                          (f"/connections/{IF_B}?filter=udp&filter=tcp", "twice"),
                          ("/api/v1/sessions/last/packets?zzzz=1", "openapi.json"),
                          ("/api/v1/sessions/last/pcap?format=pcap&format=pcap", "twice"),
                          ("/api/v1/events?last_event=0", "is 'last_event_id' meant")):
        answer = node.get(target)
        t.check(f"{target}: 400, and what is wrong", answer.problem(400) and
                words in answer.detail(), answer)
    for name in ("..%2f..%2fetc", "%2e%2e", "a" * 400, "lo%0d%0aX-Injected:%201", "%ff"):
        answer = refusal(f"/connections/{name}")
        t.check(f"interface '{name[:20]}': 400 or 404", answer.status in (400, 404) and
                answer.problem(answer.status) and "x-injected" not in answer.headers, answer)


def test_upgrade(t):
    answer = node.get(f"/connections/{IF_B}")
    t.check("without an upgrade: 426 or 400 and what is wanted",
            answer.status in (400, 426) and answer.problem(answer.status), answer)
    before = node.get("/api/v1/stats").json()["streams"]
    answer = node.get("/connections/nosuch0")
    t.check("no such interface: 404 also without an upgrade", answer.problem(404) and
            "nosuch0" in answer.detail(), answer)
    answer = node.get(f"/connections/{IF_B}?filter=tcp%20prot%2080")
    t.check("a bad filter: 400 with libpcap's words also without an upgrade", answer.problem(400) and
            "syntax error" in answer.detail(), answer)
    answer = node.get(f"/connections/{IF_B}?filter=tcp%20port%2080&snaplen=99")
    t.check("a good one: 426", answer.problem(426), answer)
    t.equal("nothing is captured for such questions", before,
            node.get("/api/v1/stats").json()["streams"])
    answer = refusal(f"/connections/{IF_B}", headers={"Sec-WebSocket-Version": "12"})
    t.check("another version: 426 with the right one (RFC 6455 section 4.4)", answer.status == 426 and
            answer.headers.get("sec-websocket-version") == "13", answer)
    for key in ("", "short", "!" * 24, None):
        answer = refusal(f"/connections/{IF_B}", headers={"Sec-WebSocket-Key": key})
        t.check(f"key {key!r}: 400", answer.problem(400), answer)
    answer = refusal(f"/connections/{IF_B}", headers={"Upgrade": "h2c"})
    t.check("an upgrade to something else is none", answer.status in (400, 426), answer)
    watcher = node.watch(IF_B, headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
    t.check("no permessage-deflate without ?deflate=1",
            "sec-websocket-extensions" not in watcher.headers, watcher.headers)
    t.check("no subprotocol that was not asked for",
            "sec-websocket-protocol" not in watcher.headers, watcher.headers)
    t.equal("close is answered with the same code", 1000, watcher.finish())
    watcher = node.watch(IF_B, headers={"Connection": "keep-alive, Upgrade", "Upgrade": "WebSocket"})
    t.check("Connection and Upgrade in other spellings", watcher.is_alive())
    watcher.close()
    answer = refusal("/interfaces")
    t.check("an upgrade of a plain route is no upgrade", answer.status in (200, 400), answer)


def test_host_and_origin(t):
    port = node.address[1]
    for host in ("evil.example", f"evil.example:{port}", "169.254.169.254", "", f"127.0.0.1.evil:{port}"):
        answer = get(node.address, "/interfaces", headers={"Host": host})
        t.check(f"Host '{host}' is refused", answer.status in (400, 403, 421) and
                answer.problem(answer.status), answer)
    for host in (f"localhost:{port}", f"127.0.0.1:{port}", f"LOCALHOST:{port}"):
        answer = get(node.address, "/interfaces", headers={"Host": host})
        t.check(f"Host '{host.split(':')[0]}' is this node", answer.status == 200, answer)
    answer = refusal(f"/connections/{IF_B}", headers={"Origin": "http://evil.example"})
    t.check("a foreign Origin cannot watch", answer.problem(403), answer)
    answer = refusal(f"/connections/{IF_B}", headers={"Origin": "null"})
    t.check("Origin null cannot watch", answer.problem(403), answer)
    answer = node.http("POST", "/api/v1/captures", {"interfaces": [IF_B]},
                       headers={"Origin": "https://evil.example"})
    t.check("a foreign Origin cannot start a capture", answer.problem(403), answer)
    watcher = node.watch(IF_B, headers={"Origin": f"http://127.0.0.1:{port}"})
    t.check("the node's own Origin may", watcher.is_alive())
    watcher.close()
    answer = get(node.address, "/interfaces", headers={"Host": None})
    t.check("HTTP/1.1 without Host: 400", answer.status == 400, answer)


def test_capture_lifecycle(t):
    answer = node.http("POST", "/api/v1/captures",
                       {"interfaces": [IF_B], "name": "by hand", "filter": "ether proto 0x88b5",
                        "tags": {"ticket": "42"}})
    t.check("POST /api/v1/captures: 201 and a UUIDv7", answer.status == 201 and
            re.fullmatch(UUID, answer.json().get("id", "")), answer)
    identity = answer.json()["id"]
    t.check("with a Location that works", node.get(answer.headers.get("location", "/-")).status == 200,
            answer.headers)
    t.equal("it is running", "running", session(identity)["state"])
    sender = end_a()
    sender.send(*(numbered(i) for i in range(10)))
    t.eventually("the session counts what comes", lambda: session(identity).get("packets") == 10,
                 details=lambda: session(identity))
    answer = node.http("DELETE", f"/api/v1/captures/{identity}")
    ended = answer.json() if answer.body else {}
    t.check("DELETE ends it and gives the session", answer.status == 200 and
            ended.get("state") == "complete" and ended.get("packets") == 10 and
            set(ended) >= {"id", "name", "node", "state", "interfaces", "filter", "started", "ended",
                           "packets", "bytes", "stored_bytes", "encrypted", "tags", "loss",
                           "self_excluded"}, answer)
    t.check("name, tags and filter are kept", ended.get("name") == "by hand" and
            ended.get("tags") == {"ticket": "42"} and ended.get("filter") == "ether proto 0x88b5" and
            ended.get("self_excluded"), ended)
    answer = node.http("DELETE", f"/api/v1/captures/{identity}")
    t.check("a second DELETE changes nothing (RFC 9110 section 9.2.2)", answer.status == 200 and
            answer.json() == ended, answer)
    answer = node.http("DELETE", "/api/v1/captures/01900000-0000-7000-8000-000000000000")
    t.check("DELETE of a capture that never was: 404", answer.problem(404), answer)
    for name, body in (("no JSON", b"{"), ("an array", []), ("no interfaces", {}),
                       ("an empty list", {"interfaces": []}), ("a number", {"interfaces": [7]}),
                       ("a filter that is none", {"interfaces": [IF_B], "filter": "tcp prot"}),
                       ("a wrong type", {"interfaces": [IF_B], "max_packets": "many"}),
                       ("a negative limit", {"interfaces": [IF_B], "max_packets": -1}),
                       ("an unknown member", {"interfaces": [IF_B], "colour": "red"}),
                       ("nesting without end", b"[" * 60000)):
        answer = node.http("POST", "/api/v1/captures", body)
        t.check(f"a capture with {name}: 400", answer.problem(400), answer)
    answer = node.http("POST", "/api/v1/captures", {"interfaces": ["nosuch0"]})
    t.check("a capture of no interface: 404", answer.problem(404), answer)
    answer = node.http("POST", "/api/v1/captures", b"x" * (4 << 20))
    t.check("a content without end: 413", answer.status == 413, answer)


def test_sessions(t):
    first = record(50, name="fifty")
    record(20)
    listed = node.get("/api/v1/sessions").json()
    starts = [s["started"] for s in listed]
    t.check("/api/v1/sessions is an array, oldest first", isinstance(listed, list) and
            starts == sorted(starts) and first in [s["id"] for s in listed], listed)
    t.equal("a unique prefix is enough", first, session(first[:18]).get("id"))
    t.equal("a unique name too", first, session("fifty").get("id"))
    t.equal("and 'last'", listed[-1]["id"], session("last").get("id"))
    answer = node.get("/api/v1/sessions/01900000-0000-7000-8000-000000000000")
    t.check("no such session: 404", answer.problem(404), answer)

    numbers, cursor, pages = [], None, 0
    while pages < 20:
        target = f"/api/v1/sessions/{first}/packets?limit=7" + (f"&cursor={quote(cursor)}" if cursor else "")
        page = node.get(target).json()
        numbers += [p["number"] for p in page["packets"]]
        pages += 1
        cursor = page.get("cursor") or page.get("next")
        if not cursor:
            break
    t.equal("packets page by page: every one once", list(range(1, 51)), numbers)
    t.check("in pages of the limit", pages in (8, 9), pages)
    line = node.get(f"/api/v1/sessions/{first}/packets?limit=1").json()["packets"][0]
    t.check("a packet looks as in query --json", set(line) >= {
        "session", "number", "time", "interface", "caplen", "len", "link_type", "src", "dst", "sport",
        "dport", "proto", "flags", "info"} and line["caplen"] == 200, line)
    page = node.get(f"/api/v1/sessions/{first}/packets?filter=" +
                    quote("ether[22] = 7 and ether[23] = 0")).json()
    t.equal("with a filter", [8], [p["number"] for p in page["packets"]])
    for query in ("filter=tcp+prot", "limit=x", "limit=-1", "cursor=%21%21"):
        answer = node.get(f"/api/v1/sessions/{first}/packets?{query}")
        t.check(f"packets?{query}: 400", answer.problem(400), answer)


def test_pcap(t):
    identity = record(200)
    target = f"/api/v1/sessions/{identity}/pcap"
    whole = node.get(target)
    stream = pcapng_blocks.read(whole.body)
    t.check("/pcap is a whole pcapng of the packets", whole.status == 200 and
            [p.data for p in stream.packets] == [numbered(i, 200) for i in range(200)], whole.headers)
    t.check("its media type is a capture file's", whole.type() in
            ("application/x-pcapng", "application/vnd.tcpdump.pcap"), whole.headers)
    size = len(whole.body)
    again = node.get(target)
    t.check("twice the same bytes", again.body == whole.body)
    for name, wanted, first, last in (("from 0", "bytes=0-99", 0, 99),
                                      ("in the middle", "bytes=1000-2999", 1000, 2999),
                                      ("to the end", "bytes=5000-", 5000, size - 1),
                                      ("the last", "bytes=-500", size - 500, size - 1),
                                      ("beyond the end", f"bytes=100-{size + 99}", 100, size - 1)):
        answer = node.get(target, headers={"Range": wanted})
        t.check(f"a range {name}", answer.status == 206 and
                answer.body == whole.body[first:last + 1] and
                answer.headers.get("content-range") == f"bytes {first}-{last}/{size}",
                (answer.status, answer.headers, len(answer.body)))
    answer = node.get(target, headers={"Range": f"bytes={size}-"})
    t.check("a range behind the end: 416 with the size", answer.status == 416 and
            answer.headers.get("content-range") == f"bytes */{size}", answer)
    for wanted in ("bytes=9-3", "lines=1-2", "bytes=a-b"):
        answer = node.get(target, headers={"Range": wanted})
        t.check(f"Range '{wanted}' is ignored (RFC 9110 section 14.2)",
                answer.status in (200, 416), answer.status)
    answer = node.http("HEAD", target, headers={"Range": "bytes=0-9"})
    t.check("HEAD has no ranges (RFC 9110 section 14.2)", answer.status == 200 and
            answer.headers.get("content-length") == str(size), answer)
    answer = node.http("HEAD", target)
    t.check("HEAD tells that there are ranges", answer.status == 200 and
            answer.headers.get("accept-ranges") == "bytes", answer)
    tag = whole.headers.get("etag")
    if tag:
        answer = node.get(target, headers={"Range": "bytes=0-9", "If-Range": '"another"'})
        t.check("If-Range with another tag gives all", answer.status == 200 and
                answer.body == whole.body, answer.status)
    answer = node.get(target + "?filter=" + quote("ether[22] < 10"))
    t.equal("/pcap with a filter", 10, len(pcapng_blocks.read(answer.body).packets))


def test_health_of_the_folder(t):
    """A database that could not be written, if there were something to write."""
    folder = os.path.join(FOLDER, "health")
    os.makedirs(folder)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "none", folder], check=True)
    try:
        with Node(folder, "--min-free", "1k", database="sub/health.db") as ill:
            def disk():
                answer = ill.get("/health")
                found = {c["name"]: c for c in answer.json()["checks"]}["disk"]
                return answer.status, found["ok"], found["detail"]
            t.check("without the database's folder /health fails and names it", wait_for(
                5, lambda: disk()[:2] == (503, False) and f"'{folder}/sub/'" in disk()[2]), disk())
            os.mkdir(f"{folder}/sub")
            t.check("with it the node is well", wait_for(5, lambda: disk()[:2] == (200, True)), disk())
            subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
            t.check("on a file system that is read only it fails and says so", wait_for(
                5, lambda: disk()[:2] == (503, False) and "Read-only" in disk()[2]), disk())
    finally:
        subprocess.run(["umount", "-l", folder], check=False)


def test_health_and_metrics(t):
    answer = node.get("/health")
    document = answer.json()
    t.check("/health is 200 and names its checks", answer.status == 200 and
            {c["name"] for c in document["checks"]} >= {"store", "disk", "captures"} and
            all(c["ok"] is True for c in document["checks"]), answer)
    text = node.get("/metrics")
    t.check("/metrics is Prometheus' text", text.type() == "text/plain" and
            "version=0.0.4" in text.headers.get("content-type", ""), text.headers)
    linter = subprocess.run(["promtool", "check", "metrics"], input=text.body, capture_output=True,
                            check=False)
    t.check("promtool finds nothing", linter.returncode == 0 and not linter.stderr and
            not linter.stdout, linter.stdout.decode() + linter.stderr.decode())
    names = {line.split("{")[0].split(" ")[0] for line in text.text().splitlines()
             if line and line[0] != "#"}
    for wanted in ("packetrecorder_packets_total", "packetrecorder_bytes_total",
                   "packetrecorder_active_sessions",
                   "packetrecorder_packet_processing_seconds_bucket",
                   "packetrecorder_packet_processing_seconds_sum",
                   "packetrecorder_packet_processing_seconds_count"):
        t.check(f"metric {wanted}", wanted in names, sorted(names))
    before = {p: node.metric("packetrecorder_packets_total", protocol=p) for p in COUNTED_PROTOCOLS}
    t.check("packets are counted by protocol, each of them from the start",
            None not in before.values(), before)
    record(30)
    after = {p: node.metric("packetrecorder_packets_total", protocol=p) for p in COUNTED_PROTOCOLS}
    t.equal("what was recorded is counted as what it is", 30, after["other"] - before["other"])
    stats = node.get("/api/v1/stats")
    t.check("/api/v1/stats is an object", stats.status == 200 and isinstance(stats.json(), dict) and
            len(stats.json()) >= 3, stats)


def test_openapi(t):
    document = node.get("/openapi.json").json()
    t.check("it is OpenAPI 3", document["openapi"].startswith("3."), document.get("openapi"))
    for path in ("/", "/interfaces", "/connections/{iface}", "/health", "/metrics", "/api/v1/stats",
                 "/api/v1/interfaces", "/api/v1/sessions", "/api/v1/sessions/{id}",
                 "/api/v1/sessions/{id}/packets", "/api/v1/sessions/{id}/pcap", "/api/v1/captures",
                 "/api/v1/captures/{id}", "/api/v1/events", "/api/v1/ticket", "/openapi.json"):
        t.check(f"openapi.json has {path}", path in document["paths"], sorted(document["paths"]))
    wrong = []
    for path, item in document["paths"].items():
        real = path.replace("{iface}", "lo").replace("{id}", "none")
        for method in ("get", "post", "put", "delete", "patch"):
            if (path, method) == ("/api/v1/events", "get"):  # an answer without an end
                continue
            answer = node.http(method.upper(), real, None if method in ("get", "delete") else {})
            if (answer.status != 405) != (method in item):
                wrong.append((method, path, answer))
    t.equal("openapi.json and the routes agree", [], wrong)
    operation = document["paths"]["/api/v1/sessions/{id}/packets"]["get"]
    names = {p["name"]: p["in"] for p in operation["parameters"]}
    t.check("parameters are described", names.get("id") == "path" and
            {"filter", "limit", "cursor"} <= set(names), names)


def main():
    global node
    tap = Checks()
    with Node(FOLDER) as node:
        tap.run([test_text_and_interfaces, test_refusals, test_upgrade, test_host_and_origin,
                 test_capture_lifecycle, test_sessions, test_pcap, test_health_of_the_folder, test_health_and_metrics,
                 test_openapi])
        tap.check("the node is alive at the end", not node.has_ended(), node.said())
    finish(tap)


main()
