# SPDX-License-Identifier: Apache-2.0
"""The checks of api_calls.py that read back what was recorded: pages of packets, downloads."""
import json
import socket
import time

import node_process
from api_client import PORT, counted, export, refused, send, tap
from recorder import wait_for


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
    bound = (500 if node_process.is_sanitized() else 300) << 20  # ASan keeps what was freed for a while
    resident = node.metric("process_resident_memory_bytes")
    tap.check("they cost no memory", resident < bound, resident)
