#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A sniffer that is not ours: what a node answers to each of its tricks.

uplink_peer.py HOST PORT KEY TRICK
prints the HTTP status where the upgrade is refused, else the code of the node's close frame (or 'open' when it is
still open after a second, 'broken' when the connection ended without one)."""
import struct
import subprocess
import sys
import uuid

from ws_raw import BINARY, CLOSE, TEXT, Closed, Refused, WebSocket


def block(kind, body):
    body += b"\0" * (-len(body) % 4)
    length = struct.pack("<I", len(body) + 12)
    return struct.pack("<I", kind) + length + body + length


SECTION = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1))
INTERFACE = block(1, struct.pack("<HHI", 1, 0, 262144) + struct.pack("<HHBxxx", 9, 1, 9) + bytes(4))
PACKET = block(6, struct.pack("<IIIII", 0, 0, 1, 60, 60) + bytes(60))


def message(position, n, payload):
    return struct.pack("<IIQ", 1, n, position) + payload


def zstd(data):
    return subprocess.run(["zstd", "-1", "-c"], input=data, capture_output=True, check=True).stdout


DESCRIBED = message(0, 0, SECTION + INTERFACE)
CREDIT = None  # a step: waits for the node's word on how much it takes

# What each sends, one message after the other; a text goes as such.
STEPS = {
    "fair": lambda: [DESCRIBED, CREDIT, message(0, 3, PACKET * 3)],
    "bomb": lambda: [message(0, 1, zstd(SECTION + INTERFACE + bytes(64 << 20)))],
    "early": lambda: [message(0, 1, SECTION + INTERFACE + PACKET)],
    "liar": lambda: [DESCRIBED, CREDIT, message(0, 7, PACKET * 2)],
    "noise": lambda: [DESCRIBED, message(0, 0, b"\xff" * 4000)],
    "huge": lambda: [DESCRIBED, bytes(3 << 20)],
    "endless_interfaces": lambda: [DESCRIBED, message(0, 0, INTERFACE * 10000)],
    "text": lambda: [DESCRIBED, "hello"],
    "second": lambda: [DESCRIBED],
    "bad_name": lambda: [],
    "old_version": lambda: [],
}
QUERIES = {"bomb": {"compress": "zstd"}, "bad_name": {"name": "../etc"}, "old_version": {"v": "7"}}


def connect(address, key, **params):
    query = {"v": "1", "name": "peer", "interface": "x0", "sniffer": uuid.uuid4(),
             "stream": uuid.uuid4(), "compress": "none", **params}
    target = "/ingest?" + "&".join(f"{name}={value}" for name, value in query.items())
    return WebSocket(address, target, key=key)


def play(peer, steps):
    try:
        for step in steps:
            if step is CREDIT:
                peer.binary(5)
            elif isinstance(step, str):
                peer.send(TEXT, step.encode())
            else:
                peer.send(BINARY, step)
    except ConnectionError:
        pass  # the node has seen enough; the verdict says why


def verdict(peer):
    try:
        while True:
            opcode, data = peer.message(1)
            if opcode == CLOSE:
                return struct.unpack(">H", data[:2])[0]
    except TimeoutError:
        return "open"
    except (Closed, ConnectionError):
        return "broken"


def main():
    host, port, key, trick = sys.argv[1:5]
    address = (host, int(port))
    if trick == "second":  # of the same name while this one is there
        first = connect(address, key)
        play(first, [DESCRIBED, CREDIT])
    try:
        peer = connect(address, key, **QUERIES.get(trick, {}))
    except Refused as error:
        print(error.answer.status)
        return
    play(peer, STEPS[trick]())
    print(verdict(peer))


main()
