#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Numbered UDP packets to several ports, and what came of them.

numbered_ports.py send ADDRESS FIRST_PORT PORTS RATE FILE [COUNT [BYTES]]
    sends the numbers 0, 1, … to each of the ports in turn, RATE numbers a second, until COUNT or SIGTERM; FILE
    then holds how many numbers each port got.
numbered_ports.py check PORT SENT FILE.pcapng… [--holes]
    reads the captures one after the other; the numbers of PORT must be 0 … SENT-1, each once, in order. With
    --holes some may be missing. Prints how many are missing; fails when one comes twice or out of order."""
import signal
import socket
import struct
import sys
import time

MARK = b"PORTNUMB"


def send(address, first_port, ports, rate, path, count=0, size=100):
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    running = True

    def stop(_number, _frame):
        nonlocal running
        running = False

    signal.signal(signal.SIGTERM, stop)
    began = time.monotonic()
    number = 0
    while running and (count == 0 or number < count):
        ahead = began + number / rate - time.monotonic()
        if ahead > 0.001:
            time.sleep(ahead)
        payload = (MARK + struct.pack("<Q", number)).ljust(size, b".")
        for port in range(first_port, first_port + ports):
            out.sendto(payload, (address, port))
        number += 1
    with open(path, "w", encoding="ascii") as told:
        told.write(f"{number}\n")


def packets(path):
    """The packet bytes of a little-endian pcapng file."""
    with open(path, "rb") as file:
        data = file.read()
    at = 0
    while at + 12 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind == 6:
            caplen = struct.unpack_from("<I", data, at + 20)[0]
            yield data[at + 28:at + 28 + caplen]
        at += length


def numbers(paths, port):
    for path in paths:
        for packet in packets(path):
            at = packet.find(MARK)
            if at >= 8 and struct.unpack_from(">H", packet, at - 6)[0] == port:
                yield struct.unpack_from("<Q", packet, at + 8)[0]


def check(port, sent, paths, holes):
    wanted = 0
    missing = 0
    for number in numbers(paths, port):
        if number < wanted:
            sys.exit(f"port {port}: number {number} came twice or late, behind {wanted - 1}")
        missing += number - wanted
        wanted = number + 1
    missing += sent - wanted
    print(missing)
    if missing < 0:
        sys.exit(f"port {port}: {wanted} numbers of {sent}")
    if missing > 0 and not holes:
        sys.exit(f"port {port}: {missing} of {sent} are missing")


def main():
    words = [w for w in sys.argv[1:] if w != "--holes"]
    if words[:1] == ["send"]:
        send(words[1], int(words[2]), int(words[3]), float(words[4]), words[5],
             *[int(w) for w in words[6:]])
    elif words[:1] == ["check"]:
        check(int(words[1]), int(words[2]), words[3:], "--holes" in sys.argv)
    else:
        sys.exit(__doc__)


main()
