#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Call a method of a packetrecorder node over its UNIX socket, with nothing but msgpack.

    ./call.py node.info
    ./call.py session.list '{"limit": 3}'
    ./call.py events.subscribe --events 5
    ./call.py --socket /run/packetrecorder/rpc.sock capture.start '{"interface": "eth0", "max_packets": 100}'

The socket speaks standard msgpack-RPC (docs/rpc.md has the methods): a call is [0, id, method, [arguments]],
its answer [1, id, error, result], an event [2, "events.event", [event]]. Who may open the socket may do
everything: root, and the node's user and group.

Needs: apt install python3-msgpack
"""
import argparse
import json
import socket
import sys

import msgpack

REQUEST, RESPONSE, NOTIFICATION = 0, 1, 2


def arguments():
    parser = argparse.ArgumentParser(description="Call a method of a node over its UNIX socket.")
    parser.add_argument("method", help="one of docs/rpc.md, e.g. node.info")
    parser.add_argument("args", nargs="?", default="{}", type=json.loads, help="a JSON object")
    parser.add_argument("--socket", default="/run/packetrecorder/rpc.sock")
    parser.add_argument("--events", type=int, default=0, metavar="N",
                        help="then print so many events, as they come")
    return parser.parse_args()


def messages(connection):
    """Each message that comes, as a list."""
    unpacker = msgpack.Unpacker(max_buffer_size=16 << 20)  # an answer has 8 MiB at most
    while data := connection.recv(1 << 16):
        unpacker.feed(data)
        yield from unpacker
    raise ConnectionError("the node ended the connection")


def show(value):
    print(json.dumps(value, indent=2, default=bytes.hex), flush=True)


def main():
    args = arguments()
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(None if args.events else 30)
        connection.connect(args.socket)
        call = [REQUEST, 1, args.method, [args.args]]
        if not args.events:  # a subscription lasts as long as we like
            call[3].append({"deadline_ms": 30_000})
        connection.sendall(msgpack.packb(call))
        left = args.events
        for kind, *rest in messages(connection):
            if kind == RESPONSE:
                _, error, result = rest
                if error is not None:
                    sys.exit(f"call.py: {error['message']} ({error['code']})")
                show(result)
            elif kind == NOTIFICATION and rest[0] == "events.event":
                show(rest[1][0])
                left -= 1
            if left <= 0:
                break


if __name__ == "__main__":
    try:
        main()
    except OSError as error:
        sys.exit(f"call.py: {error}")
    except KeyboardInterrupt:
        pass
