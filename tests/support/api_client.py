# SPDX-License-Identifier: Apache-2.0
"""A node in the words of its API: captures by their ids, events as they come; and what the checks of
api_calls.py share. They run in a network namespace, as `api_….py SCRATCH IFACE`; SCRATCH/disk is a
small file system."""
import http.client
import json
import os
import socket
import sys
import threading
import time

import node_process
import recorder
from recorder import wait_for

SCRATCH, IFACE = sys.argv[1:3]
DISK = os.path.join(SCRATCH, "disk")
PORT = 5555
tap = recorder.Tap()


class Node(node_process.Node):
    def __init__(self, database, *options, **more):
        super().__init__(os.path.dirname(database), *options, database=os.path.basename(database),
                         **more)

    @property
    def port(self):
        return self.address[1]

    def ask(self, method, path, body=None, key=None, **headers):
        """One request. Header names with _ for -."""
        return self.http(method, path, body, key=key or self.key, timeout=20,
                         headers={k.replace("_", "-"): v for k, v in headers.items()})

    def get(self, target, **more):
        return self.ask("GET", target, **more)

    def start(self, **request):
        """The id of a capture that was started."""
        answer = self.ask("POST", "/api/v1/captures", request)
        if answer.status != 201:
            raise RuntimeError(repr(answer))
        return answer.json()["id"]

    def stop_capture(self, identity):
        return self.ask("DELETE", "/api/v1/captures/" + identity)


class Events:
    """Follows /api/v1/events; `seen` holds (id, type, data)."""

    def __init__(self, node, after=None, key=None):
        self.seen = []
        self.comments = 0
        self.socket = socket.create_connection(node.address, timeout=30)
        head = "GET /api/v1/events HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        if after is not None:
            head += f"Last-Event-ID: {after}\r\n"
        if key or node.key:
            head += f"Authorization: Bearer {key or node.key}\r\n"
        self.socket.sendall((head + "\r\n").encode())
        self.response = http.client.HTTPResponse(self.socket)
        self.response.begin()
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        event = {}
        try:
            for line in self.response:
                line = line.decode().rstrip("\n")
                if line.startswith(":"):
                    self.comments += 1
                elif line:
                    name, _, value = line.partition(": ")
                    event[name] = value
                else:
                    if "data" in event:
                        self.seen.append((int(event["id"]), event["event"],
                                          json.loads(event["data"])))
                    event = {}
        except (OSError, http.client.HTTPException, ValueError):
            pass
        self.ended.set()

    def wait(self, kind, seconds=10, **wanted):
        """The first event of that type whose data has these members."""
        def look():
            for one in list(self.seen):
                if one[1] == kind and all(one[2].get(k) == v for k, v in wanted.items()):
                    return one
            return None
        return wait_for(seconds, look)

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


def send(first, last, port=PORT, size=100, host="127.0.0.1", pause=0.0):
    """Numbered datagrams over lo (or to the other end of the wire, which needs not listen)."""
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 22)
    for n in range(first, last):
        try:
            s.sendto(b"%08d" % n + os.urandom(size - 8), (host, port))
        except ConnectionRefusedError:
            pass
        if pause:
            time.sleep(pause)
    s.close()


def counted(node, identity, n):
    """True once a running capture has so many packets."""
    return wait_for(10, lambda: node.get("/api/v1/captures/" + identity).json()["packets"] >= n)


def refused(name, answer, status, *words):
    """A problem document with that status, whose detail holds the words."""
    good = answer.problem(status) and all(w in answer.detail() for w in words)
    tap.check(name, good, answer)


def make_key(store, role):
    code, out, err = store.run("keys", "add", "--role", role)
    if code != 0:
        raise RuntimeError(err)
    return out.strip()


def export(store, session, *more):
    path = os.path.join(SCRATCH, "out")
    code, _, err = store.run("export", "-s", session, "-o", path, "--force", *more)
    if code != 0:
        raise RuntimeError(err)
    with open(path, "rb") as f:
        return f.read()
