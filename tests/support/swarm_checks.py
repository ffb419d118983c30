# SPDX-License-Identifier: Apache-2.0
"""swarm_checks.py SCRATCH: a swarm of real nodes, each in its own network namespace, and what may
happen to it. Driven by tests/system/swarm_life.sh and swarm_trouble.sh, which name the part."""
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

from recorder import Tap
from swarm_lab import Lab, make_key, seconds, wait_for

tap = Tap()
SCRATCH, PART = sys.argv[1], sys.argv[2]
LONG = os.environ.get("PR_LONG") == "1"


def everywhere(nodes, name, state, seconds=15):
    return wait_for(seconds, lambda: all(n.sees(name, state) for n in nodes))


def deaths(nodes, since):
    """Whoever was called dead after `since`, by anybody. A mere suspicion is told: on a machine whose
    processors are all busy a node may well be late for once, and is asked again."""
    told = [(n.name, kind, data.get("member")) for n in nodes for when, kind, data in n.events()
            if when > since and kind in ("member.dead", "member.suspect")]
    for name, _, member in [one for one in told if one[1] == "member.suspect"]:
        print(f"# {name} suspected {member}")
    return [one for one in told if one[1] == "member.dead"]


def doctor(node):
    """What it says of itself: {name of the check: (ok, detail)}."""
    done = subprocess.run([os.environ["PR_BIN"], "manage", "--endpoint", f"unix:{node.folder}/rpc.sock",
                           "doctor", "--json"], capture_output=True, text=True, timeout=20)
    return {c["check"]: (c["state"] != "problem", c["text"]) for c in json.loads(done.stdout or "[]")}


def same_in_metrics(node):
    """Of the members, name, id, address, state, since, version, clock, load and keys are on /metrics too."""
    page = node.get("/metrics") or ""
    found = {}
    for family, labels, value in re.findall(r"^packetrecorder_swarm_member_(\w+)\{(.*)\} (\S+)$", page, re.M):
        labels = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        found.setdefault(labels["id"], {})[family] = (labels, float(value))
    members = node.members().values()
    return len(found) == len(members) and all(
        found[m["id"]]["info"][0] == {"id": m["id"], "name": m["name"], "address": m["address"], "site": "",
                                      "version": m["version"], "keys": ",".join(m["keys"])} and
        found[m["id"]]["state"] == ({"id": m["id"], "name": m["name"], "state": m["state"]}, 1) and
        abs(found[m["id"]]["since_timestamp_seconds"][1] - seconds(m["since"])) < 0.01 and
        0 <= found[m["id"]]["load_percent"][1] <= 100 and
        m["offset_ns"] is not None and abs(found[m["id"]]["clock_offset_seconds"][1]) < 1 and
        found[m["id"]]["clock_bound_seconds"][1] >= 0 for m in members)


# ---- life ----

def come_and_go(lab):
    n = 6
    tap.check("six nodes that know one of them find all", lab.start(n))
    nodes = lab.nodes[:n]
    found = doctor(nodes[0])
    tap.check("the doctor of one is content with the swarm",
              {"swarm", "gossip", "cluster-key", "clock"} <= set(found) and
              all(found[name][0] for name in ("swarm", "gossip", "cluster-key")) and
              found["swarm"][1] == "6 members: 6 alive", found)
    tap.check("its /metrics has what its list of members has", wait_for(10, same_in_metrics, nodes[0]),
              nodes[0].get("/metrics"))
    nodes[5].kill()
    killed = time.time()
    tap.check("who is killed is dead everywhere", everywhere(nodes[:5], "n5", "dead"))
    took = [when - killed for node in nodes[:5] for when, kind, data in node.events()
            if kind == "member.dead" and data["member"] == "n5"]
    tap.check("as each of them says", len(took) == 5)
    print(f"# within {max(took):.2f} s")
    since = time.time()
    nodes[4].kill(signal.SIGTERM)
    tap.check("who is ended has left", everywhere(nodes[:4], "n4", "left"))
    tap.check("and is never called dead", not deaths(nodes[:4], since))
    ident = nodes[0].members()["n5"]["id"]
    nodes[5].start(join=[lab.places[0].ip])
    tap.check("with its state it is back as itself", everywhere(nodes[:4], "n5", "alive"))
    tap.check("under the same id", nodes[0].members()["n5"]["id"] == ident)
    shutil.rmtree(nodes[4].state)
    old = nodes[0].members()["n4"]["id"]
    nodes[4].start(join=[lab.places[1].ip])
    tap.check("without its state it is another member", wait_for(
        15, lambda: any(m["name"] == "n4" and m["state"] == "alive" and m["id"] != old
                        for m in json.loads(nodes[0].get("/api/v1/members")))))


def move(lab):
    node, others = lab.nodes[3], lab.nodes[:3]
    place = node.place
    place.ip_command("addr", "del", f"{place.ip}/16", "dev", "eth0")
    place.ip = "10.88.99.99"
    place.ip_command("addr", "add", f"{place.ip}/16", "dev", "eth0")
    since = time.time()
    ok = wait_for(15, lambda: all(o.members().get("n3", {}).get("address") == "10.88.99.99:7946" and
                                  o.sees("n3", "alive") for o in others))
    tap.check("a node whose address changes is found at the new one", ok)
    print(f"# after {time.time() - since:.1f} s")


def rotate(lab):
    node = lab.nodes[0]
    new = make_key(f"{SCRATCH}/key.new", of=lab.key)

    def manage(*words):
        return subprocess.run([os.environ["PR_BIN"], "manage", "--endpoint",
                               f"unix:{node.folder}/rpc.sock", "cluster-keys", *words, "--json"],
                              capture_output=True, text=True, timeout=20)
    if "cluster-keys" not in subprocess.run([os.environ["PR_BIN"], "manage", "--help"],
                                            capture_output=True, text=True).stdout:
        print("skip - a key is changed while the swarm runs # no 'manage cluster-keys' here")
        return
    since = time.time()
    tap.check("a key is added", manage("add", new).returncode == 0)

    def ring():
        return {k["state"]: k for k in json.loads(manage("list").stdout)}
    tap.check("all come to hold it", wait_for(
        10, lambda: not ring().get("installed", {"lacking": [1]})["lacking"]))
    done = manage("use", ring()["installed"]["key_id"])
    tap.check("then it is used", done.returncode == 0 and ring()["active"]["held_by"] >= 4)
    done = manage("retire", ring()["installed"]["key_id"])
    tap.check("and the old one retired", done.returncode == 0 and "retiring" in ring())
    time.sleep(2)
    live = [n for n in lab.nodes if n.process.poll() is None]
    tap.check("nobody was doubted meanwhile", not deaths(live, since))


def program(*words, **more):
    return subprocess.run([os.environ["PR_BIN"], *words], capture_output=True, text=True, timeout=20,
                          **more)


def make_admin_key(path, of):
    os.umask(0o077)
    with open(path, "w", encoding="ascii") as file:
        subprocess.run([os.environ["PR_BIN"], "keys", "admin-new", "--of", of], stdout=file, check=True)
    return program("keys", "admin-public", "--of", path).stdout.strip()


def order(node, *words):
    return program("manage", "--endpoint", f"unix:{node.folder}/rpc.sock", "members", *words)


def obey(lab):
    """Orders, where one person gives them: nobody else may, and they outlive the whole swarm."""
    public = make_admin_key(f"{SCRATCH}/admin.key", lab.key)
    make_admin_key(f"{SCRATCH}/other.key", lab.key)
    key = ["--admin-key-file", f"{SCRATCH}/admin.key"]
    a, b, c = nodes = [lab.node(i, state=f"{SCRATCH}/obey-{i}") for i in range(3)]
    for node in nodes:
        node.start("--swarm-admin", public, join=[lab.places[0].ip] if node is not a else [])
    tap.check("three nodes obey an admin", wait_for(15, lambda: all(n.n_alive() == 3 for n in nodes)))
    done = order(a, "ban", "n2")
    tap.check("a member alone bans nobody", done.returncode == 1 and "--admin-key-file" in done.stderr,
              done.returncode, done.stderr)
    done = order(a, "ban", "n2", "--admin-key-file", f"{SCRATCH}/other.key")
    tap.check("nor does another admin", done.returncode == 1, done.stderr)
    done = order(a, "forget", "n2", *key)
    tap.check("the living are not forgotten, by nobody's key", "lives" in done.stderr, done.stderr)
    done = order(a, "ban", "n2", *key)
    tap.check("the admin does", done.returncode == 0, done.stderr)
    ident = a.members()["n2"]["id"]
    tap.check("and all obey", wait_for(10, lambda: all(
        n.members()["n2"]["banned"] and n.members()["n2"]["state"] == "dead" for n in (a, b))))
    new = make_key(f"{SCRATCH}/key.after-ban", of=lab.key)
    ring = program("manage", "--endpoint", f"unix:{a.folder}/rpc.sock", "cluster-keys", "add", new)
    tap.check("a new key of the cluster goes to the others", ring.returncode == 0 and wait_for(
        10, lambda: len(b.members()["n1"]["keys"]) == 2), ring.stderr)
    for node in nodes:
        node.kill(signal.SIGTERM)
    for node in nodes:
        node.start("--swarm-admin", public, join=[lab.places[0].ip] if node is not a else [])
    tap.check("all are started anew, and it stays out", wait_for(
        15, lambda: a.sees("n1", "alive") and b.sees("n0", "alive") and
        "is banned" in c.said()), c.said()[-500:])
    tap.check("with the old key alone", len(c.members()["n2"]["keys"]) == 1 and
              not a.sees("n2", "alive") and not b.sees("n2", "alive"))
    done = order(b, "unban", ident, *key)
    tap.check("until the admin lifts the ban", done.returncode == 0 and wait_for(
        30, lambda: all(n.n_alive() == 3 for n in nodes)), done.stderr)
    for node in nodes:
        node.kill()


def life():
    with Lab(SCRATCH, 6) as lab:
        obey(lab)
        for i in range(3):
            shutil.rmtree(lab.nodes.pop().folder)
        come_and_go(lab)
        rotate(lab)
        move(lab)


# ---- trouble ----

def both_families(lab):
    a, b = lab.node(0).start(), lab.node(1)
    b.start(join=[f"[{lab.places[0].ip6}]"])
    tap.check("two nodes find each other over IPv6",
              wait_for(10, lambda: a.sees("n1", "alive") and b.sees("n0", "alive")))
    tap.check("and stay there", b.members()["n1"]["address"].startswith("[fd88::"))
    for node in (a, b):
        node.kill()


def small_packets(lab):
    for i in (0, 1):
        lab.places[i].ip_command("link", "set", "eth0", "mtu", "1280")
    lab.batch(lab.outer, [f"link set {lab.places[i].iface} mtu 1280" for i in (0, 1)])
    nodes = [lab.node(i).start(join=[f"[{lab.places[0].ip6}]"] if i else []) for i in (0, 1)]
    tap.check("packets of 1,280 bytes are enough",
              wait_for(10, lambda: all(n.n_alive() == 2 for n in nodes)))

    def manage(*words):
        done = program("manage", "--endpoint", f"unix:{nodes[0].folder}/rpc.sock", *words, "--json")
        return json.loads(done.stdout or "null"), done.stderr
    infos, said = manage("info", "--all")
    tap.check("also for calls to each other", isinstance(infos, list) and len(infos) == 2 and
              all("version" in one for one in infos), infos, said)
    interfaces, said = manage("list-interfaces", "--nodes", "n1")
    tap.check("and for long answers", interfaces and
              {"eth0", "lo"} <= {one["name"] for one in interfaces}, interfaces, said)
    job, said = manage("start-capture", "--all", "-i", "lo", "-t", "1s", "--wait")
    tap.check("and for a job on both", job and {row["state"] for row in job["nodes"]} == {"done"}, job, said)
    for node in nodes:
        node.kill()


def wrong_key(lab):
    other = make_key(f"{SCRATCH}/key.other")
    a = lab.node(2, state=f"{SCRATCH}/wk-a").start()
    tap.check("a node waits alone", wait_for(10, a.is_up))
    b = lab.node(3, state=f"{SCRATCH}/wk-b").start(join=[lab.places[2].ip], key=other)
    tap.check("a key that does not fit is told where it came from and where it went",
              wait_for(15, lambda: "cluster key" in b.said() and "does not have" in a.said()))
    ill = doctor(b)
    tap.check("and the doctors of both say so", not ill["swarm"][0] and "--join" in ill["swarm"][1]
              and "came under another" in doctor(a)["cluster-key"][1], ill)
    tap.check("and nothing is answered by UDP",
              a.metric("packetrecorder_swarm_datagrams_sent_total") == 0)
    for node in (a, b):
        node.kill()


def busy_recording(node, sender, pause):
    """Freezes a node that records what it is sent; (sent, recorded, counted as lost)."""
    def manage(*words):
        done = program("manage", "--endpoint", f"unix:{node.folder}/rpc.sock", *words, "--json")
        return json.loads(done.stdout or "null")

    def send():
        n, until = 0, time.monotonic() + pause
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while time.monotonic() < until:
                for _ in range(100):
                    s.sendto(bytes(1400), (node.place.ip, 9))
                n += 100
                time.sleep(0.005)
        return n
    name = f"frozen-{pause}"
    manage("start-capture", "-i", "eth0", "-f", "udp dst port 9", "--name", name)
    node.kill(signal.SIGSTOP)
    sent = sender.inside(send)
    node.kill(signal.SIGCONT)

    def told():
        found = [c for c in manage("captures") or [] if c.get("name") == name and "packets" in c]
        return found and (found[0]["packets"], sum(found[0]["loss"].values()))
    wait_for(10, lambda: told() and sum(told()) >= sent)
    found = told() or (0, 0)
    manage("stop-capture", name)
    return sent, *found


def frozen(lab):
    nodes = lab.nodes[-5:]
    for pause in (1, 5, 30) if LONG else (1, 5):
        since = time.time()
        sent, recorded, lost = busy_recording(nodes[4], lab.places[9], pause)
        tap.check(f"who was frozen for {pause} s is there again", wait_for(
            30, lambda: all(n.n_alive() == 5 for n in nodes)))
        accused = deaths([nodes[4]], since)
        tap.check(f"and accuses nobody of its own {pause} s", not accused)
        others = [d for d in deaths(nodes[:4], since) if d[2] != nodes[4].name]
        tap.check("nor does anybody accuse another", not others, others)
        if pause == 1:
            tap.check("nor was it called dead", not deaths(nodes[:4], since))
        tap.check("its capture has every packet of that time, or counts it as lost",
                  recorded + lost == sent and recorded > 0, sent, recorded, lost)
        print(f"# {sent} sent, {recorded} recorded, {lost} lost")


def parted(lab):
    nodes = lab.nodes[-5:]
    cut = [n.number for n in nodes[3:]]
    lab.cut(cut)
    tap.check("two halves lose each other",
              wait_for(30, lambda: nodes[0].sees(nodes[4].name, "dead")))
    lab.cut(cut, on=False)
    healed = time.time()
    tap.check("and find each other again", wait_for(
        20, lambda: all(n.n_alive() == 5 for n in nodes)))
    print(f"# healed in {time.time() - healed:.1f} s")


def cloned(lab):
    nodes = lab.nodes[-5:]
    copy = f"{SCRATCH}/copied"
    shutil.copytree(nodes[1].state, copy)
    extra = lab.node(9, state=copy).start(join=[nodes[0].place.ip])
    tap.check("a copied state directory is told", wait_for(
        15, lambda: "was copied" in nodes[1].said() or "was copied" in extra.said()))
    extra.kill()


def garbage(lab):
    """Datagrams that look like ours, from outside, ten thousand a second: as many as one process can send
    would keep the processors from the nodes, which is no test of them."""
    nodes = lab.nodes[-5:]
    target = nodes[2].place.ip
    since, until = time.time(), time.time() + 5

    def flood():
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        packets = [bytes([0xD7, 1, 0, 0]) + os.urandom(124) for _ in range(64)]
        packets += [os.urandom(200) for _ in range(16)]
        n = 0
        while time.time() < until:
            for packet in packets:
                try:
                    s.sendto(packet, (target, 7946))
                    n += 1
                except OSError:
                    pass
            time.sleep(len(packets) / 10000)
        return n
    sent = lab.places[9].inside(flood)
    print(f"# {sent / 5:.0f} datagrams a second")
    tap.check("a flood of garbage makes nobody dead", not deaths(nodes, since))
    tap.check("and is counted",
              nodes[2].metric("packetrecorder_swarm_foreign_key_total") > 1000)


def trouble():
    with Lab(SCRATCH, 10) as lab:
        both_families(lab)
        small_packets(lab)
        wrong_key(lab)
        for i in range(4, 9):
            lab.node(i).start(join=[lab.places[4].ip] if i > 4 else [])
        tap.check("five nodes find each other", wait_for(
            15, lambda: all(n.n_alive() == 5 for n in lab.nodes[-5:])))
        five = lab.nodes[-5:]
        frozen(lab)
        parted(lab)
        garbage(lab)
        del five
        cloned(lab)


{"life": life, "trouble": trouble}[PART]()
sys.exit(tap.failures != 0)
