#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sends numbered UDP packets for as long as it runs: numbered_sender.py ADDRESS PORT RATE LOG.

The payload is MARK, the number from 0 (u64) and the wall time in ns (u64), little-endian, padded to
100 bytes. LOG gets the time of each packet as a u64, written before the packet is sent, so that a
reader of LOG knows what was sent when."""
import socket
import struct
import sys
import time

MARK = b"NUMBERED"


def main():
    address, port, rate, log = sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), sys.argv[4]
    out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    out.connect((address, port))
    number = 0
    began = time.monotonic()
    with open(log, "wb", buffering=0) as times:
        while True:
            ahead = began + number / rate - time.monotonic()
            if ahead > 0:
                time.sleep(ahead)
            now = time.time_ns()
            times.write(struct.pack("<Q", now))
            try:
                out.send((MARK + struct.pack("<QQ", number, now)).ljust(100, b"."))
            except ConnectionRefusedError:
                # The answer to an earlier packet; this one was not sent.
                out.send((MARK + struct.pack("<QQ", number, now)).ljust(100, b"."))
            number += 1


if __name__ == "__main__":
    main()
