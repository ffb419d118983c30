# SPDX-License-Identifier: Apache-2.0
"""Many real nodes on one machine, each in a network namespace of its own behind one bridge, for
tests/support/swarm_checks.py and tests/bench/swarm_rows.py. Needs root and iproute2. Node i has
10.88.A.B and fd88::N; its HTTP listens on its own loopback, where only who enters the namespace
gets at it."""
import base64
import calendar
import ctypes
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

NODE = os.environ.get("PR_NODE", "build/release/node/packetrecorderd")
LIBC = ctypes.CDLL(None, use_errno=True)
NEWNET = 0x40000000


def run(*command, check=True):
    return subprocess.run(command, check=check, capture_output=True, text=True)


def make_key(path, of=None):
    """A cluster key file; `of`: another key for that one's cluster."""
    def text(n):
        return base64.urlsafe_b64encode(os.urandom(n)).rstrip(b"=").decode()
    cluster = open(of).read()[4:26] if of else text(16)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(f"prc_{cluster}_{text(32)}\n")
    return path


def wait_for(seconds, condition, *args):
    deadline = time.monotonic() + seconds
    while True:
        found = condition(*args)
        if found or time.monotonic() > deadline:
            return found
        time.sleep(0.02)


class Place:
    """A namespace with one interface on the bridge."""

    def __init__(self, lab, number):
        self.lab, self.number = lab, number
        self.ns = f"{lab.name}-{number}"
        self.iface = f"{lab.name}v{number}"
        self.ip = f"10.88.{number // 250}.{number % 250 + 1}"
        self.ip6 = f"fd88::{number + 1:x}"

    def commands(self):
        """For ip -batch: outside, and inside."""
        return ([f"link add {self.iface} type veth peer name eth0 netns {self.ns}",
                 f"link set {self.iface} master {self.lab.bridge} up"],
                ["link set lo up", f"addr add {self.ip}/16 dev eth0",
                 f"addr add {self.ip6}/64 dev eth0 nodad", "link set eth0 up"])

    def inside(self, function, *args):
        """function(*args) by a thread in the namespace; sockets that it makes stay there."""
        result = {}

        def enter():
            fd = os.open(f"/run/netns/{self.ns}", os.O_RDONLY)
            try:
                if LIBC.setns(fd, NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
                result["value"] = function(*args)
            except OSError as error:
                result["error"] = error
            finally:
                os.close(fd)
        thread = threading.Thread(target=enter)
        thread.start()
        thread.join()
        if "error" in result:
            raise result["error"]
        return result["value"]

    def broadcast(self, every=0.001):
        """A process that sends datagrams to the port discard of all, numbered in their first eight bytes."""
        code = ("import socket, time\n"
                "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
                "s.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)\n"
                "s.bind(('0.0.0.0', 9))\n"
                "n = 0\n"
                "while True:\n"
                "    s.sendto(b'%08d' % n + b'x' * 56, ('10.88.255.255', 9))\n"
                "    n += 1\n"
                f"    time.sleep({every})\n")
        return subprocess.Popen(["ip", "netns", "exec", self.ns, sys.executable, "-c", code])

    def ip_command(self, *words):
        return run("ip", "-n", self.ns, *words)


class Node:
    def __init__(self, lab, number, place=None, state=None):
        self.lab, self.number = lab, number
        self.place = place or lab.places[number]
        self.name = f"n{number}"
        self.folder = f"{lab.scratch}/{self.name}"
        self.state = state or f"{self.folder}/state"
        os.makedirs(self.folder, exist_ok=True)
        self.log = f"{self.folder}/log"
        self.process = None
        self.connection = None
        self.options = []

    def start(self, *options, join=(), key=None, env=None, alone=False):
        """alone: in no swarm."""
        command = ["ip", "netns", "exec", self.place.ns, self.lab.binary, "--node-name", self.name,
                   "--database", f"{self.folder}/p.db", "--state-dir", self.state,
                   "--http-addr", "127.0.0.1:8080", "--rpc-addr", "none",
                   "--rpc-socket", f"{self.folder}/rpc.sock", *options]
        if not alone:
            command += ["--cluster-key-file", key or self.lab.key]
        for address in join:
            command += ["--join", address]
        self.connection = None
        self.started = time.time()
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL,
                                        stderr=open(self.log, "a"),
                                        env=dict(os.environ, **(env or {})))
        return self

    @property
    def pid(self):
        return self.process.pid

    def said(self):
        with open(self.log) as file:
            return file.read()

    def kill(self, number=signal.SIGKILL):
        self.process.send_signal(number)
        if number in (signal.SIGKILL, signal.SIGTERM):
            self.process.wait(20)

    def _connect(self, timeout):
        connection = http.client.HTTPConnection("127.0.0.1", 8080, timeout=timeout)
        connection.connect()
        return connection

    def hang_up(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def get(self, path):
        """None: it does not answer."""
        for _ in range(2):
            try:
                if self.connection is None:
                    self.connection = self.place.inside(self._connect, 5)
                self.connection.request("GET", path)
                return self.connection.getresponse().read().decode()
            except (OSError, http.client.HTTPException):
                self.connection = None
        return None

    def is_up(self):
        return self.get("/api/v1/members") is not None

    def members(self):
        return {m["name"]: m for m in json.loads(self.get("/api/v1/members") or "[]")}

    def states(self):
        return {name: m["state"] for name, m in self.members().items()}

    def sees(self, name, state):
        return self.states().get(name) == state

    def n_alive(self):
        return sum(s == "alive" for s in self.states().values())

    def metric(self, name):
        for line in (self.get("/metrics") or "").splitlines():
            if line.startswith(name + " "):
                return float(line.split()[1])
        return 0.0

    def events(self):
        """All that it has published: (time of the wall clock, type, data)."""
        def read():
            found = []
            with socket.create_connection(("127.0.0.1", 8080), timeout=0.3) as s:
                s.sendall(b"GET /api/v1/events?last_event_id=0 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
                data, deadline = b"", time.monotonic() + 1.5
                try:  # until nothing comes for a moment; more may come for ever
                    while (chunk := s.recv(1 << 20)) and time.monotonic() < deadline:
                        data += chunk
                except TimeoutError:
                    pass
            kind = None
            for line in data.decode(errors="replace").splitlines():
                if line.startswith("event: "):
                    kind = line[7:]
                elif line.startswith("data: ") and kind:
                    try:
                        value = json.loads(line[6:])
                    except json.JSONDecodeError:
                        continue
                    found.append((seconds(value["time"]), kind, value))
            return found
        return self.place.inside(read)

    def cpu_seconds(self):
        fields = open(f"/proc/{self.pid}/stat").read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def cpu_ns(self):
        """Of all threads, by the scheduler: finer than ticks."""
        total = 0
        for task in os.listdir(f"/proc/{self.pid}/task"):
            total += int(open(f"/proc/{self.pid}/task/{task}/schedstat").read().split()[0])
        return total

    def pss_bytes(self):
        for line in open(f"/proc/{self.pid}/smaps_rollup"):
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
        return 0


def seconds(text):
    """RFC 3339 with nine digits, UTC."""
    whole, fraction = text.rstrip("Z").split(".")
    return calendar.timegm(time.strptime(whole, "%Y-%m-%dT%H:%M:%S")) + float("0." + fraction)


class Lab:
    def __init__(self, scratch, n, binary=NODE):
        self.scratch, self.n = scratch, n
        self.binary = os.path.abspath(binary)
        self.name = f"pr{os.getpid() % 100000}"
        self.bridge = f"{self.name}br"
        self.outer = f"{self.name}-net"
        self.key = make_key(f"{scratch}/key")
        self.places = [Place(self, i) for i in range(n)]
        self.nodes = []
        self.limits = []

    def batch(self, ns, lines):
        done = subprocess.run(["ip", "-n", ns, "-batch", "-"], input="\n".join(lines) + "\n",
                              text=True, capture_output=True)
        if done.returncode != 0:
            raise OSError(f"ip: {done.stderr}")

    def widen_neighbours(self):
        """All namespaces share one table of neighbours, and each node asks for all others: with fifty the
        kernel's 1,024 are not enough, and a third of all datagrams is lost on the way out."""
        for family in ("ipv4", "ipv6"):
            for limit in ("gc_thresh2", "gc_thresh3"):
                path = f"/proc/sys/net/{family}/neigh/default/{limit}"
                with open(path, encoding="ascii") as f:
                    was = int(f.read())
                if was < 4 * self.n * self.n:
                    self.limits.append((path, was))
                    with open(path, "w", encoding="ascii") as f:
                        f.write(str(4 * self.n * self.n))

    def __enter__(self):
        self.widen_neighbours()
        run("ip", "netns", "add", self.outer)
        for place in self.places:
            run("ip", "netns", "add", place.ns)
        outside = [f"link add {self.bridge} type bridge", f"link set {self.bridge} up"]
        for place in self.places:
            outside += place.commands()[0]
        self.batch(self.outer, outside)
        for place in self.places:
            self.batch(place.ns, place.commands()[1])
        return self

    def __exit__(self, *_):
        for node in self.nodes:
            if node.process is not None and node.process.poll() is None:
                node.process.kill()
                node.process.wait()
        for place in self.places:
            run("ip", "netns", "del", place.ns, check=False)
        run("ip", "netns", "del", self.outer, check=False)
        for path, was in self.limits:
            with open(path, "w", encoding="ascii") as f:
                f.write(str(was))

    def node(self, number, **more):
        node = Node(self, number, **more)
        self.nodes.append(node)
        return node

    def start(self, n, *options, seed=0):
        """The first n nodes, all of which join one; True when each sees all."""
        for i in range(n):
            self.node(i)
        first = self.nodes[seed].start(*options)
        wait_for(10, first.is_up)
        for node in self.nodes[:n]:
            if node is not first:
                node.start(*options, join=[self.places[seed].ip])
        return self.converged(n)

    def converged(self, n, seconds_=20):
        return wait_for(seconds_, lambda: all(node.n_alive() == n for node in self.nodes[:n]))

    def cut(self, numbers, on=True):
        """These places on one side of the bridge, the others on the other."""
        side = set(numbers)
        lines = []
        if on:
            lines.append(f"link add {self.bridge}2 type bridge")
            lines.append(f"link set {self.bridge}2 up")
        for place in self.places:
            if place.number in side:
                lines.append(f"link set {place.iface} master {self.bridge}{'2' if on else ''}")
        if not on:
            lines.append(f"link del {self.bridge}2")
        self.batch(self.outer, lines)
