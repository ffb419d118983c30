#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Pull a recorded session from a packetrecorder node over its secure channel, into a pcapng file.

    export PACKETRECORDER_API_KEY=pr_...
    ./pull.py 192.0.2.7:50051                              lists the sessions
    ./pull.py 192.0.2.7:50051 last out.pcapng --filter 'tcp port 443'

Calls on TCP are msgpack-RPC inside Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b; class Channel below is all of it
(docs/protocol-rpc.md has the bytes). The API key is the pre-shared key: both sides prove that they know it,
and it never crosses the wire. The file comes in chunks, each asked for with the cursor of the one before, so
that a pull goes on where it was when the connection breaks.

Needs: apt install python3-msgpack python3-nacl
"""
import argparse
import base64
import hashlib
import hmac
import os
import socket
import struct
import sys
import time

import msgpack
from nacl.bindings import (crypto_aead_chacha20poly1305_ietf_decrypt as aead_open,
                           crypto_aead_chacha20poly1305_ietf_encrypt as aead_seal,
                           crypto_scalarmult, crypto_scalarmult_base)
from nacl.exceptions import CryptoError

NOISE = b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b"
REKEY_FRAMES = 1024
PLAIN_MAX = 65535 - 16
REFUSALS = {1: "it does not know this API key", 2: "the secret of the API key is wrong",
            3: "the API key has expired", 4: "it speaks another version", 5: "it serves no API keys here",
            6: "it is busy", 7: "it has no API keys"}


class Refused(Exception):
    """The node does not want us, or does not want what we ask: trying again does not help."""


class Cipher:
    """One direction, or the handshake: a key and the number of the next message."""

    def __init__(self, key):
        self.key, self.n = key[:32], 0

    def nonce(self):
        self.n += 1
        return struct.pack("<IQ", 0, self.n - 1)

    def rekey(self):
        if self.n % REKEY_FRAMES == 0:
            self.key = aead_seal(bytes(32), b"", struct.pack("<IQ", 0, 2**64 - 1), self.key)[:32]

    def seal(self, plain, ad=b""):
        return aead_seal(plain, ad, self.nonce(), self.key)

    def open(self, sealed, ad=b""):
        return aead_open(sealed, ad, self.nonce(), self.key)


class Channel:
    """A stream of bytes to a node and back."""

    def __init__(self, host, port, api_key):
        _, key_id, secret = api_key.split("_", 2)
        psk = hashlib.blake2b(base64.urlsafe_b64decode(secret + "="), digest_size=32).digest()
        self.socket = socket.create_connection((host, port), timeout=30)
        self.file = self.socket.makefile("rb")
        self.hash = self.chaining_key = NOISE.ljust(64, b"\0")
        preamble = b"\xd7PRC" + bytes([1, 1, 0, 0]) + key_id.encode()
        self.mix_hash(preamble)
        self.mix_key(psk, with_hash=True)
        ephemeral = os.urandom(32)
        public = crypto_scalarmult_base(ephemeral)
        self.mix_public(public)
        self.socket.sendall(preamble + public + self.seal_nothing())
        answer = self.read(1)[0]
        if answer != 0:
            raise Refused(REFUSALS.get(answer, "it is no packetrecorder"))
        public, tag = self.read(32), self.read(16)
        self.mix_public(public)
        self.mix_key(crypto_scalarmult(ephemeral, public))
        self.cipher.open(tag, self.hash)
        send, receive = self.hkdf(b"", 2)
        self.sending, self.receiving = Cipher(send), Cipher(receive)
        self.send_frame(b"")  # our proof: only who knows `ephemeral` can make it

    def hkdf(self, data, n):
        def mac(key, data):
            return hmac.new(key, data, "blake2b").digest()
        temp, outputs, last = mac(self.chaining_key, data), [], b""
        for i in range(n):
            last = mac(temp, last + bytes([i + 1]))
            outputs.append(last)
        return outputs

    def mix_hash(self, data):
        self.hash = hashlib.blake2b(self.hash + data).digest()

    def mix_key(self, data, with_hash=False):
        self.chaining_key, *mixed, key = self.hkdf(data, 3 if with_hash else 2)
        if with_hash:
            self.mix_hash(mixed[0])
        self.cipher = Cipher(key)

    def mix_public(self, public):
        self.mix_hash(public)
        self.mix_key(public)

    def seal_nothing(self):
        tag = self.cipher.seal(b"", self.hash)
        self.mix_hash(tag)
        return tag

    def read(self, n):
        data = self.file.read(n)
        if len(data) < n:
            raise ConnectionError("the node ended the connection")
        return data

    def send_frame(self, plain):
        sealed = self.sending.seal(plain)
        self.socket.sendall(struct.pack(">H", len(sealed)) + sealed)
        self.sending.rekey()

    def send(self, data):
        for at in range(0, len(data), PLAIN_MAX):
            self.send_frame(data[at:at + PLAIN_MAX])

    def receive(self):
        plain = self.receiving.open(self.read(struct.unpack(">H", self.read(2))[0]))
        self.receiving.rekey()
        return plain


class Node:
    """Calls, one after the other."""

    def __init__(self, endpoint, api_key):
        host, _, port = endpoint.rpartition(":")
        self.channel = Channel(host.strip("[]"), int(port), api_key)
        self.unpacker = msgpack.Unpacker(max_buffer_size=16 << 20)  # an answer has 8 MiB at most
        self.calls = 0

    def call(self, method, **args):
        self.calls += 1
        self.channel.send(msgpack.packb([0, self.calls, method, [args, {"deadline_ms": 30_000}]]))
        while True:
            for kind, *rest in self.unpacker:
                if kind == 1 and rest[0] == self.calls:
                    if rest[1] is not None:
                        raise Refused(f"{rest[1]['message']} ({rest[1]['code']})")
                    return rest[2]
                if kind == 2 and rest[0] == "rpc.closing":
                    raise Refused(rest[1][0]["message"])
            self.unpacker.feed(self.channel.receive())


def arguments():
    parser = argparse.ArgumentParser(description="Pull a session from a packetrecorder node.")
    parser.add_argument("endpoint", help="HOST:PORT of the node's --rpc-addr")
    parser.add_argument("session", nargs="?", help="id, name or 'last'; without it sessions are listed")
    parser.add_argument("file", nargs="?", help="where to; '-' or nothing is standard output")
    parser.add_argument("--filter", help="what tcpdump takes, e.g. 'tcp port 443'")
    parser.add_argument("--chunk", default="1MiB", help="size of one answer, 4MiB at most")
    parser.add_argument("--api-key-file", help="a line of 'packetrecorder keys add'; "
                        "default: the variable PACKETRECORDER_API_KEY")
    return parser.parse_args()


def api_key(args):
    if args.api_key_file:
        with open(args.api_key_file, encoding="ascii") as file:
            return file.read().strip()
    return os.environ.get("PACKETRECORDER_API_KEY") or sys.exit("pull.py: PACKETRECORDER_API_KEY is not set")


def pull(args, key, out):
    """Writes the file chunk by chunk; a connection that breaks is opened again, up to five times in a row."""
    where = {"session_id": args.session, "max_bytes": args.chunk}
    if args.filter:
        where["filter"] = args.filter
    node, failures = None, 0
    while True:
        try:
            node = node or Node(args.endpoint, key)
            chunk = node.call("session.read", **where)
        except (OSError, CryptoError) as error:
            node, failures = None, failures + 1
            if failures > 5:
                raise
            print(f"pull.py: {error}; trying again", file=sys.stderr)
            time.sleep(failures)
            continue
        failures = 0
        out.write(chunk["data"])
        where["cursor"] = chunk["next"]
        if chunk["next"] is None:
            return


def main():
    args = arguments()
    key = api_key(args)
    if args.session is None:
        for session in Node(args.endpoint, key).call("session.list"):
            print(session["id"], session["state"], session["packets"], session.get("name") or "", sep="\t")
    elif args.file in (None, "-"):
        pull(args, key, sys.stdout.buffer)
    else:
        with open(args.file, "wb") as out:
            pull(args, key, out)


if __name__ == "__main__":
    try:
        main()
    except (OSError, CryptoError, Refused) as error:
        sys.exit(f"pull.py: {error}")
    except KeyboardInterrupt:
        pass
