# SPDX-License-Identifier: Apache-2.0
"""Requests and frames that no decent client sends: the node answers each with the right error or ends
the connection, keeps its memory and descriptors, and serves others meanwhile. Driven by
tests/system/http_acceptance.sh."""
import os
import socket
import struct
import sys
import threading
import time
import zlib

import ws_raw
from node_process import IF_B, Checks, Node, end_a, numbered
from recorder import finish, wait_for
from ws_raw import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, Wire, frame_bytes, get

FOLDER = os.path.join(sys.argv[1], "hostile")
node = None


def answer_to(data, timeout=10):
    """(status, all bytes) of what comes back until the node closes; status None when nothing does."""
    wire = Wire(node.address, timeout=timeout)
    try:
        wire.send(data)
    except (ConnectionError, socket.timeout):
        pass  # an answer can come before all was taken
    try:
        text = wire.rest()
    except socket.timeout:
        text = bytes(wire.buffer)
    wire.close()
    return (int(text.split(b" ", 2)[1]) if text.startswith(b"HTTP/1.") else None), text


def request(*lines, start="GET / HTTP/1.1", body=b""):
    return "\r\n".join([start, "Host: localhost", "Connection: close", *lines, "", ""]).encode(
        "latin-1") + body


BROKEN = (
    ("no HTTP at all", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(64) + b"\r\n\r\n", {400}),
    ("a blank instead of a method", b" / HTTP/1.1\r\nHost: localhost\r\n\r\n", {400}),
    ("an unknown version", b"GET / HTTP/3.7\r\nHost: localhost\r\n\r\n", {400, 505}),
    ("HTTP/2's preface", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", {400, 405, 501, 505}),
    ("two different lengths", request("Content-Length: 1", "Content-Length: 2", body=b"xx"), {400}),
    ("a length and chunks", request("Content-Length: 5", "Transfer-Encoding: chunked",
                                    body=b"0\r\n\r\n"), {400}),
    ("a negative length", request("Content-Length: -1"), {400}),
    ("a length that overflows", request("Content-Length: 18446744073709551617"), {400, 413}),
    ("a chunk size that overflows", request("Transfer-Encoding: chunked", start="POST /api/v1/captures HTTP/1.1",
                                            body=b"ffffffffffffffffff\r\n"), {400, 413}),
    ("an unknown transfer coding", request("Transfer-Encoding: sausage"), {400, 501}),
    ("a header without a name", request(": value"), {400}),
    ("a blank before the colon", request("Name : value"), {400}),
    ("a NUL in a header", request("X: a\0b"), {400}),
    ("a folded header", request("X: a", " b"), {200, 400}),
    ("two Host headers", b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", {400}),
    ("a head of 1 MiB", request("X: " + "a" * (1 << 20)), {400, 413, 431}),
    ("10,000 headers", request(*(f"X-{i}: y" for i in range(10000))), {400, 413, 431}),
    ("a target of 200 KiB", request(start="GET /" + "a" * 200000 + " HTTP/1.1"), {400, 414, 431}),
    ("1,000 parameters", request(start="GET /?" + "&".join(f"a{i}=b" for i in range(1000)) + " HTTP/1.1"),
     {400, 414, 431}),
    ("a broken escape", request(start="GET /interfaces%z HTTP/1.1"), {400, 404}),
    ("an encoded NUL", request(start="GET /interfaces%00 HTTP/1.1"), {400, 404}),
    ("a target that climbs", request(start="GET /../../etc/passwd HTTP/1.1"), {400, 404}),
    ("the absolute form of another host", request(start="GET http://evil.example/interfaces HTTP/1.1"),
     {400, 403, 404, 421}),
    ("CONNECT", request(start="CONNECT 10.77.0.1:22 HTTP/1.1"), {400, 404, 405, 501}),
    ("TRACE", request(start="TRACE / HTTP/1.1"), {400, 405, 501}),
    ("an endless method", b"A" * 100000, {400, 405, 431, 501}),
    ("a body where none belongs", request("Content-Length: 4", body=b"body"), {200, 400, 413}),
)


def test_broken_requests(t):
    for name, data, wanted in BROKEN:
        status, text = answer_to(data)
        t.check(f"{name}: {' or '.join(map(str, sorted(wanted)))}", status in wanted, status, text[:300])
        if status is not None and status >= 400:
            head, _, body = text.partition(b"\r\n\r\n")
            if b"application/problem+json" not in head.lower():
                t.check(f"{name}: the refusal is a problem document", False, text[:400])
            elif b'"detail"' not in body:
                t.check(f"{name}: the problem document says why", False, text[:400])


def test_pipelining(t):
    one = ws_raw.request_bytes(node.address, "GET", "/interfaces")
    wire = Wire(node.address)
    wire.send(one * 20 + ws_raw.request_bytes(node.address, "GET", "/nothing"))
    statuses = []
    for _ in range(21):
        status, _, headers = ws_raw.read_head(wire)
        ws_raw.read_body(wire, status, headers)
        statuses.append(status)
    t.equal("21 requests in one packet are answered in order", [200] * 20 + [404], statuses)
    for byte in ws_raw.request_bytes(node.address, "GET", "/interfaces", {"Connection": "close"}):
        wire.send(bytes([byte]))
    status, _, headers = ws_raw.read_head(wire)
    t.equal("and one byte by byte on the same connection", 200, status)
    ws_raw.read_body(wire, status, headers)
    t.equal("Connection: close closes", b"", wire.rest())
    status, text = answer_to(b"GET / HTTP/1.0\r\nHost: localhost\r\n\r\n")
    t.check("HTTP/1.0 is answered and closed, without chunks", status == 200 and
            b"chunked" not in text.lower(), text)
    body = b'{"interfaces":["nosuch0"]}'
    chunks = b"".join(b"1;x=y\r\n%c\r\n" % byte for byte in body) + b"0\r\nTrailer: z\r\n\r\n"
    status, text = answer_to(request("Transfer-Encoding: chunked", "Content-Type: application/json",
                                     start="POST /api/v1/captures HTTP/1.1", body=chunks))
    t.check("a content in chunks of one byte is understood", status == 404 and b"nosuch0" in text, text)
    wire = Wire(node.address, timeout=5)
    wire.send(ws_raw.request_bytes(node.address, "POST", "/api/v1/captures",
                                   {"Expect": "100-continue", "Content-Length": str(len(body)),
                                    "Content-Type": "application/json"}))
    status, _, _ = ws_raw.read_head(wire)
    if status == 100:
        wire.send(body)
        status, _, _ = ws_raw.read_head(wire)
    t.check("Expect: 100-continue gets on", status in (404, 417), status)
    wire.close()


def close_code(data, watcher=None):
    """How the node closes after these bytes: the code of its close frame, None without one."""
    watcher = watcher or node.watch(IF_B)
    try:
        watcher.wire.send(data)
        code = watcher.closed_by_peer(10)[0]
    except ws_raw.Closed:
        return None
    finally:
        watcher.close()
    return code


FRAMES = (
    ("an unmasked frame", frame_bytes(BINARY, b"x", mask=False), 1002),
    ("RSV1 without an extension", frame_bytes(BINARY, b"x", rsv=4), 1002),
    ("RSV2", frame_bytes(BINARY, b"x", rsv=2), 1002),
    ("a reserved opcode", frame_bytes(3, b"x"), 1002),
    ("a reserved control opcode", frame_bytes(11, b"x"), 1002),
    ("a ping in fragments", frame_bytes(PING, b"x", fin=False), 1002),
    ("a ping of 126 bytes", frame_bytes(PING, bytes(126)), 1002),
    ("a continuation of nothing", frame_bytes(CONTINUATION, b"x"), 1002),
    ("a message within a message", frame_bytes(BINARY, b"x", fin=False) + frame_bytes(BINARY, b"y"), 1002),
    ("a length of 2^63", b"\x82\xff" + struct.pack(">Q", 1 << 63) + bytes(4), 1002),
    ("a length of 2^62", b"\x82\xff" + struct.pack(">Q", 1 << 62) + bytes(40), 1009),
    ("a message over the limit", frame_bytes(BINARY, bytes((1 << 20) + 1)), 1009),
    ("fragments over the limit", frame_bytes(BINARY, bytes(1 << 19), fin=False) +
     frame_bytes(CONTINUATION, bytes(1 << 19), fin=False) + frame_bytes(CONTINUATION, b"x"), 1009),
    ("text that is not UTF-8", frame_bytes(TEXT, b"\xff\xfe"), 1007),
    ("a close of one byte", frame_bytes(CLOSE, b"x"), 1002),
    ("a close with code 1005", frame_bytes(CLOSE, struct.pack(">H", 1005)), 1002),
    ("a close with code 999", frame_bytes(CLOSE, struct.pack(">H", 999)), 1002),
    ("a close whose reason is not UTF-8", frame_bytes(CLOSE, b"\x03\xe8\xff"), 1007),
    ("a close without a code", frame_bytes(CLOSE), 1005),
    ("a close with 1000", frame_bytes(CLOSE, b"\x03\xe8bye"), 1000),
    ("a close with 4999", frame_bytes(CLOSE, struct.pack(">H", 4999)), 4999),
)


def test_broken_frames(t):
    for name, data, wanted in FRAMES:
        found = close_code(data)
        # A close without a code may be answered with 1000 (RFC 6455 section 5.5.1 leaves it open);
        # a length that is not minimal or too large may be called either error.
        good = {wanted} | ({1000} if wanted == 1005 else set()) | \
            ({1002, 1009} if "2^6" in name else set()) | ({1002} if "reason" in name else set())
        t.check(f"{name}: closed with {wanted}", found in good, f"found {found}")
    watcher = node.watch(IF_B)
    watcher.send(TEXT, "grüß Gott".encode(), fin=False)
    watcher.send(PING, b"between")
    opcode, data = watcher.message()
    t.equal("a ping between fragments is answered at once", (PONG, b"between"), (opcode, data))
    watcher.send(CONTINUATION, b"", fin=False)
    watcher.send(PONG, b"nobody asked")
    watcher.send(CONTINUATION, b"!", fin=True)
    for byte in frame_bytes(PING, b"slowly"):
        watcher.wire.send(bytes([byte]))
    t.equal("a ping byte by byte", (PONG, b"slowly"), watcher.message())
    watcher.send(PING, bytes(125))
    t.equal("a ping of 125 bytes", (PONG, bytes(125)), watcher.message())
    watcher.wire.send(b"".join(frame_bytes(PING, b"%d" % i) for i in range(1000)))
    last = None
    for _ in range(1000):
        last = watcher.message()
        if last[1] == b"999":
            break
    t.equal("1,000 pings at once: the last is answered (section 5.5.3)", (PONG, b"999"), last)
    watcher.close()


def test_bombs(t):
    watcher = node.watch(IF_B, "deflate=1", headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
    t.check("?deflate=1 agrees on permessage-deflate",
            "permessage-deflate" in watcher.headers.get("sec-websocket-extensions", ""), watcher.headers)
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = deflater.compress(bytes(200 << 20)) + deflater.flush(zlib.Z_SYNC_FLUSH)
    before = node.rss_bytes()
    code = close_code(frame_bytes(BINARY, bomb[:-4], rsv=4), watcher)
    t.equal("a message that inflates to 200 MiB: closed with 1009", 1009, code)
    t.check("and was never inflated", node.rss_bytes() - before < 32 << 20,
            f"{(node.rss_bytes() - before) >> 20} MiB")
    watcher = node.watch(IF_B, "deflate=1", headers={"Sec-WebSocket-Extensions": "permessage-deflate"})
    code = close_code(frame_bytes(BINARY, b"\xff" * 50, rsv=4), watcher)
    t.check("a message that does not inflate: closed with 1002 or 1007", code in (1002, 1007), code)


def test_slow_clients(t):
    """Slow-loris and half-open connections end by themselves, whatever they trickle."""
    def trickle(wire, data, every, box):
        try:
            for byte in data:
                wire.send(bytes([byte]))
                wire.socket.settimeout(every)
                try:
                    if not wire.socket.recv(4096):
                        break
                except socket.timeout:
                    pass
            wire.socket.settimeout(40)
            wire.rest()
        except OSError:
            pass
        box.append(time.monotonic())

    began, boxes = time.monotonic(), []
    head = b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"X-Slow: y\r\n" * 1000
    for data in (b"", b"GET / HT", head, b"\r\n" * 1000,
                 ws_raw.request_bytes(node.address, "GET", "/nothing") [:-1]):
        box = []
        wire = Wire(node.address, timeout=40)
        thread = threading.Thread(target=trickle, args=(wire, data, 0.3, box), daemon=True)
        thread.start()
        boxes.append(box)
    worst, until = 0.0, began + 8
    while time.monotonic() < until:
        at = time.monotonic()
        get(node.address, "/")
        worst = max(worst, time.monotonic() - at)
        time.sleep(0.05)
    t.check("others are served meanwhile", worst < 1, f"{worst:.2f} s")
    t.check("five kinds of slow clients are gone within 20 s",
            wait_for(20, lambda: all(boxes)), [b[0] - began if b else None for b in boxes])


def test_many_connections(t):
    before = node.descriptors()
    idle = []
    for _ in range(200):
        wire = Wire(node.address)
        wire.send(ws_raw.request_bytes(node.address, "GET", "/"))
        idle.append(wire)
    for wire in idle:
        ws_raw.read_head(wire)
    t.check("200 connections at once are served", get(node.address, "/").status == 200)
    for wire in idle:
        wire.abort()
    family = socket.AF_INET
    count, began = 0, time.monotonic()
    while count < 10000 and time.monotonic() - began < 6:
        s = socket.socket(family, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        try:
            s.connect(node.address)
        except OSError:
            pass
        s.close()
        count += 1
    took = time.monotonic() - began
    # All of its connections may be in use for the moment that it takes to see that they were reset.
    t.eventually("the node answers after connections came by the thousand",
                 lambda: get(node.address, "/").status == 200, 2)
    print(f"# {count} connections in {took:.1f} s: {count / took:.0f} a second", flush=True)
    t.eventually("their descriptors are back", lambda: node.descriptors() <= before + 2, 10,
                 lambda: f"{before} before, {node.descriptors()} now")


def test_viewer_that_never_reads(t):
    """10 MB for one who takes nothing: it is cut off or waits, the others see all."""
    stuck = node.watch(IF_B, small_window=True)
    reader = node.watch(IF_B)
    sender = end_a()
    seen = []
    for start in range(0, 10000, 500):
        sender.send(*(numbered(i, 1000) for i in range(start, start + 500)))
        seen += [m for m in reader.until(lambda m, last=start + 499: m == numbered(last, 1000))
                 if m[12:14] == b"\x88\xb5"]
    t.check("the other viewer got every packet once", seen == [numbered(i, 1000) for i in range(10000)],
            len(seen))
    stuck.wire.abort()
    reader.finish()


def main():
    global node
    os.makedirs(FOLDER, exist_ok=True)
    tap = Checks()
    with Node(FOLDER) as node:
        get(node.address, "/")
        descriptors, memory = node.descriptors(), node.rss_bytes()
        tap.run([test_broken_requests, test_pipelining, test_broken_frames, test_bombs,
                 test_viewer_that_never_reads, test_many_connections, test_slow_clients])
        tap.check("the node is alive at the end", not node.has_ended(), node.said())
        tap.eventually("no descriptor is left over, but for the stream that lingers",
                       lambda: node.descriptors() <= descriptors + 6, 10,
                       lambda: f"{descriptors} before, {node.descriptors()} now")
        tap.check("memory is bounded", node.rss_bytes() - memory < 160 << 20,
                  f"{(node.rss_bytes() - memory) >> 20} MiB more")
        code, took = node.stop()
        tap.check("SIGTERM: exit 0 within 5 s", code == 0 and took < 5, code, took, node.said())
    finish(tap)


main()
