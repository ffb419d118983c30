# SPDX-License-Identifier: Apache-2.0
"""What an earlier run of a sniffer would have left in its spool (node/spool_dir_posix.h)."""
import os
import struct

STREAM = "019b76da-a800-7b3f-8a21-0123456789ab"
FILE_BYTES = 7 << 20
FRAME = 1000


def block(kind, body):
    size = len(body) + 12
    return struct.pack("<II", kind, size) + body + struct.pack("<I", size)


def fill_spool(folder, interface, total, stream=STREAM):
    """At least `total` bytes of packets. How many packets, and the directory of the stream."""
    place = os.path.join(folder, interface, stream)
    os.makedirs(place, 0o700)
    section = block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)) + \
        block(1, struct.pack("<HHI", 1, 0, 262144) + struct.pack("<HHB3x", 9, 1, 9) + bytes(4))
    frame = bytes.fromhex("020000000001020000000002" "88b5") + os.urandom(FRAME // 4)
    one = block(6, struct.pack("<IIIII", 0, 0x18000000, 0, FRAME, FRAME) + frame.ljust(FRAME, b"a"))
    a_file = min(FILE_BYTES, total) // len(one) + 1
    position = 0
    while position * FRAME < total:
        with open(os.path.join(place, f"{position:016x}.pcapng"), "wb") as file:
            file.write(section + one * a_file)
        position += a_file
    return position, place
