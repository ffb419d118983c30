# SPDX-License-Identifier: Apache-2.0
"""Who may do what over HTTP: keys and their roles, expiry, revocation, tickets for browsers; and the
events that a node tells. Driven by tests/system/http_acceptance.sh."""
import json
import os
import subprocess
import sys
import time

import ws_raw
from node_process import IF_B, Checks, Node, add_key, command, end_a, numbered
from recorder import finish
from ws_raw import Refused, WebSocket, get

FOLDER = os.path.join(sys.argv[1], "access")
WATCH = f"/connections/{IF_B}"
ROLES = ("view", "capture", "inject", "ingest", "admin")
node = None
keys = {}


def watch_status(target=WATCH, **more):
    """(status of an upgrade, answer or None)"""
    try:
        WebSocket(node.address, target, **more).close()
    except Refused as error:
        return error.answer.status, error.answer
    return 101, None


def test_keys_command(t):
    code, out, err = command("keys", "add", "--role", "view", "--database", node.database)
    t.check("keys add prints one line pr_ID_SECRET and nothing else", code == 0 and
            len(out.splitlines()) == 1 and out.startswith("pr_") and len(out.strip().split("_", 2)) == 3,
            code, out, err)
    code, listed, err = command("keys", "list", "--database", node.database)
    identity, secret = out.strip().split("_", 2)[1:]
    t.check("keys list shows the id and the role, never the secret", code == 0 and
            identity in listed and "view" in listed and secret not in listed + err, listed, err)
    code, text, _ = command("keys", "list", "--json", "--database", node.database)
    t.check("keys list --json is an array", code == 0 and isinstance(json.loads(text), list) and
            secret not in text, text)
    kept = os.path.join(node.database + ".d", "api-keys")
    with open(kept, encoding="ascii") as file:
        stored = file.read()
    t.check("the file of keys is the owner's alone and holds no secret",
            os.stat(kept).st_mode & 0o777 == 0o600 and secret not in stored, stored)
    code, out, err = command("keys", "add", "--role", "emperor", "--database", node.database)
    t.check("an unknown role is a wrong usage", code == 2 and out == "" and "emperor" in err, err)
    code, out, err = command("keys", "revoke", "nosuchid", "--database", node.database)
    t.check("revoking a key that is none fails and says where they are listed",
            code == 1 and "keys list" in err, code, err)


def test_no_key(t):
    t.check("GET / needs no key", node.get("/").status == 200)
    t.check("/health needs no key", node.get("/health").status in (200, 503))
    for target in ("/interfaces", "/metrics", "/api/v1/sessions", "/api/v1/stats", "/openapi.json"):
        answer = node.get(target)
        t.check(f"{target} without a key: 401", answer.problem(401) and
                answer.headers.get("www-authenticate", "").startswith("Bearer"), answer)
    status, answer = watch_status()
    t.check("watching without a key: 401 before the upgrade", status == 401 and answer.problem(401),
            answer)
    identity, secret = keys["view"].split("_", 2)[1:]
    for name, text in (("another secret", f"pr_{identity}_{'A' * len(secret)}"),
                       ("another id", f"pr_{'A' * len(identity)}_{secret}"),
                       ("a secret cut short", keys["view"][:-1]), ("more behind it", keys["view"] + "A"),
                       ("nothing", ""), ("noise", "\x80\xff"), ("a long one", "A" * 4000)):
        answer = get(node.address, "/interfaces", headers={"Authorization": f"Bearer {text}"})
        t.check(f"a key with {name}: 401", answer.problem(401), answer)
        t.check(f"a key with {name} is not told back", not text or text not in answer.text())
    answer = get(node.address, "/interfaces", headers={"Authorization": f"Basic {keys['view']}"})
    t.check("another scheme: 401", answer.problem(401), answer)
    answer = get(node.address, "/interfaces", headers={"Authorization": f"bearer {keys['view']}"})
    t.check("the scheme's case does not matter (RFC 9110 section 11.1)", answer.status == 200, answer)
    answer = get(node.address, f"/interfaces?api_key={keys['view']}")
    t.check("a key in a URL does not work", answer.status == 401, answer)


def test_roles(t):
    allowed = {"/interfaces": {"view", "capture", "inject", "admin"},
               "/metrics": {"view", "capture", "inject", "admin"},
               "/api/v1/sessions": {"view", "capture", "inject", "admin"}}
    for target, roles in allowed.items():
        for role in ROLES:
            status = node.get(target, key=keys[role]).status
            t.equal(f"role {role}: {target}", 200 if role in roles else 403, status)
    for role in ROLES:
        status, answer = watch_status(key=keys[role])
        t.equal(f"role {role}: watch", 403 if role == "ingest" else 101, status)
        if role == "ingest":
            t.check("403 is a problem document", answer.problem(403), answer)
    for role in ROLES:
        answer = node.http("POST", "/api/v1/captures", {"interfaces": [IF_B], "max_packets": 1},
                           key=keys[role])
        wanted = 201 if role in ("capture", "admin") else 403
        t.equal(f"role {role}: start a capture", wanted, answer.status)
        if answer.status == 201:
            identity = answer.json()["id"]
            refused = node.http("DELETE", f"/api/v1/captures/{identity}", key=keys["view"])
            t.check(f"role view cannot stop what role {role} started", refused.problem(403), refused)
            pulled = node.get(f"/api/v1/sessions/{identity}/pcap", key=keys["view"])
            t.check("role view does not pull files", pulled.problem(403), pulled)
            node.http("DELETE", f"/api/v1/captures/{identity}", key=keys[role])
            pulled = node.get(f"/api/v1/sessions/{identity}/pcap", key=keys[role])
            t.equal(f"role {role}: pull the file", 200, pulled.status)
    for role in ROLES:
        status, _ = watch_status("/ingest", key=keys[role])
        t.check(f"role {role}: feed an uplink", (status == 403) ==
                (role not in ("ingest", "admin")), status)


def test_expiry(t):
    short = add_key(FOLDER, "view", "--expires", "2s")
    t.eventually("a new key is in force within a second or so",
                 lambda: node.get("/interfaces", key=short).status == 200, 3)
    watcher = WebSocket(node.address, WATCH, key=short)
    t.eventually("after its expiry: 401", lambda: node.get("/interfaces", key=short).problem(401), 6)
    code, reason = watcher.closed_by_peer(6)
    t.check("its running connection is closed with 1008 and a reason", code == 1008 and reason,
            code, reason)


def test_revocation(t):
    doomed = add_key(FOLDER, "view")
    t.eventually("the key works", lambda: node.get("/interfaces", key=doomed).status == 200, 3)
    watcher = WebSocket(node.address, WATCH, key=doomed)
    other = WebSocket(node.address, WATCH, key=keys["view"])
    code, _, err = command("keys", "revoke", doomed.split("_")[1], "--database", node.database)
    t.check("keys revoke", code == 0, err)
    code, reason = watcher.closed_by_peer(6)
    t.check("the running connection of a revoked key is closed with 1008", code == 1008 and reason,
            code, reason)
    t.check("a revoked key: 401", node.get("/interfaces", key=doomed).problem(401))
    t.check("the connections of others stay", other.is_alive())
    other.close()


def test_ticket(t):
    answer = node.http("POST", "/api/v1/ticket", key=keys["view"])
    t.check("POST /api/v1/ticket gives a ticket", answer.status in (200, 201) and
            len(answer.json().get("ticket", "")) >= 20, answer)
    ticket = answer.json()["ticket"]
    t.check("nobody keeps a ticket", "no-store" in answer.headers.get("cache-control", ""),
            answer.headers)
    t.equal("without a key there is none", 401, node.http("POST", "/api/v1/ticket").status)
    answer = get(node.address, f"/api/v1/sessions?ticket={ticket}")
    t.equal("a ticket opens no plain route", 401, answer.status)
    origin = f"http://127.0.0.1:{node.address[1]}"
    status, answer = watch_status(f"{WATCH}?ticket={ticket}", headers={"Origin": origin})
    t.check("a ticket opens a WebSocket", status == 101, answer)
    status, answer = watch_status(f"{WATCH}?ticket={ticket}", headers={"Origin": origin})
    t.check("once: then it is 401", status == 401 and answer.problem(401), answer)
    ticket = node.http("POST", "/api/v1/ticket", key=keys["view"]).json()["ticket"]
    status, _ = watch_status(f"/ingest?ticket={ticket}")
    t.check("a ticket has the rights of its key and no more", status in (401, 403), status)
    status, _ = watch_status(f"{WATCH}?ticket={'A' * 43}")
    t.equal("a made-up ticket: 401", 401, status)
    made = [node.http("POST", "/api/v1/ticket", key=keys["view"]).json().get("ticket")
            for _ in range(50)]
    t.equal("tickets differ", 50, len(set(made)))


class Events:
    """A client of Server-Sent Events (the HTML standard, section 9.2)."""

    def __init__(self, last=None, key=None):
        self.wire = ws_raw.Wire(node.address)
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {key}" if key else None}
        if last is not None:
            headers["Last-Event-ID"] = last
        self.wire.send(ws_raw.request_bytes(node.address, "GET", "/api/v1/events", headers))
        self.status, _, self.headers = ws_raw.read_head(self.wire)
        self.text = b""

    def piece(self):
        if self.headers.get("transfer-encoding") != "chunked":
            self.wire.fill()
            return self.wire.take(len(self.wire.buffer))
        n = int(self.wire.take_until(b"\r\n"), 16)
        data = self.wire.take(n)
        self.wire.take(2)
        if n == 0:
            raise ws_raw.Closed("the stream ended")
        return data

    def until(self, kind, seconds=5):
        """[(id, kind, data)…] up to the first event of that kind."""
        found, deadline = [], time.monotonic() + seconds
        while True:
            while b"\n\n" in self.text:
                block, self.text = self.text.split(b"\n\n", 1)
                fields = {}
                for line in block.decode().split("\n"):
                    name, _, value = line.partition(":")
                    if name:
                        fields[name] = value.removeprefix(" ")
                if "data" in fields:
                    found.append((fields.get("id"), fields.get("event"), json.loads(fields["data"])))
                    if found[-1][1] == kind:
                        return found
            self.wire.socket.settimeout(max(deadline - time.monotonic(), 0.001))
            self.text += self.piece()


def test_events(t):
    events = Events(key=keys["view"])
    t.check("/api/v1/events is an event stream", events.status == 200 and
            events.headers.get("content-type", "").startswith("text/event-stream") and
            "no-cache" in events.headers.get("cache-control", "") + " " +
            ("no-cache" if "no-store" in events.headers.get("cache-control", "") else ""),
            events.headers)
    t.check("without a key there are no events", Events().status == 401)
    watcher = WebSocket(node.address, WATCH, key=keys["view"])
    joined = events.until("viewer.joined")[-1]
    t.check("a viewer that joins is an event with an id", joined[0] and joined[0].isdigit(), joined)
    watcher.finish()
    left = events.until("viewer.left")[-1]
    t.check("ids grow", int(left[0]) > int(joined[0]), joined, left)
    events.wire.close()
    identity = node.http("POST", "/api/v1/captures", {"interfaces": [IF_B], "max_packets": 1,
                                                      "filter": "ether proto 0x88b5"},
                         key=keys["capture"]).json()["id"]
    end_a().send(numbered(1))
    t.eventually("the capture ends", lambda: node.get(f"/api/v1/sessions/{identity}",
                                                      key=keys["view"]).json()["state"] == "complete")
    again = Events(last=joined[0], key=keys["view"])
    replayed = again.until("capture.ended")
    t.check("after a reconnect with Last-Event-ID nothing is missing and nothing comes twice",
            [e[0] for e in replayed] == [str(int(joined[0]) + 1 + i) for i in range(len(replayed))] and
            "capture.started" in [e[1] for e in replayed] and replayed[0] == left, replayed)
    t.check("an event of a capture names it", identity in json.dumps(replayed[-1][2]), replayed[-1])
    again.wire.close()
    strange = Events(last="no number", key=keys["view"])
    t.check("a Last-Event-ID that is none does no harm", strange.status in (200, 400), strange.status)
    strange.wire.close()


def test_log(t):
    secrets = [key.split("_", 2)[2] for key in keys.values()]
    t.check("no secret is in the log", not [s for s in secrets if s in node.said()])
    answer = subprocess.run(["tr", "\\0", " "], stdin=open(f"/proc/{node.pid}/cmdline", "rb"),
                            capture_output=True, check=True).stdout.decode()
    t.check("and none on the command line", not [s for s in secrets if s in answer])


def main():
    global node
    os.makedirs(FOLDER, exist_ok=True)
    tap = Checks()
    for role in ROLES:
        keys[role] = add_key(FOLDER, role)
    with Node(FOLDER) as node:
        tap.run([test_keys_command, test_no_key, test_roles, test_expiry, test_revocation,
                 test_ticket, test_events, test_log])
        tap.check("the node is alive at the end", not node.has_ended(), node.said())
    finish(tap)


main()
