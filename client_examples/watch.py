#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Watch an interface of a packetrecorder node: one line a packet, decoded by scapy.

    ./watch.py 127.0.0.1:8080 eth0
    ./watch.py 127.0.0.1:8080 eth0 --filter 'arp' --count 2 --arping 10.0.0.1

Each binary message of /connections/{iface} is one packet, the raw bytes as they are on the wire, and
each binary message that we send is transmitted there. --arping sends one frame that way, an ARP probe
(RFC 5227), and the answer comes in like any other packet. It needs a key of the role inject and a
node that runs with --allow-inject.

Needs: apt install python3-websockets python3-scapy   (websockets 10 or newer)
"""
import argparse
import asyncio
import os
import ssl
import sys
from urllib.parse import quote, urlencode

import websockets
from scapy.all import ARP, Ether

# The legacy client of websockets, up to version 13, calls the argument something else.
HEADERS = "additional_headers" if int(websockets.__version__.split(".")[0]) >= 14 else "extra_headers"


def arguments():
    parser = argparse.ArgumentParser(description="Watch an interface of a packetrecorder node.")
    parser.add_argument("endpoint", help="HOST:PORT of the node")
    parser.add_argument("interface")
    parser.add_argument("--filter", help="what tcpdump takes, e.g. 'tcp port 443'")
    parser.add_argument("--count", type=int, default=0, help="end after so many packets")
    parser.add_argument("--arping", metavar="ADDRESS", help="send one ARP probe first")
    parser.add_argument("--tls", action="store_true", help="wss instead of ws")
    parser.add_argument("--ca-file", help="whom to trust instead of the system's list; implies --tls")
    parser.add_argument("--api-key-file", help="a line of 'packetrecorder keys add'; "
                        "default: the variable PACKETRECORDER_API_KEY")
    return parser.parse_args()


def api_key(args):
    if args.api_key_file:
        with open(args.api_key_file, encoding="ascii") as file:
            return file.read().strip()
    return os.environ.get("PACKETRECORDER_API_KEY")


def connect(args):
    tls = args.tls or args.ca_file is not None
    url = f"{'wss' if tls else 'ws'}://{args.endpoint}/connections/{quote(args.interface, safe='')}"
    if args.filter:
        url += "?" + urlencode({"filter": args.filter})
    key = api_key(args)
    return websockets.connect(
        url,
        ssl=ssl.create_default_context(cafile=args.ca_file) if tls else None,
        max_size=1 << 20,   # a packet that the host has glued together (GRO) can have 512 KiB
        compression=None,   # packets on a fast link: not worth it; the node wants ?deflate=1 as well
        **{HEADERS: {"Authorization": f"Bearer {key}"} if key else {}})


async def watch(args):
    async with connect(args) as node:
        if args.arping:
            probe = Ether(dst="ff:ff:ff:ff:ff:ff", src="02:00:5e:00:53:01")
            probe /= ARP(op="who-has", hwsrc="02:00:5e:00:53:01", psrc="0.0.0.0", pdst=args.arping)
            await node.send(bytes(probe))
        number = 0
        async for frame in node:
            number += 1
            print(number, len(frame), Ether(frame).summary(), flush=True)
            if number == args.count:
                break


def main():
    try:
        asyncio.run(watch(arguments()))
    except (OSError, websockets.exceptions.WebSocketException) as error:
        sys.exit(f"watch.py: {error}")
    except KeyboardInterrupt:
        pass


if __name__ == "__main__":
    main()
