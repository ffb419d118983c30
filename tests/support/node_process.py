# SPDX-License-Identifier: Apache-2.0
"""Running packetrecorderd in a test: started on a free port, asked over HTTP, ended with a signal.
And the two ends of the wire of netns.sh as raw sockets. The environment comes from the script:
PR_NODE (packetrecorderd), PR_BIN, NS_A, IF_A, IF_B; the tests themselves run inside namespace B."""
import ctypes
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time
import traceback

import ws_raw
from recorder import Tap, wait_for

NODE = os.environ["PR_NODE"]
BIN = os.environ["PR_BIN"]
IF_A = os.environ.get("IF_A", "")
IF_B = os.environ.get("IF_B", "")
LISTENS = re.compile(r"(?:listening|serving|http).* on '?(?:https?://)?(\[[0-9a-f:]+\]|[0-9.]+):(\d+)")
ETH_ALL = 3
NOBODY = bytes.fromhex("020000000099")  # a MAC address that is nobody's: the host drops the frame


class Checks(Tap):
    """Tap, and what keeps a test to one line a check."""

    def equal(self, name, wanted, found):
        return self.check(name, wanted == found, f"wanted: {wanted!r}"[:2000],
                          f"found:  {found!r}"[:2000])

    def raises(self, name, kind, function, *args, **more):
        """The exception, or None (and a failure) when there was none."""
        try:
            found = function(*args, **more)
        except kind as error:
            self.check(name, True)
            return error
        self.check(name, False, f"no {kind.__name__}, but {found!r}"[:2000])
        return None

    def eventually(self, name, condition, seconds=10, details=lambda: ""):
        good = wait_for(seconds, condition)
        self.check(name, bool(good), details())
        return good

    def run(self, tests):
        """Each test in turn; one that breaks is a failure and the next goes on. PR_ONLY (names with
        blanks between) chooses some, for work on one of them."""
        only = os.environ.get("PR_ONLY", "").split()
        for test in tests:
            if only and test.__name__ not in only:
                continue
            began = time.monotonic()
            try:
                test(self)
            except Exception:  # whatever it was, the other tests are worth running
                self.check(f"{test.__name__} runs to its end", False, traceback.format_exc())
            if os.environ.get("PR_TIMES"):
                print(f"# {test.__name__}: {time.monotonic() - began:.1f} s", flush=True)


class Node:
    """A packetrecorderd. `options` go behind --http-addr and --database."""

    def __init__(self, folder, *options, http=("127.0.0.1:0",), env=None, binary=NODE, start=True,
                 database="packets.db", prefix=()):
        self.folder = folder
        self.database = os.path.join(folder, database)
        self.lines = []
        self.tls = None
        self.key = None
        self.addresses = []
        command = [*prefix, binary]
        for address in http:
            command += ["--http-addr", address]
        command += ["--database", self.database, *options]
        environment = {name: value for name, value in os.environ.items()
                       if not name.startswith("PACKETRECORDER_")}
        environment.update(env or {})
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        text=True, errors="replace", env=environment, cwd=folder)
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        if start:
            wanted = max(len(http), 1)
            if not wait_for(15, lambda: len(self.addresses) >= wanted or self.has_ended()) or \
                    self.has_ended():
                self.kill()
                raise RuntimeError(f"the node does not start:\n{self.said()}")

    def read(self):
        for line in self.process.stderr:
            self.lines.append(line)
            found = LISTENS.search(line)
            if found and "pcapng" not in line:
                self.addresses.append((found.group(1).strip("[]"), int(found.group(2))))

    def said(self):
        return "".join(self.lines)

    def has_said(self, pattern):
        return re.search(pattern, self.said())

    def has_ended(self):
        return self.process.poll() is not None

    @property
    def address(self):
        return self.addresses[0]

    @property
    def pid(self):
        return self.process.pid

    def http(self, method, target, body=None, **more):
        more.setdefault("tls", self.tls)
        more.setdefault("key", self.key)
        return ws_raw.http(self.address, method, target, body=body, **more)

    def get(self, target, **more):
        return self.http("GET", target, **more)

    def watch(self, interface, query="", **more):
        more.setdefault("tls", self.tls)
        more.setdefault("key", self.key)
        return ws_raw.WebSocket(self.address, f"/connections/{interface}" +
                                (f"?{query}" if query else ""), **more)

    def metrics(self):
        """{name or name{labels}: value}"""
        found = {}
        for line in self.get("/metrics").text().splitlines():
            if line and not line.startswith("#"):
                name, value = line.rsplit(" ", 1)
                try:
                    found[name] = float(value)
                except ValueError:
                    raise ValueError(f"no sample: {line!r}") from None
        return found

    def metric(self, name, **labels):
        """The sum of all samples of a family that have these labels."""
        total, seen = 0.0, False
        for sample, value in self.metrics().items():
            if sample.split("{")[0] == name and \
                    all(f'{label}="{wanted}"' in sample for label, wanted in labels.items()):
                total += value
                seen = True
        return total if seen else None

    def send_signal(self, number):
        self.process.send_signal(number)

    def stop(self, number=signal.SIGTERM, timeout=20):
        """(exit code, seconds it took)."""
        began = time.monotonic()
        self.process.send_signal(number)
        try:
            code = self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            return None, timeout
        took = time.monotonic() - began
        self.reader.join(5)
        return code, took

    def kill(self):
        self.process.kill()
        self.process.wait()
        self.reader.join(5)

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        if not self.has_ended():
            self.kill()

    def rss_bytes(self):
        with open(f"/proc/{self.pid}/statm", encoding="ascii") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

    def descriptors(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat", encoding="ascii") as file:
            fields = file.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def is_sanitized(binary=NODE):
    """A program with AddressSanitizer, which takes more of everything."""
    with open(binary, "rb") as file:
        return b"__asan_init" in file.read()


def command(*words, timeout=60, **more):
    """The command line: (exit code, stdout, stderr)."""
    more.setdefault("stdin", subprocess.DEVNULL)
    p = subprocess.run([BIN, *words], capture_output=True, timeout=timeout, check=False, **more)
    return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")


def add_key(folder, role, *more, database="packets.db"):
    """A new API key; its text."""
    code, out, err = command("keys", "add", "--role", role, "--database",
                             os.path.join(folder, database), *more)
    if code != 0:
        raise RuntimeError(f"keys add: exit {code}: {err}")
    return out.strip()


def in_namespace(name, function):
    """What function() gives inside a network namespace. A thread of its own goes there; sockets that
    it opens stay there."""
    box = []

    def body():
        libc = ctypes.CDLL(None, use_errno=True)
        with open(f"/run/netns/{name}", "rb") as file:
            if libc.setns(file.fileno(), 0x40000000) != 0:
                raise OSError(ctypes.get_errno(), f"setns {name}")
        box.append(function())

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    return box[0]


class End:
    """One end of the wire: sends and receives whole frames."""

    def __init__(self, interface, namespace=None):
        def opened():
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_ALL))
            s.bind((interface, ETH_ALL))
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            return s
        self.socket = in_namespace(namespace, opened) if namespace else opened()

    def send(self, *frames):
        for frame in frames:
            self.socket.send(frame)

    def receive(self, wanted, seconds=5):
        """The first frame for which wanted(frame) is true, or None."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.socket.settimeout(left)
            try:
                frame = self.socket.recv(1 << 18)
            except TimeoutError:
                break
            if wanted(frame):
                return frame
        return None

    def close(self):
        self.socket.close()


def end_a():
    return End(IF_A, os.environ["NS_A"])


def numbered(number, size=100, mark=b"NUMBERED", source=NOBODY):
    """A frame of local experimental type (IEEE 802, 0x88b5) that says which one it is."""
    frame = NOBODY + source + b"\x88\xb5" + mark + struct.pack("<Q", number)
    return frame.ljust(size, bytes([number & 255]))


def number_in(frame, mark=b"NUMBERED"):
    """The number of such a frame, else None."""
    at = frame.find(mark, 0, 64)
    return struct.unpack_from("<Q", frame, at + len(mark))[0] if at >= 0 else None


def mac_of(interface):
    with open(f"/sys/class/net/{interface}/address", encoding="ascii") as file:
        return bytes.fromhex(file.read().strip().replace(":", ""))
