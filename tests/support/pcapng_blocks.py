# SPDX-License-Identifier: Apache-2.0
"""Reading a pcapng stream (draft-ietf-opsawg-pcapng) that comes in pieces, strictly: whatever is not
as the specification has it raises ValueError. Little-endian sections only, which is what we write."""
import re
import struct

SHB, IDB, ISB, EPB = 0x0A0D0D0A, 1, 5, 6
OURS = re.compile(r"packetrecorder:((?: \w+=\d+)+)")


class Packet:
    """One Enhanced Packet Block."""

    def __init__(self, interface, time_ns, data, length):
        self.interface = interface
        self.time_ns = time_ns
        self.data = data
        self.length = length


def options_of(data):
    """[(code, value)…] of the options at the end of a block."""
    options, at = [], 0
    while at + 4 <= len(data):
        code, n = struct.unpack_from("<HH", data, at)
        at += 4
        if code == 0:
            return options
        if at + n > len(data):
            raise ValueError("an option is longer than its block")
        options.append((code, data[at:at + n]))
        at += (n + 3) // 4 * 4
    if at != len(data):
        raise ValueError("bytes behind the options")
    return options


class Stream:
    """feed() bytes; what was read stands in the members."""

    def __init__(self):
        self.rest = bytearray()
        self.sections = 0
        self.interfaces = []   # of the current section: dicts
        self.packets = []
        self.statistics = []   # (interface, options)
        self.order = []        # block types as they came

    def feed(self, data):
        self.rest += data
        while len(self.rest) >= 12:
            kind, n = struct.unpack_from("<II", self.rest)
            if n % 4 or n < 12 or n > 1 << 24:
                raise ValueError(f"block type {kind:#x} of {n} bytes")
            if len(self.rest) < n:
                return
            if struct.unpack_from("<I", self.rest, n - 4)[0] != n:
                raise ValueError("the two lengths of a block differ")
            self.block(kind, bytes(self.rest[8:n - 4]))
            del self.rest[:n]

    def block(self, kind, body):
        self.order.append(kind)
        if kind == SHB:
            if struct.unpack_from("<IHH", body) != (0x1A2B3C4D, 1, 0):
                raise ValueError("not a little-endian section of version 1.0")
            self.sections += 1
            self.interfaces = []
        elif self.sections == 0:
            raise ValueError("no Section Header at the start")
        elif kind == IDB:
            link_type, snaplen = struct.unpack_from("<HxxI", body)
            found = {"link_type": link_type, "snaplen": snaplen, "tsresol": 6, "name": None,
                     "filter": None, "comments": []}
            for code, value in options_of(body[8:]):
                if code == 2:
                    found["name"] = value.decode()
                elif code == 9:
                    found["tsresol"] = value[0]
                elif code == 11:
                    found["filter"] = value[1:].decode()
                elif code == 1:
                    found["comments"].append(value.decode())
            self.interfaces.append(found)
        elif kind == ISB:
            self.statistics.append((struct.unpack_from("<I", body)[0], options_of(body[12:])))
        elif kind == EPB:
            index, high, low, caplen, length = struct.unpack_from("<IIIII", body)
            if index >= len(self.interfaces):
                raise ValueError(f"interface {index} was not described")
            if caplen > len(body) - 20:
                raise ValueError("a packet is longer than its block")
            time = high << 32 | low
            resolution = self.interfaces[index]["tsresol"]
            self.packets.append(Packet(index, time * 10 ** (9 - resolution), body[20:20 + caplen],
                                       length))

    def lost(self):
        """[(lost, position)…] that statistics blocks told."""
        found = []
        for _, options in self.statistics:
            for code, value in options:
                ours = OURS.search(value.decode()) if code == 1 else None
                if ours:
                    fields = dict(word.split("=") for word in ours.group(1).split())
                    if "lost" in fields:
                        found.append((int(fields["lost"]), int(fields["position"])))
        return found


def read(data):
    """A whole stream, which must end with a block."""
    stream = Stream()
    stream.feed(data)
    if stream.rest:
        raise ValueError(f"{len(stream.rest)} bytes are no block")
    return stream
