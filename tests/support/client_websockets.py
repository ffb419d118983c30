# SPDX-License-Identifier: Apache-2.0
"""A node as the public Python package `websockets` (10 and newer) sees it. Driven by
tests/system/clients.sh."""
import asyncio
import os
import sys

import websockets

from node_process import IF_B, Checks, Node, add_key, end_a, number_in, numbered
from recorder import finish, wait_for

FOLDER = os.path.join(sys.argv[1], "websockets")
MAJOR = int(websockets.__version__.split(".")[0])
HEADERS = "additional_headers" if MAJOR >= 14 else "extra_headers"
OURS = "filter=ether%20proto%200x88b5"
node = None
keys = {}


def connect(query=OURS, role="inject", **more):
    more.setdefault("compression", None)
    more[HEADERS] = {"Authorization": f"Bearer {keys[role]}"}
    return websockets.connect(f"ws://127.0.0.1:{node.address[1]}/connections/{IF_B}?{query}",
                              max_size=1 << 20, **more)


def extensions(ws):
    return ws.extensions if MAJOR < 14 else ws.protocol.extensions


async def talk(t, sender):
    async with connect() as ws:
        waiter = await ws.ping(b"are you there")
        await asyncio.wait_for(waiter, 5)
        t.check("a ping is answered", waiter.done())
        sender.send(*(numbered(i) for i in range(500)))
        got = [await asyncio.wait_for(ws.recv(), 5) for _ in range(500)]
        t.equal("500 packets in order", list(range(500)), [number_in(f) for f in got])
        t.check("as bytes, not as text", all(isinstance(f, bytes) for f in got))
        await ws.send("text is ignored")
        await ws.send(iter([numbered(7)[:20], numbered(7)[20:50], numbered(7)[50:]]))
        frame = await asyncio.to_thread(sender.receive, lambda f: number_in(f) == 7)
        t.equal("a message in three fragments is transmitted as one frame", numbered(7), frame)
        await asyncio.wait_for(await ws.ping(), 5)
    t.equal("the closing handshake ends with 1000", 1000, ws.close_code)

    async with connect() as ws:
        await ws.close(code=3000, reason="enough")
    t.equal("another code comes back as it was", 3000, ws.close_code)

    async with connect(compression="deflate") as ws:
        t.equal("no extension without ?deflate=1", 0, len(extensions(ws)))
    async with connect(OURS + "&deflate=1", compression="deflate") as ws:
        names = [e.name for e in extensions(ws)]
        t.equal("permessage-deflate with ?deflate=1", ["permessage-deflate"], names)
        sender.send(*(numbered(i, 1400) for i in range(50)))
        got = [await asyncio.wait_for(ws.recv(), 5) for _ in range(50)]
        t.check("what comes compressed is what was sent", got == [numbered(i, 1400) for i in range(50)])
        await ws.send(numbered(8, 1400))
        frame = await asyncio.to_thread(sender.receive, lambda f: number_in(f) == 8)
        t.equal("a compressed frame is transmitted as what it was", numbered(8, 1400), frame)
    async with connect(OURS + "&deflate=1") as ws:
        t.equal("nor when the client offers none", 0, len(extensions(ws)))

    async with connect() as ws:
        try:
            await ws.send(bytes((1 << 20) + 10))
            await asyncio.wait_for(ws.recv(), 5)
            code = 0
        except websockets.ConnectionClosed:
            code = ws.close_code
        t.equal("a message over the limit is closed with 1009", 1009, code)
    async with connect(role="view") as ws:
        await ws.send(numbered(1))
        try:
            await asyncio.wait_for(ws.recv(), 5)
        except websockets.ConnectionClosed:
            pass
        t.check("transmitting without the right: 1008 and why", ws.close_code == 1008 and
                "inject" in ws.close_reason, ws.close_code, ws.close_reason)

    refusals = []
    for target, key in (("nosuch0", keys["view"]), (IF_B, "pr_no_key")):
        try:
            async with websockets.connect(
                    f"ws://127.0.0.1:{node.address[1]}/connections/{target}",
                    **{HEADERS: {"Authorization": f"Bearer {key}"}}):
                refusals.append(101)
        except websockets.InvalidHandshake as error:
            refusals.append(error.status_code if MAJOR < 14 else error.response.status_code)
    t.equal("refusals are HTTP statuses before the upgrade", [404, 401], refusals)


async def hundred(t, sender):
    viewers = await asyncio.gather(*(connect().__aenter__() for _ in range(100)))

    async def count(ws):
        return [number_in(await asyncio.wait_for(ws.recv(), 10)) for _ in range(100)]
    counting = asyncio.gather(*(count(ws) for ws in viewers))
    await asyncio.sleep(0)
    sender.send(*(numbered(i) for i in range(100)))
    t.check("100 viewers get the same 100 packets",
            await counting == [list(range(100))] * 100)
    node.process.terminate()
    await asyncio.gather(*(asyncio.wait_for(ws.wait_closed(), 10) for ws in viewers))
    t.equal("when the node ends each hears 1001", {1001}, {ws.close_code for ws in viewers})


def main():
    global node
    os.makedirs(FOLDER, exist_ok=True)
    tap = Checks()
    for role in ("view", "inject"):
        keys[role] = add_key(FOLDER, role)
    print(f"# websockets {websockets.__version__}", flush=True)
    with Node(FOLDER, "--allow-inject") as node:
        sender = end_a()
        tap.run([lambda t: asyncio.run(talk(t, sender)), lambda t: asyncio.run(hundred(t, sender))])
        tap.check("the node ends with 0", wait_for(5, node.has_ended) and node.process.poll() == 0,
                  node.said())
    finish(tap)


main()
