#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""websocket_peer.py WS_PEER: the public Python package websockets as the other end of our codecs,
once as server and once as client, plain, compressed and over TLS. Prints TAP lines.
"""
import asyncio
import os
import ssl
import subprocess
import sys
import tempfile

import websockets

PEER = sys.argv[1]
SIZES = (0, 1, 125, 126, 65535, 65536, 262144, 1000000)
failures = 0


def tell(name, good, why=""):
    global failures
    failures += not good
    print(f"{'ok' if good else 'not ok'} - {name}", flush=True)
    if not good:
        print(f"# {why}", flush=True)


def sample(n):
    return bytes((i * 7 + i // 251) & 255 for i in range(n))


async def talk(ws):
    """What both sides must do with an end that echoes."""
    for n in SIZES:
        await ws.send(sample(n))
        assert await ws.recv() == sample(n), f"binary of {n}"
    await ws.send("m\u00fcller \U0001f988 " * 1000)
    assert await ws.recv() == "m\u00fcller \U0001f988 " * 1000, "text"
    await ws.send([b"ab", b"", b"cd", sample(70000)])
    assert await ws.recv() == b"abcd" + sample(70000), "fragments"
    await ws.send(["caf", "\u00e9", "!"])
    assert await ws.recv() == "caf\u00e9!", "fragments of text"
    for payload in (b"", b"ping", sample(125)):
        await asyncio.wait_for(await ws.ping(payload), 10)
    await asyncio.gather(*(ws.send(sample(100)) for _ in range(500)))
    for _ in range(500):
        assert await ws.recv() == sample(100), "many at once"


async def as_server(name, ca=None, context=None, **options):
    """websockets serves, ws_peer dials and echoes."""
    done = asyncio.get_running_loop().create_future()

    async def handler(ws):
        try:
            await asyncio.wait_for(talk(ws), 60)
            await ws.close(1001, "going away")
            done.set_result(None)
        except BaseException as problem:  # told by whoever waits
            done.set_exception(problem)

    async with websockets.serve(handler, "127.0.0.1", 0, ssl=context, max_size=None,
                                **options) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        url = f"{'wss' if context else 'ws'}://127.0.0.1:{port}"
        words = [PEER, "dial", url] + ([ca] if ca else [])
        child = await asyncio.create_subprocess_exec(*words, stdout=subprocess.PIPE)
        try:
            out, _ = await asyncio.wait_for(child.communicate(), 60)
            await asyncio.wait_for(done, 10)
            tell(f"our client talks to the package's server, {name}",
                 out == b"close 1001 going away\n" and child.returncode == 0, out)
        except Exception as problem:
            tell(f"our client talks to the package's server, {name}", False, repr(problem))
            if child.returncode is None:
                child.kill()


async def breaks(connect, name, code, messages):
    """Sends what is not allowed, and wants to be closed with that code."""
    async with connect() as ws:
        try:
            await messages(ws)
            while True:
                await asyncio.wait_for(ws.recv(), 20)
        except websockets.ConnectionClosed as closed:
            received = closed.rcvd.code if closed.rcvd else None
            tell(f"our server closes with {code}: {name}", received == code, repr(closed))


async def as_client(name, words=(), context=None, **options):
    """ws_peer serves and echoes, websockets dials."""
    child = subprocess.Popen([PEER, "serve", *words], stdin=subprocess.PIPE,
                             stdout=subprocess.PIPE)
    port = int(child.stdout.readline())
    url = f"{'wss' if context else 'ws'}://127.0.0.1:{port}/"

    def connect():
        return websockets.connect(url, ssl=context, max_size=None, **options)

    try:
        async with connect() as ws:
            await asyncio.wait_for(talk(ws), 60)
            await ws.close(3999, "enough")
            tell(f"our server talks to the package's client, {name}", ws.close_code == 3999,
                 ws.close_code)
        await breaks(connect, f"a message that is too long, {name}", 1009,
                     lambda ws: ws.send(bytes(3 << 20)))
        await breaks(connect, f"fragments that are too long together, {name}", 1009,
                     lambda ws: ws.send([os.urandom(300000)] * 5))
    except Exception as problem:
        tell(f"our server talks to the package's client, {name}", False, repr(problem))
    child.stdin.close()
    tell(f"our server ends well, {name}", child.wait(30) == 0)


def make_certificate(folder):
    cert, key = f"{folder}/cert.pem", f"{folder}/key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
                    "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
                    "-keyout", key, "-out", cert], check=True, capture_output=True)
    os.chmod(key, 0o600)
    return cert, key


async def main():
    with tempfile.TemporaryDirectory() as folder:
        cert, key = make_certificate(folder)
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(cert, key)
        client = ssl.create_default_context(cafile=cert)
        old = ssl.create_default_context(cafile=cert)
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        await as_server("plain", compression=None)
        await as_server("compressed")
        await as_server("over TLS", ca=cert, context=server)
        await as_client("plain", compression=None)
        await as_client("compressed")
        await as_client("over TLS", (cert, key), client)
        await as_client("over TLS 1.2", (cert, key), old)
    sys.exit(failures > 0)


asyncio.run(main())
