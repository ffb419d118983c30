#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A sniffer that is not ours, over a plain socket: what a node answers to each of its tricks.

uplink_peer.py HOST PORT KEY TRICK
prints the HTTP status where the upgrade is refused, else the code of the node's close frame (or 'open' when it is
still open after a second, 'broken' when the connection ended without one)."""
import base64
import os
import socket
import struct
import subprocess
import sys
import uuid


def block(kind, body):
    body += b"\0" * (-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
INTERFACE = block(1, struct.pack("<HHI", 1, 0, 262144) + struct.pack("<HHBxxx", 9, 1, 9) + bytes(4))


def packets(n):
    one = block(6, struct.pack("<IIIII", 0, 0, 1, 60, 60) + bytes(60))
    return one * n


def message(position, n, payload):
    return struct.pack("<IIQ", 1, n, position) + payload


class Peer:
    def __init__(self, host, port, key, name="peer", **params):
        self.socket = socket.create_connection((host, int(port)))
        query = {"v": "1", "name": name, "interface": "x0", "sniffer": str(uuid.uuid4()),
                 "stream": str(uuid.uuid4()), "compress": "none", **params}
        target = "/ingest?" + "&".join(f"{k}={v}" for k, v in query.items())
        self.socket.sendall((f"GET {target} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: Upgrade\r\n"
                             f"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                             f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}\r\n"
                             f"Authorization: Bearer {key}\r\n\r\n").encode())
        self.input = b""
        while b"\r\n\r\n" not in self.input:
            got = self.socket.recv(4096)
            if not got:
                break
            self.input += got
        self.status = int(self.input.split(b" ")[1])
        self.input = self.input.split(b"\r\n\r\n", 1)[1]

    def send(self, payload, opcode=2):
        head = bytes([0x80 | opcode])
        if len(payload) < 126:
            head += bytes([0x80 | len(payload)])
        elif len(payload) < 65536:
            head += bytes([0x80 | 126]) + struct.pack(">H", len(payload))
        else:
            head += bytes([0x80 | 127]) + struct.pack(">Q", len(payload))
        try:
            self.socket.sendall(head + bytes(4) + payload)  # a mask of zeros
        except OSError:
            pass

    def frame(self, timeout):
        self.socket.settimeout(timeout)
        try:
            while len(self.input) < 2 or len(self.input) < 2 + (self.input[1] & 127):
                got = self.socket.recv(65536)
                if not got:
                    return None, b""
                self.input += got
        except TimeoutError:
            return "open", b""
        except OSError:
            return None, b""
        length = self.input[1] & 127
        opcode, payload = self.input[0] & 15, self.input[2:2 + length]
        self.input = self.input[2 + length:]
        return opcode, payload

    def verdict(self):
        if self.status != 101:
            return self.status
        while True:
            opcode, payload = self.frame(1)
            if opcode == "open":
                return "open"
            if opcode is None:
                return "broken"
            if opcode == 8:
                return struct.unpack(">H", payload[:2])[0]

    def await_credit(self):
        opcode, payload = self.frame(5)
        return struct.unpack_from("<Q", payload, 16)[0] if opcode == 2 else 0


def zstd(data):
    return subprocess.run(["zstd", "-1", "-c"], input=data, capture_output=True, check=True).stdout


def described(*address, **params):
    peer = Peer(*address, **params)
    peer.send(message(0, 0, SECTION + INTERFACE))
    return peer


def fair(*address):
    peer = described(*address)
    peer.await_credit()
    peer.send(message(0, 3, packets(3)))
    return peer


def bomb(*address):
    peer = Peer(*address, compress="zstd")
    peer.send(message(0, 1, zstd(SECTION + INTERFACE + bytes(64 << 20))))
    return peer


def early(*address):
    peer = Peer(*address)
    peer.send(message(0, 1, SECTION + INTERFACE + packets(1)))
    return peer


def liar(*address):
    peer = described(*address)
    peer.await_credit()
    peer.send(message(0, 7, packets(2)))
    return peer


def noise(*address):
    peer = described(*address)
    peer.send(message(0, 0, b"\xff" * 4000))
    return peer


def huge(*address):
    peer = described(*address)
    peer.send(bytes(3 << 20))
    return peer


def endless_interfaces(*address):
    peer = described(*address)
    peer.send(message(0, 0, INTERFACE * 10000))
    return peer


def bad_name(*address):
    return Peer(*address, name="../etc")


def old_version(*address):
    return Peer(*address, v="7")


def second(*address):
    first = described(*address)
    first.await_credit()
    other = described(*address)
    other.first = first
    return other


def text(*address):
    peer = described(*address)
    peer.send(b"hello", opcode=1)
    return peer


def main():
    host, port, key, trick = sys.argv[1:5]
    print(globals()[trick](host, port, key).verdict())


main()
