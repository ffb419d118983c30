#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""make_capture.py KIND FILE [PACKETS]: captures of our own for the system tests, the same each time.

  mixed   classic pcap, nanoseconds, Ethernet: TCP, UDP, DNS, ICMP, ARP, IPv6, VLAN in turn, a packet
          a millisecond, every tenth cut
  shifted the same half a millisecond later
  two     pcapng: Ethernet on 'eth0' and raw IP on 'tun0', taking turns; comments on some packets
  strange pcapng: names with quotes, commas, newlines and bytes that are no UTF-8; an empty packet;
          len above caplen; times in 1970, after 2106 and after 2262
  flood   classic pcap: UDP of about 300 bytes from many addresses: for sizes and times
"""
import ipaddress
import struct
import sys

START_NS = 1_700_000_000_000_000_000
ETHERNET, RAW = 1, 101
MAC_A, MAC_B = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
TEXT = b"the quick brown fox jumps over the lazy dog; "


def checksum(data):
    data += b"\0" * (len(data) % 2)
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(proto, payload, src="10.0.0.1", dst="10.0.0.2"):
    addresses = ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(payload), 1, 0x4000, 64, proto, 0)
    head += addresses
    return head[:10] + struct.pack(">H", checksum(head)) + head[12:] + payload


def ipv6(proto, payload):
    return struct.pack(">IHBB", 6 << 28, len(payload), proto, 64) + \
        ipaddress.ip_address("2001:db8::1").packed + ipaddress.ip_address("2001:db8::2").packed \
        + payload


def with_checksum(proto, segment, at, src="10.0.0.1", dst="10.0.0.2"):
    pseudo = ipaddress.ip_address(src).packed + ipaddress.ip_address(dst).packed
    pseudo += struct.pack(">HH" if len(pseudo) == 8 else ">IxxxB",
                          *((proto, len(segment)) if len(pseudo) == 8 else (len(segment), proto)))
    return segment[:at] + struct.pack(">H", checksum(pseudo + segment)) + segment[at + 2:]


def tcp(sport, dport, seq, flags, payload=b""):
    head = struct.pack(">HHIIBBHHH", sport, dport, seq, 0 if flags == 2 else 1, 0x50, flags, 1024,
                       0, 0)
    return with_checksum(6, head + payload, 16)


def udp(sport, dport, payload, **addresses):
    head = struct.pack(">HHHH", sport, dport, 8 + len(payload), 0)
    return with_checksum(17, head + payload, 6, **addresses)


def ether(ethertype, payload):
    return MAC_B + MAC_A + struct.pack(">H", ethertype) + payload


def echo(i):
    body = struct.pack(">BBHHH", 8, 0, 0, 7, i & 0xFFFF) + TEXT
    return body[:2] + struct.pack(">H", checksum(body)) + body[4:]


def arp():
    return struct.pack(">HHBBH", 1, 0x0800, 6, 4, 1) + MAC_A + bytes([10, 0, 0, 1]) + bytes(6) \
        + bytes([10, 0, 0, 2])


def mixed_packet(i):
    sport = 40000 + i % 20000
    v6 = {"src": "2001:db8::1", "dst": "2001:db8::2"}
    return (
        lambda: ether(0x0800, ipv4(6, tcp(sport, 443, i, 2))),
        lambda: ether(0x0800, ipv4(6, tcp(sport, 443, i, 0x18, TEXT * (i % 30)))),
        lambda: ether(0x0800, ipv4(17, udp(sport, 9999, TEXT))),
        lambda: ether(0x0800, ipv4(1, echo(i))),
        lambda: ether(0x0806, arp()),
        lambda: ether(0x86DD, ipv6(17, udp(sport, 9999, TEXT, **v6))),
        lambda: ether(0x8100, struct.pack(">HH", i % 4094 + 1, 0x0800)
                      + ipv4(17, udp(sport, 9998, TEXT))),
    )[i % 7]()


def mixed(n, shift_ns=0):
    for i in range(n):
        packet = mixed_packet(i)
        cut = packet[:60] if i % 10 == 9 else packet
        yield 0, START_NS + i * 1_000_000 + i % 1000 + shift_ns, cut, len(packet), b""


def flood(n):
    for i in range(n):
        payload = (b"%08d " % i + TEXT * 6)[:200 + i % 200]
        src = f"10.1.{i >> 8 & 255}.{i & 255}"
        packet = ether(0x0800, ipv4(17, struct.pack(">HHHH", 40000 + i % 20000, 9, 8 + len(payload),
                                                    0) + payload, src=src))
        yield 0, START_NS + i * 1000, packet, len(packet), b""


def two(n):
    for i in range(n):
        comment = option(1, b"packet %d" % i) + option(0, b"") if i % 5 == 0 else b""
        ip = ipv4(17, udp(4000 + i % 2, 53 + 100 * (i % 2), TEXT))
        packet = ip if i % 2 else ether(0x0800, ip)
        yield i % 2, START_NS + i * 1_000_000, packet, len(packet), comment


def strange(_):
    packet = ether(0x0800, ipv4(17, udp(7, 7, TEXT)))
    yield 0, 1, packet, len(packet), b""
    yield 1, START_NS, b"", 0, b""
    yield 1, START_NS + 1, packet[:20], 9000, b""
    yield 0, 4_300_000_000 * 10**9, packet, len(packet), b""
    yield 2, 9_300_000_000 * 10**9, packet, len(packet), b""


def option(code, value):
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)


def block(kind, body):
    total = struct.pack("<I", 12 + len(body))
    return struct.pack("<I", kind) + total + body + total


def write_pcap(out, packets):
    out.write(struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262144, ETHERNET))
    for _, ns, data, length, _ in packets:
        out.write(struct.pack("<IIII", ns // 10**9, ns % 10**9, len(data), length) + data)


def write_pcapng(out, interfaces, packets):
    out.write(block(0x0A0D0D0A, struct.pack("<IHHq", 0x1A2B3C4D, 1, 0, -1)))
    for link_type, name in interfaces:
        out.write(block(1, struct.pack("<HHI", link_type, 0, 262144) + option(2, name)
                        + option(9, b"\x09") + option(0, b"")))
    for iface, ns, data, length, options in packets:
        out.write(block(6, struct.pack("<IIIII", iface, ns >> 32, ns & 0xFFFFFFFF, len(data), length)
                        + data + bytes(-len(data) % 4) + options))


def main():
    kind, name = sys.argv[1:3]
    n = int(sys.argv[3]) if len(sys.argv) > 3 else 1000
    with open(name, "wb") as out:
        if kind == "two":
            write_pcapng(out, ((ETHERNET, b"eth0"), (RAW, b"tun0")), two(n))
        elif kind == "strange":
            write_pcapng(out, ((ETHERNET, b'a "quoted", name\r\n'), (ETHERNET, b"caf\xe9 \xe2\x82"),
                               (ETHERNET, b"\x1b[31m\xf0\x9f\x93\xa6")), strange(n))
        elif kind == "shifted":
            write_pcap(out, mixed(n, 500_000))
        else:
            write_pcap(out, {"mixed": mixed, "flood": flood}[kind](n))


if __name__ == "__main__":
    main()
