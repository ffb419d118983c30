# SPDX-License-Identifier: Apache-2.0
"""A running packetrecorderd and ways to ask it, for the system tests in Python. Runs in the network
namespace of whoever calls."""
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time

BINARY = os.path.join(os.environ["PR_BUILD"], "node/packetrecorderd")
READY = re.compile(r"http on 127\.0\.0\.1:(\d+)")


def wait_for(seconds, condition):
    """What the condition gives, as soon as it is true; false when the time is over."""
    until = time.monotonic() + seconds
    while True:
        value = condition()
        if value or time.monotonic() > until:
            return value
        time.sleep(0.02)


class Answer:
    def __init__(self, response, body):
        self.status = response.status
        self.headers = {k.lower(): v for k, v in response.getheaders()}
        self.body = body

    def json(self):
        return json.loads(self.body)

    def detail(self):
        """Of a problem document; "" when it is none."""
        if self.headers.get("content-type") != "application/problem+json":
            return ""
        problem = self.json()
        return problem["detail"] if problem["status"] == self.status else ""


class Node:
    def __init__(self, database, *more, key=None):
        self.key = key
        self.log = []
        self.port = None
        self.process = subprocess.Popen(
            [BINARY, "--http-addr", "127.0.0.1:0", "--database", database, *more],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
            env={**os.environ, "PACKETRECORDER_LOG": "info"})
        threading.Thread(target=self._read, daemon=True).start()
        if not wait_for(20, lambda: self.port or self.process.poll() is not None) or not self.port:
            self.process.kill()
            self.process.wait()

    def _read(self):
        for line in self.process.stderr:
            self.log.append(line.rstrip())
            found = READY.search(line)
            if found:
                self.port = int(found[1])

    def ask(self, method, path, body=None, key=None, **headers):
        """One request; json goes as such, bytes as they are. Header names with _ for -."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        send = {k.replace("_", "-"): v for k, v in headers.items()}
        if key or self.key:
            send["Authorization"] = "Bearer " + (key or self.key)
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        try:
            connection.request(method, path, body, send)
            response = connection.getresponse()
            return Answer(response, response.read())
        finally:
            connection.close()

    def get(self, path, **more):
        return self.ask("GET", path, **more)

    def start(self, **request):
        """The id of a capture that was started."""
        answer = self.ask("POST", "/api/v1/captures", request)
        if answer.status != 201:
            raise RuntimeError(f"{answer.status} {answer.body}")
        return answer.json()["id"]

    def stop_capture(self, identity):
        return self.ask("DELETE", "/api/v1/captures/" + identity)

    def metric(self, name):
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith(name + " "):
                return float(line.split()[-1])
        return None

    def stop(self):
        """Exit code and seconds of a SIGTERM."""
        began = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        return code, time.monotonic() - began

    def kill(self):
        self.process.kill()
        self.process.wait()


class Events:
    """Follows /api/v1/events; `seen` holds (id, type, data)."""

    def __init__(self, node, after=None, key=None):
        self.seen = []
        self.comments = 0
        self.socket = socket.create_connection(("127.0.0.1", node.port), timeout=30)
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
