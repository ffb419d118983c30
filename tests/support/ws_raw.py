# SPDX-License-Identifier: Apache-2.0
"""HTTP and WebSocket (RFC 9112, RFC 6455) by hand, for tests that must see and send what no library
lets them: broken frames, half requests, the bytes of an answer. Blocking sockets with deadlines."""
import base64
import hashlib
import json
import os
import socket
import struct
import time

CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


class Closed(Exception):
    """The connection ended where more was wanted."""


class Answer:
    """A whole HTTP answer."""

    def __init__(self, status, reason, headers, body):
        self.status = status
        self.reason = reason
        self.headers = headers  # names in lower case
        self.body = body

    def __repr__(self):
        return f"{self.status} {self.reason} {self.headers} {self.body[:600]!r}"

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode()

    def problem(self, status):
        """True for a problem document of RFC 9457 with this status."""
        if self.status != status or self.type() != "application/problem+json":
            return False
        document = self.json()
        return (isinstance(document.get("type"), str) and isinstance(document.get("title"), str) and
                document.get("status") == status and isinstance(document.get("detail"), str) and
                document["detail"] != "")

    def detail(self):
        return self.json()["detail"]

    def type(self):
        return self.headers.get("content-type", "").split(";")[0].strip()


class Wire:
    """A TCP (or TLS) connection with a reading buffer."""

    def __init__(self, address, tls=None, server_name="localhost", timeout=10, small_window=False):
        host, port = address
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if small_window:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.settimeout(timeout)
        self.socket.connect((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_hostname=server_name)
        self.buffer = bytearray()

    def send(self, data):
        self.socket.sendall(data)

    def fill(self):
        data = self.socket.recv(262144)
        if not data:
            raise Closed("the peer closed")
        self.buffer += data

    def take(self, n):
        while len(self.buffer) < n:
            self.fill()
        data = bytes(self.buffer[:n])
        del self.buffer[:n]
        return data

    def take_until(self, mark):
        while True:
            at = self.buffer.find(mark)
            if at >= 0:
                return self.take(at + len(mark))
            self.fill()

    def rest(self):
        """Everything until the peer closes (or breaks) the connection."""
        try:
            while True:
                self.fill()
        except (Closed, ConnectionError):
            pass
        return self.take(len(self.buffer))

    def close(self):
        self.socket.close()

    def abort(self):
        """With a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


def read_head(wire):
    """(status, reason, headers) of an answer."""
    lines = wire.take_until(b"\r\n\r\n").decode("latin-1").split("\r\n")
    status = lines[0].split(" ", 2)
    headers = {}
    for line in lines[1:]:
        if line:
            name, value = line.split(":", 1)
            headers[name.lower()] = value.strip()
    return int(status[1]), status[2] if len(status) > 2 else "", headers


def read_body(wire, status, headers, method="GET"):
    if method == "HEAD" or status in (204, 304) or status < 200:
        return b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = bytearray()
        while True:
            n = int(wire.take_until(b"\r\n").split(b";")[0], 16)
            body += wire.take(n)
            wire.take(2)
            if n == 0:
                return bytes(body)
    if "content-length" in headers:
        return wire.take(int(headers["content-length"]))
    return wire.rest()


def host_text(address):
    host, port = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def request_bytes(address, method, target, headers=None, body=None):
    wanted = {"Host": host_text(address)}
    if body is not None:
        wanted["Content-Length"] = str(len(body))
    wanted.update(headers or {})
    head = f"{method} {target} HTTP/1.1\r\n"
    head += "".join(f"{name}: {value}\r\n" for name, value in wanted.items() if value is not None)
    return head.encode("latin-1") + b"\r\n" + (body or b"")


def http(address, method, target, headers=None, body=None, tls=None, key=None, timeout=10):
    """One request on a connection of its own. body: bytes, or an object that becomes JSON."""
    headers = dict(headers or {})
    if key:
        headers.setdefault("Authorization", f"Bearer {key}")
    if body is not None and not isinstance(body, bytes):
        body = json.dumps(body).encode()
        headers.setdefault("Content-Type", "application/json")
    headers.setdefault("Connection", "close")
    wire = Wire(address, tls=tls, timeout=timeout)
    try:
        try:
            wire.send(request_bytes(address, method, target, headers, body))
        except ConnectionError:
            pass  # refused before it was all sent; the answer is there all the same
        status, reason, got = read_head(wire)
        return Answer(status, reason, got, read_body(wire, status, got, method))
    finally:
        wire.close()


def get(address, target, **more):
    return http(address, "GET", target, **more)


class Refused(Exception):
    """The node answered something else than 101."""

    def __init__(self, answer):
        super().__init__(repr(answer))
        self.answer = answer


def frame_bytes(opcode, data=b"", fin=True, rsv=0, mask=True):
    """One frame of the protocol. mask: True, False, or four bytes."""
    head = bytearray([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if mask else 0
    if len(data) < 126:
        head.append(bit | len(data))
    elif len(data) < 65536:
        head += struct.pack(">BH", bit | 126, len(data))
    else:
        head += struct.pack(">BQ", bit | 127, len(data))
    if not mask:
        return bytes(head) + data
    key = os.urandom(4) if mask is True else mask
    n = len(data)
    stream = (key * (n // 4 + 1))[:n]
    masked = (int.from_bytes(data, "big") ^ int.from_bytes(stream, "big")).to_bytes(n, "big")
    return bytes(head) + key + masked


class WebSocket:
    """A client that does what it is told. Answers pings by itself unless told otherwise."""

    def __init__(self, address, target, headers=None, tls=None, key=None, timeout=10,
                 small_window=False, pongs=True):
        nonce = base64.b64encode(os.urandom(16)).decode()
        wanted = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
                  "Sec-WebSocket-Key": nonce}
        if key:
            wanted["Authorization"] = f"Bearer {key}"
        wanted.update(headers or {})
        self.pongs = pongs
        self.close_payload = None
        self.compressed = 0  # messages with RSV1
        self.wire = Wire(address, tls=tls, timeout=timeout, small_window=small_window)
        self.wire.send(request_bytes(address, "GET", target, wanted))
        status, reason, self.headers = read_head(self.wire)
        if status != 101:
            answer = Answer(status, reason, self.headers,
                            read_body(self.wire, status, self.headers))
            self.wire.close()
            raise Refused(answer)
        proof = base64.b64encode(hashlib.sha1(nonce.encode() + GUID).digest()).decode()
        if self.headers.get("sec-websocket-accept") != proof:
            raise Closed(f"wrong Sec-WebSocket-Accept: {self.headers}")

    def send(self, opcode, data=b"", **more):
        self.wire.send(frame_bytes(opcode, data, **more))

    def frame(self):
        """The next frame: (fin, rsv, opcode, data)."""
        first, second = self.wire.take(2)
        n = second & 127
        if n == 126:
            n = struct.unpack(">H", self.wire.take(2))[0]
        elif n == 127:
            n = struct.unpack(">Q", self.wire.take(8))[0]
        if second & 0x80:
            raise Closed("a server must not mask (RFC 6455 section 5.1)")
        return first >> 7, first >> 4 & 7, first & 15, self.wire.take(n)

    def message(self, timeout=10):
        """The next message or control frame: (opcode, data). After a close: Closed."""
        self.wire.socket.settimeout(timeout)
        kind, parts = None, []
        while True:
            fin, rsv, opcode, data = self.frame()
            if opcode == PING and self.pongs:
                self.send(PONG, data)
                continue
            if opcode == CLOSE:
                self.close_payload = data
                return opcode, data
            if opcode >= 8:
                return opcode, data
            if opcode != CONTINUATION:
                kind, parts = opcode, []
                self.compressed += rsv >> 2
            parts.append(data)
            if fin:
                return kind, b"".join(parts)

    def binary(self, timeout=10):
        """The next binary message; other kinds are errors."""
        opcode, data = self.message(timeout)
        if opcode != BINARY:
            raise Closed(f"opcode {opcode}: {data!r}")
        return data

    def until(self, wanted, seconds=10):
        """Reads binary messages until wanted(message) is true; all that were read."""
        deadline = time.monotonic() + seconds
        got = []
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"{len(got)} messages, not the one that was waited for")
            got.append(self.binary(left))
            if wanted(got[-1]):
                return got

    def is_alive(self, timeout=5):
        """A ping is answered. Data that comes before is thrown away."""
        token = os.urandom(8)
        self.send(PING, token)
        deadline = time.monotonic() + timeout
        while time.monotonic() < deadline:
            opcode, data = self.message(deadline - time.monotonic())
            if opcode == CLOSE:
                return False
            if opcode == PONG and data == token:
                return True
        return False

    def closed_by_peer(self, timeout=10):
        """(code, reason) of the close frame that comes next but for data."""
        deadline = time.monotonic() + timeout
        while True:
            opcode, data = self.message(max(deadline - time.monotonic(), 0.001))
            if opcode == CLOSE:
                if len(data) < 2:
                    return 1005, ""
                return struct.unpack(">H", data[:2])[0], data[2:].decode()

    def finish(self, code=1000, timeout=10):
        """The closing handshake; the code of the peer's answer."""
        self.send(CLOSE, struct.pack(">H", code))
        got = self.closed_by_peer(timeout)[0]
        self.wire.close()
        return got

    def close(self):
        self.wire.close()
