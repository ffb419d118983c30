# SPDX-License-Identifier: Apache-2.0
"""Sessions of a real node over its UNIX socket: captures, pages of packets, and reading in chunks
against what `packetrecorder export` writes. Driven by tests/system/rpc_sessions.sh."""
import os
import random
import subprocess
import sys
import threading
import time

from node_process import BIN, IF_B, Checks, Node, end_a, numbered
from recorder import finish, wait_for
from rpc_client import Client, Failed

FOLDER = os.path.join(sys.argv[1], "sessions")
SOCKET = os.path.join(FOLDER, "rpc.sock")
PACKETS = 20000
FILTERS = [None, "len > 700", "ether[22] = 7"]
node = None


def start():
    global node
    node = Node(FOLDER, "--rpc-addr", "127.0.0.1:0", "--rpc-socket", SOCKET)


def client():
    return Client(SOCKET, timeout=30)


def refused(c, method, **args):
    """(code, message) of the error; (None, result) when there was none."""
    try:
        return None, c.call(method, **args)
    except Failed as error:
        return error.code, error.message


def given(args):
    return {name: value for name, value in args.items() if value is not None}


def export(session, *more, end="pcapng"):
    p = subprocess.run([BIN, "export", "-d", node.database, "-s", session, "-o", "-", "--format",
                        end, *more], capture_output=True, check=False, timeout=60)
    return p.stdout


def chunks(c, session, cursor=None, **args):
    """Results of session.read, to the end."""
    while True:
        result = c.call("session.read", session_id=session, **given({**args, "cursor": cursor}))
        yield result
        cursor = result["next"]
        if cursor is None:
            return


def crc32c(data):
    total = 0xFFFFFFFF
    for byte in data:
        total ^= byte
        for _ in range(8):
            total = total >> 1 ^ (0x82F63B78 if total & 1 else 0)
    return total ^ 0xFFFFFFFF


def record(c, name, n, size=lambda i: 60 + i % 1400, **more):
    session = c.call("capture.start", interface=IF_B, name=name, filter="ether proto 0x88b5",
                     **more)["id"]
    wire = end_a()
    for i in range(n):
        wire.send(numbered(i, size(i)))
        if i % 500 == 0:
            time.sleep(0.005)
    wire.close()
    wait_for(10, lambda: c.call("capture.stats", session_id=session)["packets"] >= n)
    return session


def test_capture(t):
    with client() as c:
        t.equal("there is no store yet, and that is no error", [], c.call("session.list"))
        session = record(c, "dns", PACKETS, tags={"site": "north"}, duration="10m")
        running = c.call("capture.list")
        t.equal("a capture that runs is listed", [session], [one["id"] for one in running])
        t.equal("it cannot be deleted", "in_use", refused(c, "session.delete", session_id="dns")[0])
        t.equal("nor pruned", 0, c.call("session.prune", max_bytes=1)["sessions"])
        t.equal("without a rule nothing is", "usage", refused(c, "session.prune")[0])
        part = b"".join(r["data"] for r in chunks(c, "dns"))
        t.check("what is durable of it can be read", len(part) > 1000 and part[:4] == b"\n\r\r\n")
        ended = c.call("capture.stop", session_id="dns")
        t.equal("it ends with every packet", (PACKETS, "complete", {"site": "north"}),
                (ended["packets"], ended["state"], ended["tags"]))
        t.equal("an ended one is shown as its session", ended,
                c.call("capture.stats", session_id=session))
        t.equal("and can be stopped again by its id", ended,
                c.call("capture.stop", session_id=session))
        t.equal("by its name it is no capture any more", "not_found",
                refused(c, "capture.stop", session_id="dns")[0])
        t.equal("it is in the list", [session], [s["id"] for s in c.call("session.list")])
        for args in ({}, {"interface": "no-such"}, {"interface": IF_B, "interfaces": [IF_B]},
                     {"interface": IF_B, "filter": "udp udp"}, {"interface": IF_B, "snaplen": -1}):
            t.check(f"no capture of {args}", refused(c, "capture.start", **args)[0] in
                    ("usage", "not_found", "filter"))


def test_query(t):
    with client() as c:
        found, cursor, pages = [], None, 0
        while True:
            page = c.call("session.query", session_id="dns",
                          **given({"limit": 7000, "cursor": cursor}))
            found += [p["number"] for p in page["packets"]]
            pages += 1
            cursor = page["next"]
            if cursor is None:
                break
        t.equal("pages give each packet once, in order", list(range(1, PACKETS + 1)), found)
        t.check("in several pages", pages >= 3)
        over_http = node.get("/api/v1/sessions/dns/packets?limit=50&data=1").json()
        t.equal("a page is what HTTP gives", over_http,
                c.call("session.query", session_id="dns", limit=50, data=True))


def test_chunks_are_the_export(t):
    with client() as c:
        for wanted in FILTERS:
            for form in ("pcapng", "pcap"):
                file = export("dns", *(["-f", wanted] if wanted else []), end=form)
                for size in (4096, 100001, 4 << 20):
                    if len(file) // size > 500:
                        continue
                    got = list(chunks(c, "dns", filter=wanted, format=form, max_bytes=size))
                    t.check(f"{form}, {wanted}, by {size}: the bytes of the export",
                            b"".join(r["data"] for r in got) == file,
                            len(file), sum(len(r["data"]) for r in got))
                    t.check("  each within its bound, in its place",
                            all(len(r["data"]) <= size for r in got) and
                            [r["offset"] for r in got] ==
                            [sum(len(x["data"]) for x in got[:i]) for i in range(len(got))])
        one = next(chunks(c, "dns", max_bytes=20000))
        t.equal("the checksum is the CRC-32C of the chunk", crc32c(one["data"]), one["checksum"])
        last = list(chunks(c, "dns"))[-1]
        t.equal("the packets are counted", (PACKETS, 0, 0),
                (last["packets"], last["missing"], last["left_out"]))


def test_any_chunk_from_any_connection(t):
    file = export("dns")
    with client() as c:
        marks = [(r["offset"] + len(r["data"]), r["next"]) for r in
                 chunks(c, "dns", max_bytes=500000)]
    rng = random.Random(3)
    good = True
    for _ in range(30):
        at, cursor = rng.choice(marks[:-1])
        with client() as c:
            n = rng.choice([4096, 70000, 1 << 20])
            r = c.call("session.read", session_id="last", cursor=cursor, max_bytes=n)
            good = good and r["offset"] == at and r["data"] == file[at:at + len(r["data"])] and \
                len(r["data"]) > 0
    t.check("a cursor is good on any connection, at any time, for any size", good)


def test_resume_after_kill(t):
    for wanted in FILTERS:
        file = export("dns", *(["-f", wanted] if wanted else []))
        got, cursor, kills = b"", None, 0
        while True:
            c = client()
            for _ in range(3):
                r = c.call("session.read", session_id="dns",
                           **given({"filter": wanted, "cursor": cursor,
                                    "max_bytes": max(4096, len(file) // 11)}))
                got += r["data"]
                cursor = r["next"]
                if cursor is None:
                    break
            if cursor is None:
                break
            kills += 1
            node.kill()
            c.close()
            start()
        c.close()
        t.check(f"{wanted}: {kills} times killed, and the bytes are those of one reading",
                got == file and kills >= 2, len(got), len(file))


def test_hostile(t):
    with client() as c:
        whole = c.call("session.read", session_id="dns", max_bytes=100000)["next"]
        filtered = c.call("session.read", session_id="dns", filter="len > 700",
                          max_bytes=100000)["next"]
        rng = random.Random(5)
        bad = ["", "x", whole[:-1], whole + "0", whole[:50], "0" * len(whole), "ä" * 100,
               "ff" * 2000, whole.replace("0", "g"), "\0" + whole[1:]]
        for _ in range(50):
            at = rng.randrange(len(whole))
            bad.append(whole[:at] + rng.choice("0123456789abcdef") + whole[at + 1:])
        codes = {refused(c, "session.read", session_id="dns", cursor=b)[0]
                 for b in bad if b != whole}
        t.equal("cursors that were never given out are refused", {"usage"}, codes)
        for name, args in {"another filter": {"cursor": whole, "filter": "udp"},
                           "no filter": {"cursor": filtered},
                           "another format": {"cursor": whole, "format": "pcap"},
                           "no bytes": {"max_bytes": 0}, "few bytes": {"max_bytes": 4095},
                           "many bytes": {"max_bytes": (4 << 20) + 1},
                           "no size": {"max_bytes": "much"}, "no format": {"format": "csv"},
                           "no time": {"from": "yesterday"}, "an unknown one": {"fast": True},
                           "a number": {"cursor": 7}, "an array": {"filter": ["udp"]}}.items():
            t.equal(f"refused: {name}", "usage",
                    refused(c, "session.read", session_id="dns", **args)[0])
        for wanted in ("udp udp", "host " + "a" * 2000, "port 1" + " or port 1" * 200):
            t.equal(f"refused: the filter {wanted[:20]}", "filter",
                    refused(c, "session.read", session_id="dns", filter=wanted)[0])
        other = record(c, "other", 100, tags={"site": "south"})
        c.call("capture.stop", session_id="other")
        t.equal("refused: a cursor of another session", "usage",
                refused(c, "session.read", session_id=other, cursor=whole)[0])
        t.equal("refused: no such session", "not_found",
                refused(c, "session.read", session_id="nowhere-to-be-found")[0])
        t.check("and the node goes on", len(c.call("session.list")) == 2)


def test_bounds(t):
    def one(i):
        with client() as c:
            try:
                c.call("session.read", session_id="dns", max_bytes=4096, filter=f"len > {i}")
                done.append("ok")
                wait_for(20, release.is_set)
            except Failed as error:
                done.append(error.code)

    done, release = [], threading.Event()
    threads = [threading.Thread(target=one, args=(i,)) for i in range(24)]
    for thread in threads:
        thread.start()
    t.eventually("24 readers at once are all answered", lambda: len(done) == 24, 20, lambda: done)
    t.check("with a chunk, or with `limit`", set(done) <= {"ok", "limit"} and "ok" in done, done)
    t.check("no more than 8 are open", node.metric("packetrecorder_readings") <= 8)
    ninth = subprocess.Popen([BIN, "manage", "--endpoint", f"unix:{SOCKET}", "--quiet",
                              "download-pcap", "-s", "dns", "-o", "-"],
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    release.set()
    got, said = ninth.communicate(timeout=60)
    t.check("a download waits until there is room", ninth.returncode == 0 and
            got == export("dns"), ninth.returncode, said)
    for thread in threads:
        thread.join()
    t.eventually("what nobody asks for is closed", lambda:
                 node.metric("packetrecorder_readings") == 0, 15)
    t.check("and counted", node.metric("packetrecorder_readings_ended_total") > 0)
    with client() as c:
        c.begin("session.read", {"session_id": "dns"})
        c.begin("session.read", {"session_id": "dns", "filter": "len > 800"})
    with client() as c:
        t.check("a client that goes before the answer does no harm",
                len(b"".join(r["data"] for r in chunks(c, "dns"))) == len(export("dns")))


def test_delete_while_reading(t):
    with client() as c:
        reading = chunks(c, "dns", max_bytes=100000)
        next(reading)
        next(reading)
        deleted = c.call("session.delete", session_id="dns")
        t.check("a session is deleted while it is read", len(deleted["id"]) == 36)
        try:
            results = list(reading)
            ended = "ok" if results[-1]["missing"] == 0 else "short"
        except Failed as error:
            ended = error.code
        t.check("the reading ends with all of it, or says that it is gone",
                ended in ("ok", "not_found"), ended)
        t.equal("a new one finds nothing", "not_found",
                refused(c, "session.read", session_id=deleted["id"])[0])
        t.equal("the other session is there", ["other"],
                [s["name"] for s in c.call("session.list")])
        t.equal("deleted is deleted", "not_found",
                refused(c, "session.delete", session_id=deleted["id"])[0])
        t.equal("what is younger, or has the tag, is not pruned", [0, 0],
                [c.call("session.prune", max_age="1h")["sessions"],
                 c.call("session.prune", max_bytes=1, keep_tags=["none", "site"])["sessions"]])


def test_end(t):
    with client() as c:
        c.call("session.read", session_id="other", max_bytes=4096)
        code, took = node.stop()
        t.check("SIGTERM with an open reading ends within five seconds", code == 0 and took < 5,
                code, took, node.said())


def main():
    os.makedirs(FOLDER)
    tap = Checks()
    start()
    with node:
        tap.run([test_capture, test_query, test_chunks_are_the_export,
                 test_any_chunk_from_any_connection, test_resume_after_kill, test_hostile,
                 test_bounds, test_delete_while_reading, test_end])
    node.kill()
    finish(tap)


main()
