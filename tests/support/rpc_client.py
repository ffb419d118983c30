# SPDX-License-Identifier: Apache-2.0
"""An RPC client of its own making, for tests: msgpack-RPC over a UNIX socket or inside the secure
channel (docs/protocol-rpc.md), written from the description and not from the node's code."""
import base64
import hashlib
import hmac
import os
import socket
import struct
import time

import msgpack
from nacl import bindings

NAME = b"Noise_NNpsk0_25519_ChaChaPoly_BLAKE2b"
REKEY = 1024
PLAIN_MAX = 65535 - 16
REFUSALS = {1: "no_such_key", 2: "wrong_key", 3: "key_expired", 4: "bad_version", 5: "bad_kind",
            6: "busy", 7: "no_keys"}


class Refused(Exception):
    """The byte with which the node refuses a handshake."""


class Failed(Exception):
    """The error of an answer."""

    def __init__(self, error):
        super().__init__(f"{error['code']}: {error['message']}")
        self.code, self.message, self.node = error["code"], error["message"], error["node"]


def blake2b(data):
    return hashlib.blake2b(data).digest()


def hkdf(key, data, n):
    def mac(key, data):
        return hmac.new(key, data, "blake2b").digest()
    secret, outs, last = mac(key, data), [], b""
    for i in range(1, n + 1):
        last = mac(secret, last + bytes([i]))
        outs.append(last)
    return outs


class Cipher:
    def __init__(self, key):
        self.key, self.n = key[:32], 0

    def nonce(self, n):
        return bytes(4) + struct.pack("<Q", n)

    def turn(self):
        self.n += 1

    def seal(self, plain, ad=None):
        out = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(plain, ad, self.nonce(self.n),
                                                                 self.key)
        self.turn()
        return out

    def open(self, sealed, ad=None):
        out = bindings.crypto_aead_chacha20poly1305_ietf_decrypt(sealed, ad, self.nonce(self.n),
                                                                 self.key)
        self.turn()
        return out


class Transport(Cipher):
    """The next key after so many messages."""

    def turn(self):
        self.n += 1
        if self.n % REKEY == 0:
            self.key = bindings.crypto_aead_chacha20poly1305_ietf_encrypt(
                bytes(32), None, self.nonce(2**64 - 1), self.key)[:32]


class Handshake:
    """The client's side of NNpsk0."""

    def __init__(self, psk, prologue):
        self.h = self.ck = NAME.ljust(64, b"\0")
        self.mix_hash(prologue)
        self.psk = psk

    def mix_hash(self, data):
        self.h = blake2b(self.h + data)

    def mix_key(self, data):
        self.ck, key = hkdf(self.ck, data, 2)
        self.cipher = Cipher(key)

    def first(self):
        self.ck, mixed, key = hkdf(self.ck, self.psk, 3)
        self.mix_hash(mixed)
        self.cipher = Cipher(key)
        self.secret = os.urandom(32)
        public = bindings.crypto_scalarmult_base(self.secret)
        self.mix_hash(public)
        self.mix_key(public)
        tag = self.cipher.seal(b"", self.h)
        self.mix_hash(tag)
        return public + tag

    def second(self, message):
        public, tag = message[:32], message[32:]
        self.mix_hash(public)
        self.mix_key(public)
        self.mix_key(bindings.crypto_scalarmult(self.secret, public))
        self.cipher.open(tag, self.h)
        self.mix_hash(tag)
        send, receive = hkdf(self.ck, b"", 2)
        return Transport(send), Transport(receive)


def preamble(key_id, version=1, kind=1):
    return b"\xd7PRC" + bytes([version, kind, 0, 0]) + key_id.encode()


def split_key(text):
    """pr_ID_SECRET: the id, and the pre-shared key."""
    _, key_id, secret = text.strip().split("_", 2)
    raw = base64.urlsafe_b64decode(secret + "=" * (-len(secret) % 4))
    return key_id, hashlib.blake2b(raw, digest_size=32).digest()


class Client:
    """at: a path, or (host, port) with a key."""

    def __init__(self, at, key=None, timeout=15):
        self.next_id, self.answers, self.events, self.closing = 1, {}, [], None
        self.unpacker = msgpack.Unpacker(max_buffer_size=64 << 20)
        self.send_cipher = None
        if isinstance(at, str):
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(at)
        else:
            self.socket = socket.create_connection(at, timeout=timeout)
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.shake(*split_key(key))

    def shake(self, key_id, psk):
        head = preamble(key_id)
        handshake = Handshake(psk, head)
        self.socket.sendall(head + handshake.first())
        verdict = self.receive(1)
        if verdict != b"\0":
            raise Refused(REFUSALS.get(verdict[0], verdict))
        self.send_cipher, self.receive_cipher = handshake.second(self.receive(48))
        self.send_frame(b"")

    def receive(self, n):
        data = b""
        while len(data) < n:
            more = self.socket.recv(n - len(data))
            if not more:
                raise EOFError("the node closed the connection")
            data += more
        return data

    def send_frame(self, plain):
        sealed = self.send_cipher.seal(plain)
        self.socket.sendall(struct.pack(">H", len(sealed)) + sealed)

    def send_bytes(self, data):
        if self.send_cipher is None:
            self.socket.sendall(data)
            return
        for i in range(0, len(data), PLAIN_MAX):
            self.send_frame(data[i:i + PLAIN_MAX])

    def receive_some(self):
        if self.send_cipher is None:
            data = self.socket.recv(1 << 20)
            if not data:
                raise EOFError("the node closed the connection")
            return data
        n, = struct.unpack(">H", self.receive(2))
        return self.receive_cipher.open(self.receive(n))

    def pump(self):
        """Takes what comes next apart."""
        self.unpacker.feed(self.receive_some())
        for message in self.unpacker:
            if message[0] == 1:
                self.answers[message[1]] = message[2:]
            elif message[1] == "events.event":
                self.events.append(message[2][0])
            elif message[1] == "rpc.closing":
                self.closing = message[2][0]

    def begin(self, method, args=None, **options):
        self.next_id += 1
        params = [args or {}] + ([options] if options else [])
        self.send_bytes(msgpack.packb([0, self.next_id, method, params]))
        return self.next_id

    def end(self, call_id):
        while call_id not in self.answers:
            self.pump()
        error, result = self.answers.pop(call_id)
        if error is not None:
            raise Failed(error)
        return result

    def call(self, method, **args):
        return self.end(self.begin(method, args))

    def cancel(self, call_id):
        self.send_bytes(msgpack.packb([2, "rpc.cancel", [call_id]]))

    def wait_event(self, wanted, seconds=10):
        """The first event of this type."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            for event in self.events:
                if event["type"] == wanted:
                    return event
            self.pump()
        raise TimeoutError(f"no event {wanted}")

    def wait_closed(self, seconds=10):
        """What rpc.closing said, once the connection is closed."""
        self.socket.settimeout(seconds)
        try:
            while True:
                self.pump()
        except (EOFError, ConnectionError):
            return self.closing

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()
