# SPDX-License-Identifier: Apache-2.0
"""Everything at once against one node, for PR_MINUTES-bounded seconds, from a seed: viewers of all
kinds that come, stop reading and vanish, frames and requests that are broken, injections, captures,
queries, keys that come and go, an interface that flaps, SIGHUP. Afterwards the node must be what it
was: alive, the same descriptors, its memory back, exit 0, nothing for the sanitizers to say.
Driven by tests/system/torture.sh."""
import os
import random
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import quote

from certificate import Authority
from node_process import IF_B, Checks, Node, add_key, command, end_a, numbered
from recorder import finish, seed
from ws_raw import BINARY, Closed, Refused, Wire, WebSocket, frame_bytes, request_bytes

FOLDER = sys.argv[1]
SECONDS = float(os.environ.get("PR_TORTURE_SECONDS", "20"))
FILTERS = ("", "ether proto 0x88b5", "arp or icmp", "tcp prot", "less 100", "ip6", "vlan and tcp")
TARGETS = ("/", "/interfaces", "/health", "/metrics", "/openapi.json", "/api/v1/stats",
           "/api/v1/interfaces", "/api/v1/sessions", "/api/v1/sessions/last",
           "/api/v1/sessions/last/packets?limit=50", "/api/v1/sessions/last/pcap", "/nothing",
           "/api/v1/sessions/last/packets?filter=tcp+prot", "/api/v1/ticket")
EXPECTED = (OSError, Closed, Refused)


class Torture:
    def __init__(self, node, keys, base, tls):
        self.node, self.keys, self.tls = node, keys, tls
        self.base = base
        self.until = time.monotonic() + SECONDS
        self.done = {}
        self.surprises = []
        self.lock = threading.Lock()

    def key(self, rng):
        return rng.choice(list(self.keys.values()) + [None, "pr_bad_key"])

    def watch(self, rng):
        query = [f"filter={quote(rng.choice(FILTERS))}"]
        if rng.random() < 0.6:
            query.append("format=pcapng")
        for word in ("compress=zstd", "snaplen=64", "deflate=1", "history=5s", "resume=abc:5"):
            if rng.random() < 0.2:
                query.append(word)
        headers = {"Sec-WebSocket-Extensions": "permessage-deflate"} if rng.random() < 0.5 else {}
        interface = rng.choice((IF_B, IF_B, IF_B, "lo", "flap0", "any", "nosuch"))
        ws = WebSocket(self.node.address, f"/connections/{interface}?{'&'.join(query)}", headers=headers,
                       tls=self.tls, key=self.key(rng), timeout=2, small_window=rng.random() < 0.3)
        for _ in range(rng.randrange(30)):
            what = rng.randrange(6)
            if what < 3:
                ws.message(0.2)
            elif what == 3:
                ws.send(BINARY, rng.choice((numbered(1), b"", bytes(9000), rng.randbytes(60))))
            elif what == 4:
                ws.send(rng.choice((1, 9, 10)), bytes(rng.randrange(120)))
            else:
                time.sleep(0.05)
        if rng.random() < 0.4:
            ws.finish(timeout=2)
        elif rng.random() < 0.5:
            ws.wire.abort()
        else:
            ws.close()

    def break_frames(self, rng):
        ws = WebSocket(self.node.address, f"/connections/{IF_B}?deflate=1",
                       headers={"Sec-WebSocket-Extensions": "permessage-deflate"}, tls=self.tls,
                       key=self.keys["inject"], timeout=2)
        data = bytearray(b"".join(frame_bytes(rng.choice((0, 1, 2, 2, 8, 9, 10, 3)),
                                              rng.randbytes(rng.randrange(300)), fin=rng.random() < 0.7,
                                              rsv=rng.choice((0, 0, 0, 4, 1))) for _ in range(10)))
        for _ in range(rng.randrange(4)):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        ws.wire.send(bytes(data[:rng.randrange(1, len(data))]))
        ws.closed_by_peer(1)

    def break_requests(self, rng):
        wire = Wire(self.node.address, tls=self.tls, timeout=1)
        data = bytearray(request_bytes(self.node.address, rng.choice(("GET", "POST", "DELETE", "HEAD")),
                                       rng.choice(TARGETS), {"Authorization": f"Bearer {self.key(rng)}"}))
        for _ in range(rng.randrange(5)):
            at = rng.randrange(len(data))
            data[at:at + rng.randrange(3)] = rng.randbytes(rng.randrange(3))
        wire.send(bytes(data))
        if rng.random() < 0.7:
            wire.rest()
        wire.abort()

    def break_tls(self, rng):
        wire = Wire(self.node.address, timeout=1)
        wire.send(rng.choice((b"\x16\x03\x01\x00\xc8\x01", b"GET / HTTP/1.1\r\n\r\n", b"\x80")) +
                  rng.randbytes(rng.randrange(200)))
        if rng.random() < 0.5:
            wire.rest()
        wire.abort()

    def ask(self, rng):
        method = "POST" if rng.random() < 0.2 else "GET"
        self.node.http(method, rng.choice(TARGETS), key=self.key(rng), timeout=5)

    def follow_events(self, rng):
        wire = Wire(self.node.address, tls=self.tls, timeout=1)
        wire.send(request_bytes(self.node.address, "GET", "/api/v1/events",
                                {"Authorization": f"Bearer {self.keys['view']}",
                                 "Last-Event-ID": str(rng.randrange(100))}))
        for _ in range(rng.randrange(5)):
            wire.fill()
        wire.abort()

    def record(self, rng):
        answer = self.node.http("POST", "/api/v1/captures",
                                {"interfaces": [rng.choice((IF_B, "lo", "flap0"))],
                                 "max_packets": rng.randrange(1, 500)}, key=self.keys["capture"], timeout=10)
        time.sleep(rng.random())
        if answer.status == 201 and rng.random() < 0.7:
            self.node.http("DELETE", f"/api/v1/captures/{answer.json()['id']}",
                           key=self.keys["capture"], timeout=10)

    def feed(self, rng):
        ws = WebSocket(self.node.address, "/ingest", tls=self.tls, key=self.keys["ingest"], timeout=2)
        for _ in range(rng.randrange(1, 5)):
            ws.send(BINARY, rng.randbytes(rng.randrange(2000)))
        ws.closed_by_peer(1)

    def change_keys(self, rng):
        key = add_key(FOLDER, rng.choice(("view", "inject")))
        with WebSocket(self.node.address, f"/connections/{IF_B}", tls=self.tls, key=key,
                       timeout=2).wire.socket:
            command("keys", "revoke", key.split("_")[1], "--database", self.node.database)
            time.sleep(rng.random())

    def flap(self, rng):
        words = rng.choice((("link", "set", "flap0", "down"), ("link", "set", "flap0", "up"),
                            ("link", "del", "flap0"),
                            ("link", "add", "flap0", "type", "veth", "peer", "name", "flap1")))
        subprocess.run(["ip", *words], capture_output=True, check=False)
        time.sleep(0.1)

    def hang_up(self, rng):
        self.node.send_signal(signal.SIGHUP)
        time.sleep(rng.random())

    def traffic(self, rng):
        end = end_a()
        end.send(*(numbered(i, rng.randrange(60, 1500)) for i in range(200)))
        end.close()
        time.sleep(0.02)

    def run(self, action, number):
        rng = random.Random(f"{self.base} {action.__name__} {number}")
        count = 0
        while time.monotonic() < self.until and not self.node.has_ended():
            try:
                action(rng)
            except EXPECTED:
                pass
            except Exception as error:  # something that no answer of a node should cause
                self.surprises.append((action.__name__, repr(error)))
            count += 1
        with self.lock:
            self.done[action.__name__] = self.done.get(action.__name__, 0) + count


def main():
    tap = Checks()
    base = seed()
    certificate, key = Authority(os.path.join(FOLDER, "ca")).issue()
    tls = Authority(os.path.join(FOLDER, "ca2")).context()
    tls.check_hostname, tls.verify_mode = False, 0
    keys = {role: add_key(FOLDER, role) for role in ("view", "capture", "inject", "ingest", "admin")}
    with Node(FOLDER, "--allow-inject", "--ingest-record", "--tls-cert", certificate, "--tls-key", key,
              "--backlog", "8MiB", "--pcapng-listen", f"127.0.0.1:0={IF_B}",
              env={"ASAN_OPTIONS": "detect_leaks=1:exitcode=99:quarantine_size_mb=8", "UBSAN_OPTIONS": "halt_on_error=1"}) as node:
        node.tls = tls
        node.watch(IF_B, key=keys["view"]).finish()
        node.get("/api/v1/sessions", key=keys["view"])
        descriptors, memory = node.descriptors(), node.rss_bytes()
        torture = Torture(node, keys, base, tls)
        threads = [threading.Thread(target=torture.run, args=(action, i), daemon=True)
                   for action, n in ((torture.watch, 6), (torture.break_frames, 2), (torture.break_requests, 2),
                                     (torture.break_tls, 1), (torture.ask, 2), (torture.follow_events, 1),
                                     (torture.record, 2), (torture.feed, 1), (torture.change_keys, 1),
                                     (torture.flap, 1), (torture.hang_up, 1), (torture.traffic, 1))
                   for i in range(n)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(SECONDS + 30)
        print(f"# {torture.done}", flush=True)
        tap.equal("every part of it ran to its end", [], [x for x in threads if x.is_alive()])
        tap.check("each part did something", len(torture.done) == 12 and min(torture.done.values()) > 0,
                  torture.done)
        tap.equal("no answer was one that a client cannot read", [], torture.surprises[:10])
        if not tap.check("the node is alive", not node.has_ended(), node.said()[-6000:]):
            finish(tap)
        tap.check("and answers", node.get("/", timeout=5).status == 200)
        for capture in node.get("/api/v1/captures", key=keys["view"]).json():
            node.http("DELETE", f"/api/v1/captures/{capture['id']}", key=keys["capture"])
        # The last streams linger for 30 s.
        tap.eventually("its descriptors are those of the start", lambda: node.descriptors() <= descriptors + 2,
                       60, lambda: f"{descriptors} before, {node.descriptors()} now")
        tap.eventually("its memory is back", lambda: node.rss_bytes() - memory < 96 << 20, 10,
                       lambda: f"{memory >> 20} MiB before, {node.rss_bytes() >> 20} now")
        print(f"# rss {memory >> 20} MiB before, {node.rss_bytes() >> 20} MiB after", flush=True)
        code, took = node.stop()
        said = node.said()
        tap.check("SIGTERM: exit 0", code == 0 and took < 15, code, took, said[-6000:])
        tap.check("the sanitizers have nothing to say", "ERROR: " not in said and "runtime error" not in said,
                  said[-6000:])
    code, out, err = command("verify", "--database", node.database)
    tap.check("the store is sound", code == 0, out[-1500:], err[-500:])
    finish(tap)


main()
