# SPDX-License-Identifier: Apache-2.0
"""What the system tests in Python share: running packetrecorder on one store, reading what it
exports, and printing one line a check (see tap.sh)."""
import json
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import time

BIN = os.environ["PR_BIN"]


class Tap:
    """One line a check; details of a failure behind it."""

    def __init__(self):
        self.failures = 0

    def check(self, name, good, *details):
        print(("ok - " if good else "not ok - ") + name, flush=True)
        if not good:
            self.failures += 1
            for detail in details:
                for line in str(detail).rstrip().split("\n")[-30:]:
                    print("# " + line, flush=True)
        return good


class Store:
    """A store and the key file that opens it (None: unencrypted)."""

    def __init__(self, path, key=None, binary=BIN):
        self.path = path
        self.key = key
        self.binary = binary

    def args(self):
        return ["-d", self.path] + (["--encryption-key-file", self.key] if self.key else [])

    def command(self, name, *more):
        return [self.binary, name, *self.args(), *more]

    def run(self, name, *more, timeout=120):
        """(exit code, stdout, stderr) as text."""
        p = subprocess.run(self.command(name, *more), stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=timeout, check=False)
        return p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")

    def sessions(self):
        code, out, err = self.run("sessions", "--json")
        if code != 0:
            raise RuntimeError(f"sessions: exit {code}: {err}")
        return json.loads(out)

    def packets(self, session, *more):
        """(exit code, [(time ns, captured bytes)…], stderr) of an export."""
        p = subprocess.run(self.command("export", "-s", session, "-o", "-", "--format", "pcap",
                                        *more),
                           stdin=subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
        return p.returncode, read_pcap(p.stdout), p.stderr.decode(errors="replace")


class Live:
    """A capture that runs in a network namespace; `began_ns` is when it said its session's id, 0
    while it did not."""

    def __init__(self, store, namespace, interface, *more):
        self.id = None
        self.began_ns = 0
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace,
             *store.command("capture", "-i", interface, *more)],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.text = []
        self.reader = threading.Thread(target=self.read)
        self.reader.start()

    def read(self):
        for line in self.process.stderr:
            self.text.append(line)
            if line.startswith("session "):
                self.id = line.split()[1]
                self.began_ns = time.time_ns()

    def said(self):
        return "".join(self.text)

    def end(self, number=signal.SIGTERM):
        """Sends the signal; (when, exit code)."""
        at = time.time_ns()
        self.process.send_signal(number)
        return at, self.wait()

    def wait(self, timeout=60):
        code = self.process.wait(timeout=timeout)
        self.reader.join()
        return code


def times_sent(path):
    """The log of numbered_sender.py: when each number was sent, in ns."""
    with open(path, "rb") as f:
        data = f.read()
    return struct.unpack(f"<{len(data) // 8}Q", data[:len(data) // 8 * 8])


def wait_for(seconds, condition):
    """The first true value of condition() within so many seconds, else None."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        value = condition()
        if value:
            return value
        time.sleep(0.02)
    return None


def fill_disk(filler, leave=0):
    """Puts into this file what is free on its disk but for so many bytes."""
    with open(filler, "ab", buffering=0) as f:
        free = os.statvfs(os.path.dirname(filler))
        n = free.f_bavail * free.f_frsize - leave
        try:
            while n > 0:
                n -= f.write(b"\xff" * min(n, 1 << 20))
        except OSError:
            pass


def read_pcap(data):
    """Packets of a classic little-endian pcap with nanoseconds."""
    found = []
    at = 24
    while at + 16 <= len(data):
        seconds, ns, caplen, _ = struct.unpack_from("<IIII", data, at)
        found.append((seconds * 10**9 + ns, data[at + 16:at + 16 + caplen]))
        at += 16 + caplen
    return found


def key_file(path, binary=BIN):
    """A new random key in a file that only its owner reads."""
    key = subprocess.run([binary, "keys", "db-new"], capture_output=True, check=True).stdout
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as f:
        f.write(key)
    return path


def seed():
    """The seed of this run: PR_SEED, or the time; printed, so that a failure can be repeated."""
    value = int(os.environ.get("PR_SEED") or time.time_ns() % 2**32)
    print(f"# PR_SEED={value}", flush=True)
    return value


def pcap_bytes(packets, link_type=1):
    """A classic pcap with nanoseconds of (time ns, bytes) packets."""
    out = [struct.pack("<IHHiIII", 0xa1b23c4d, 2, 4, 0, 0, 262144, link_type)]
    for ns, data in packets:
        out.append(struct.pack("<IIII", ns // 10**9, ns % 10**9, len(data), len(data)))
        out.append(data)
    return b"".join(out)


def udp_frame(payload, source=1000, destination=2000):
    """Ethernet, IPv4, UDP; no checksums."""
    udp = struct.pack(">HHHH", source, destination, 8 + len(payload), 0) + payload
    ip = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(udp), 0, 0, 64, 17, 0,
                     bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])) + udp
    return bytes.fromhex("020000000002" "020000000001" "0800") + ip


def numbered_packets(first, count, size=200, begin_ns=1_700_000_000 * 10**9, step_ns=1000):
    """Packets whose payload says which one it is; half of it does not compress."""
    noise = random.Random(first).randbytes
    return [(begin_ns + i * step_ns,
             udp_frame(b"NUMBERED" + struct.pack("<Q", i) + noise(size // 2) + b"." * (size // 2),
                       source=i % 60000 + 1)) for i in range(first, first + count)]


def numbers_of(packets):
    """The numbers in the packets that carry one."""
    found = []
    for _, data in packets:
        at = data.find(b"NUMBERED")
        if at >= 0:
            found.append(struct.unpack_from("<Q", data, at + 8)[0])
    return found


def finish(tap):
    sys.exit(1 if tap.failures else 0)
