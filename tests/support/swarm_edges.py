# SPDX-License-Identifier: Apache-2.0
"""swarm_edges.py SCRATCH: nodes at the edges of the network: narrow paths, datagrams that prove nothing, a kernel that
drops, keys that not all have, names that come late, farewells of who knows nobody. Driven by
tests/system/swarm_edges.sh."""
import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

from recorder import Tap
from swarm_lab import Lab, make_key, wait_for

tap = Tap()
SCRATCH = sys.argv[1]
BIN = os.environ["PR_BIN"]
PORT = 7946
ETH_P_ALL = 3
ETHER = 14
TAGS = 15
TAG = "word=said-in-silence"
WORDS = ["--tag", TAG]


class Manage:
    """`packetrecorder manage` of a node."""

    def __init__(self, node):
        self.node, self.code, self.out, self.err = node, 0, "", ""

    def __call__(self, *words):
        done = subprocess.run([BIN, "manage", "--endpoint", f"unix:{self.node.folder}/rpc.sock", *words],
                              capture_output=True, text=True, timeout=20)
        self.code, self.out, self.err = done.returncode, done.stdout, done.stderr
        return self.code

    def json(self, *words):
        self(*words, "--json")
        return json.loads(self.out or "null")

    def ring(self):
        return {k["state"]: k for k in self.json("cluster-keys", "list")}


def all_alive(nodes, n=None, seconds=15):
    return wait_for(seconds, lambda: all(node.n_alive() == (n or len(nodes)) for node in nodes))


def doubts(nodes):
    return sum(node.metric("packetrecorder_swarm_deaths_total") for node in nodes)


def end(nodes):
    for node in nodes:
        if node.process.poll() is None:
            node.kill()
        node.hang_up()


# ---- 1,280 bytes ----

def make_narrow(lab):
    """Behind place 2, which routes, place 1: over a link of 1,280 bytes, of which place 0 learns by ICMP alone."""
    far, router = lab.places[1], lab.places[2]
    lab.batch(router.ns, [f"link add narrow type veth peer name narrow netns {far.ns}",
                          "link set narrow mtu 1280 up", "addr add 10.89.0.1/24 dev narrow",
                          "addr add fd89::1/64 dev narrow nodad"])
    far.ip_command("link", "set", "eth0", "down")
    lab.batch(far.ns, ["link set narrow mtu 1280 up", "addr add 10.89.0.2/24 dev narrow",
                       "addr add fd89::2/64 dev narrow nodad", "route add default via 10.89.0.1",
                       "route add default via fd89::1"])
    lab.places[0].ip_command("route", "add", "10.89.0.0/24", "via", router.ip)
    lab.places[0].ip_command("route", "add", "fd89::/64", "via", router.ip6)
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        router.inside(write, f"/proc/sys/net/{name}", "1")


def write(path, text):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def fragments(place):
    """Made or put together in a namespace so far."""
    def read():
        with open("/proc/thread-self/net/snmp", encoding="ascii") as file:
            heads, values = [line.split() for line in file if line.startswith("Ip:")]
        found = dict(zip(heads, values))
        with open("/proc/thread-self/net/snmp6", encoding="ascii") as file:
            found.update(line.split() for line in file)
        return sum(int(found[name]) for name in ("FragCreates", "FragFails", "ReasmReqds", "Ip6FragCreates",
                                                 "Ip6ReasmReqds"))
    return place.inside(read)


def tags_of(number):
    """As long as they may be."""
    return [w for i in range(TAGS) for w in ("--tag", f"t{i:02}={number}{'x' * 58}")]


def narrow(lab, family, seed):
    """Fails of a router are counted: it tells them by ICMP, and they are what makes the path known."""
    near, far = lab.places[0], lab.places[1]
    before = [fragments(place) for place in (near, far)]
    a = lab.node(0, state=f"{SCRATCH}/narrow-{family}-0")
    b = lab.node(1, state=f"{SCRATCH}/narrow-{family}-1")
    a.start(*tags_of(0))
    wait_for(10, a.is_up)
    b.start(*tags_of(1), join=[seed])
    tap.check(f"{family}: two nodes meet over a path of 1,280 bytes", all_alive((a, b)), b.said()[-300:])
    tap.check(f"{family}: their tags of nearly 1 KiB too", wait_for(10, lambda: all(
        len(node.members().get(other, {}).get("tags", {})) == TAGS for node, other in ((a, "n1"), (b, "n0")))),
        a.members())
    manage = Manage(a)
    manage("cluster-keys", "add", make_key(f"{SCRATCH}/key.{family}", of=lab.key))
    held = wait_for(10, lambda: manage.ring().get("installed", {}).get("held_by") == 2)
    used = held and manage("cluster-keys", "use", manage.ring()["installed"]["key_id"])
    tap.check(f"{family}: and a new key", used == 0 and wait_for(10, lambda: Manage(b).ring()["active"]["held_by"] == 2),
              manage.err)
    infos = manage.json("info", "--all")
    tap.check(f"{family}: and calls", infos is not None and len(infos) == 2, manage.err)
    tap.check(f"{family}: no datagram was cut into pieces on the way",
              [fragments(place) for place in (near, far)] == before)
    tap.check(f"{family}: nobody was called dead", doubts((a, b)) == 0)
    return a, b


def long_datagrams(lab, a, b, family):
    """Those for whom somebody is new are as long as can be: some did not fit, and are told again in shorter ones."""
    more = [lab.node(i, state=f"{SCRATCH}/narrow-{family}-{i}").start(
        *tags_of(i), join=[lab.places[0].ip]) for i in range(3, 8)]
    nodes = [a, b, *more]
    for place in lab.places[3:8]:
        place.ip_command("route", "add", "10.89.0.0/24", "via", lab.places[2].ip)
    tap.check("who has the key of before only is let in, also over the narrow path", all_alive(nodes, seconds=30),
              [n.states() for n in nodes], more[0].said()[-600:])
    tap.check("and given the new one",
              wait_for(20, lambda: all(len(n.members()[n.name]["keys"]) == 2 for n in more)),
              [n.members()[n.name]["keys"] for n in more], more[0].said()[-600:])
    tap.check("and it knows the tags of all", wait_for(10, lambda: all(
        b.members()[n.name].get("tags") for n in more)))
    tap.check("some were too long for the path, and none ever fell apart",
              sum(n.metric("packetrecorder_swarm_too_long_total") for n in nodes) > 0 and
              fragments(lab.places[0]) == 0 and fragments(lab.places[1]) == 0)
    end(nodes)


# ---- what proves no key ----

class Wire:
    """All frames that pass the interface of a place."""

    def __init__(self, place):
        self.socket = place.inside(self._open)

    @staticmethod
    def _open():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        s.bind(("eth0", 0))
        s.settimeout(0.5)
        return s

    def frames(self, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            try:
                yield self.socket.recv(65536)
            except TimeoutError:
                pass

    def close(self):
        self.socket.close()


def datagrams(frames, source, to):
    """UDP of IPv4 to the port of the swarm, without heads."""
    head = socket.inet_aton(source) + socket.inet_aton(to)
    return [f[ETHER + 28:] for f in frames
            if f[12:14] == b"\x08\x00" and f[ETHER + 9] == 17 and f[ETHER + 12:ETHER + 20] == head and
            f[ETHER + 22:ETHER + 24] == PORT.to_bytes(2, "big")]


def answers(frames, place):
    """IPv4 and IPv6 of a place, of whatever kind but what finds a neighbour."""
    ip, ip6 = socket.inet_aton(place.ip), socket.inet_pton(socket.AF_INET6, place.ip6)
    found = []
    for f in frames:
        if f[12:14] == b"\x08\x00" and f[ETHER + 12:ETHER + 16] == ip:
            found.append(f)
        elif f[12:14] == b"\x86\xdd" and f[ETHER + 8:ETHER + 24] == ip6 and not (
                f[ETHER + 6] == 58 and f[ETHER + 40] in (135, 136)):
            found.append(f)
    return found


def forgeries(real):
    """Datagrams like ours that prove nothing."""
    made = [b"", b"\xd7", os.urandom(40), os.urandom(1400), bytes(60000)]
    for one in real[:20]:
        later = one[:24] + (int.from_bytes(one[24:32], "big") + 900).to_bytes(8, "big") + one[32:]
        made += [one[:len(one) - 1], one + b"\0", one[:20], bytes([one[0] ^ 1]) + one[1:],
                 one[:4] + os.urandom(4) + one[8:], one[:8] + os.urandom(16) + one[24:], later,
                 later[:-1] + bytes([later[-1] ^ 1])]
    return made


def send_all(datagrams, target):
    """To both addresses of the place."""
    for family, address in ((socket.AF_INET, target.ip), (socket.AF_INET6, target.ip6)):
        with socket.socket(family, socket.SOCK_DGRAM) as s:
            for one in datagrams:
                s.sendto(one, (address, PORT))
                time.sleep(0.001)
    return True


def silent(lab):
    """n4's clock is half a minute ahead. Place 9 is a stranger's."""
    a, b = lab.node(0, state=f"{SCRATCH}/silent-0").start(*WORDS), lab.node(4, state=f"{SCRATCH}/silent-4")
    wire = Wire(lab.places[0])
    start_ahead(lab, b)
    tap.check("two nodes whose clocks are 30 s apart meet", all_alive((a, b)))
    tap.check("each finds the other by its tag", wait_for(
        10, lambda: all(len(Manage(n).json("info", "--select", TAG) or []) == 2 for n in (a, b))))
    frames = list(wire.frames(3))
    heard, said = (datagrams(frames, lab.places[i].ip, lab.places[j].ip) for i, j in ((4, 0), (0, 4)))
    wire.close()
    unreadable(lab, frames, heard)
    stranger = Wire(lab.places[9])
    count = [a.metric(f"packetrecorder_swarm_{name}_total") for name in ("forged", "foreign_key", "malformed")]
    lab.places[9].inside(send_all, forgeries(heard), lab.places[0])
    came = answers(stranger.frames(1.5), lab.places[0])
    tap.check("nothing comes back for datagrams that prove no key, no ICMP either", len(heard) > 3 and not came,
              len(heard), [f.hex() for f in came[:3]])
    more = [a.metric(f"packetrecorder_swarm_{name}_total") - n
            for name, n in zip(("forged", "foreign_key", "malformed"), count)]
    tap.check("each kind is counted", min(more) >= 2, more)
    reflected = a.metric("packetrecorder_swarm_reflected_total")
    lab.places[9].inside(send_all, said, lab.places[0])
    came = answers(stranger.frames(1), lab.places[0])
    tap.check("nor for its own that come back, which are told as such", len(said) > 3 and not came and
              a.metric("packetrecorder_swarm_reflected_total") - reflected == 2 * len(said), len(said), came[:3])
    replays(lab, a, b, heard, stranger)
    stranger.close()
    return a, b


def start_ahead(lab, node):
    lab.binary, real = os.environ["PR_FAKED"], lab.binary
    node.start(*WORDS, join=[lab.places[0].ip], env={"PACKETRECORDER_TEST_CLOCK_OFFSET": "30s"})
    lab.binary = real


def unreadable(lab, frames, heard):
    """UDP and TCP of two nodes that have told each other names, tags and keys."""
    with open(lab.key, encoding="ascii") as file:
        key = base64.urlsafe_b64decode(file.read().strip().split("_", 2)[2] + "=")
    both = b"".join(frames)
    streams = sum(f[12:14] == b"\x08\x00" and f[ETHER + 9] == 6 for f in frames)
    tap.check("nothing of it can be read on the way", streams > 3 and len(heard) > 3 and
              not any(word in both for word in (b"said-in-silence", b"packetrecorder", b"eth0", key)), streams, len(heard))


def replays(lab, a, b, heard, stranger):
    """Real ones a second time, from elsewhere: to who has read them, and to a later life of it."""
    replayed, address = a.metric("packetrecorder_swarm_replayed_total"), a.members()["n4"]["address"]
    lab.places[9].inside(send_all, heard, lab.places[0])
    came = answers(stranger.frames(1), lab.places[0])
    tap.check("nor for real ones that are replayed", not came and
              a.metric("packetrecorder_swarm_replayed_total") - replayed >= 2 * len(heard),
              [f.hex() for f in came[:3]], a.metric("packetrecorder_swarm_replayed_total") - replayed, len(heard))
    tap.check("and nobody is looked for where they came from", a.members()["n4"]["address"] == address)
    infos = Manage(a).json("info", "--all")
    tap.check("calls do not mind the clocks", len(infos or []) == 2)
    a.kill()
    a.start(join=[lab.places[4].ip])
    tap.check("one is started anew", all_alive((a, b)))
    lab.places[9].inside(send_all, heard, lab.places[0])
    came = answers(stranger.frames(1), lab.places[0])
    tap.check("what was for its life before is not answered in this one", not came, [f.hex() for f in came[:3]])
    tap.check("and the two see each other as before", a.members()["n4"]["address"] == address and
              all(n.n_alive() == 2 for n in (a, b)) and doubts((a, b)) == 0)
    b.kill()
    start_ahead(lab, b)
    tap.check("the other, too", all_alive((a, b)))
    doubted, replayed = doubts((a, b)), a.metric("packetrecorder_swarm_replayed_total")
    lab.places[9].inside(send_all, heard, lab.places[0])
    came = answers(stranger.frames(1), lab.places[0])
    tap.check("a whole life that is over is not answered", not came, [f.hex() for f in came[:3]])
    tap.check("is counted", a.metric("packetrecorder_swarm_replayed_total") - replayed >= 2 * len(heard))
    tap.check("and takes nothing from the present one", a.members()["n4"]["address"] == address and
              all(n.n_alive() == 2 for n in (a, b)) and doubts((a, b)) == doubted)


# ---- a kernel that drops ----

def overflow(lab, node):
    """More than a receive buffer of 4 MiB holds, while the node stands still for a moment. The kernel tells what it
    dropped with what comes behind that."""
    before = node.metric("packetrecorder_swarm_kernel_drops_total")
    node.kill(signal.SIGSTOP)

    def flood(n):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            for _ in range(n):
                s.sendto(b"\xd7" + bytes(200), (lab.places[0].ip, PORT))
        return True
    lab.places[9].inside(flood, 40000)
    node.kill(signal.SIGCONT)

    def counted():
        lab.places[9].inside(flood, 1)
        return node.metric("packetrecorder_swarm_kernel_drops_total") - before > 1000
    return wait_for(5, counted)


def dropped(lab, a):
    tap.check("what the kernel dropped is counted", overflow(lab, a))
    tap.check("and makes nobody else doubted", a.metric("packetrecorder_swarm_deaths_total") == 0)


def doubtful(lab):
    """Who has no others to probe keeps its doubt; an answered probe takes it away, perhaps before anybody looks."""
    a = lab.node(0, state=f"{SCRATCH}/doubtful").start()
    tap.check("one starts alone, in health", wait_for(10, a.is_up) and
              a.metric("packetrecorder_swarm_local_health") == 0)
    tap.check("and doubts itself for what its kernel dropped", overflow(lab, a) and
              a.metric("packetrecorder_swarm_local_health") > 0)
    end((a,))


def wakings(node):
    """Of the thread of the swarm, that it waited for."""
    for task in os.listdir(f"/proc/{node.pid}/task"):
        with open(f"/proc/{node.pid}/task/{task}/status", encoding="ascii") as file:
            found = dict(line.split(":", 1) for line in file)
        if found["Name"].strip() == "gossip":
            return int(found["voluntary_ctxt_switches"])
    return 0


def gathered(lab, a):
    """As many as one process can send: more than the node needs to begin to let them gather."""
    def flood(seconds):
        n, until = 0, time.monotonic() + seconds
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            while time.monotonic() < until:
                for _ in range(50):
                    s.sendto(b"\xd7" + bytes(127), (lab.places[0].ip, PORT))
                n += 50
        return n
    lab.places[9].inside(flood, 0.2)
    began, woke = time.monotonic(), wakings(a)
    n, took = lab.places[9].inside(flood, 1.5), 0
    woke, took = wakings(a) - woke, time.monotonic() - began
    print(f"# {n / took:.0f} datagrams a second, {woke / took:.0f} wakings")
    tap.check("a flood wakes the node a thousand times a second, not for each",
              0 < woke < 1500 * took or n < 40000 * took, n, woke, took)
    tap.check("and makes nobody dead", a.metric("packetrecorder_swarm_deaths_total") == 0)


# ---- keys that not all have ----

def lacking(lab, a, b):
    """b stands still while a key is added, shorter than anybody is called dead for."""
    manage = Manage(a)
    old = manage.ring()["active"]["key_id"]
    b.kill(signal.SIGSTOP)
    manage("cluster-keys", "add", make_key(f"{SCRATCH}/key.lack", of=lab.key))
    new = manage.ring()["installed"]
    manage("cluster-keys", "use", new["key_id"])
    b.kill(signal.SIGCONT)
    tap.check("a key is not used while a live member lacks it", manage.code == 1 and "'n4'" in manage.err and
              new["lacking"] == ["n4"], manage.code, manage.err, new)
    tap.check("the key in use is not retired", manage("cluster-keys", "retire", old) == 1 and
              "seals with" in manage.err, manage.err)
    tap.check("when all hold it, it is used", wait_for(
        10, lambda: manage("cluster-keys", "use", new["key_id"]) == 0), manage.err)
    tap.check("then the old one is retired, and the new one is not",
              manage("cluster-keys", "retire", new["key_id"]) == 1 and
              wait_for(10, lambda: manage("cluster-keys", "retire", old) == 0), manage.err)


# ---- names and farewells ----

def hosts_of(place, *lines):
    """The names that a namespace knows, asked of nobody else."""
    folder = f"/etc/netns/{place.ns}"
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/hosts", "w", encoding="ascii") as file:
        file.write("".join(line + "\n" for line in lines))
    write(f"{folder}/resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n")
    return folder


def names(lab):
    place, seed = lab.places[5], lab.places[8]
    folder = hosts_of(place)
    try:
        a = lab.node(5, state=f"{SCRATCH}/names-5").start(join=["late.test", f"{place.ip}"])
        tap.check("a name that is not found at the start is told, and the node goes on",
                  wait_for(10, lambda: "cannot find 'late.test'" in a.said()) and wait_for(10, a.is_up), a.said())
        tap.check("its own address is nobody to join", a.n_alive() == 1)
        own = a.said().count("answers by TCP")
        code = Manage(a)("join", "several.test")  # not known yet
        with open(f"{folder}/hosts", "a", encoding="ascii") as file:  # in place: it is mounted
            file.write(f"{lab.places[6].ip} several.test\n10.88.222.2 several.test\n{seed.ip} several.test\n")
        time.sleep(0.5)  # long enough for a first try of all three, none of which is there
        b = lab.node(8, state=f"{SCRATCH}/names-8").start()
        tap.check("a name of several addresses, joined at run time, is tried until one of them is there",
                  code == 0 and all_alive((a, b), seconds=25), a.said())
        tap.check("and nobody of them is a member", len(a.members()) == 2, a.members())
        wait_for(3.5 - (time.time() - a.started), lambda: False)  # when who is alone asks by TCP
        tap.check("nor is it told that it answers itself", own == 0 and "answers by TCP" not in a.said(), a.said())
        end((a, b))
    finally:
        shutil.rmtree(folder)


def farewells(lab):
    """Of who has never met anybody."""
    a = lab.node(7, state=f"{SCRATCH}/alone-7").start(join=["10.88.222.1"])
    wait_for(10, a.is_up)
    began = time.monotonic()
    a.kill(signal.SIGTERM)
    tap.check("who knows nobody ends at once when told to", a.process.returncode == 0 and time.monotonic() - began < 5,
              a.process.returncode, time.monotonic() - began)
    a.start(join=["10.88.222.1"])
    wait_for(10, a.is_up)
    manage = Manage(a)
    tap.check("and leaves", manage("leave") == 0, manage.err)
    code = manage("leave")
    tap.check("once", code == 1 and "has left its swarm already" in manage.err, manage.err)
    tap.check("and is told the way back, a new start", "a new start" in manage.err and
              manage("join", lab.places[8].ip) == 1 and "started again" in manage.err, manage.err)
    b = lab.node(8, state=f"{SCRATCH}/alone-8").start()
    wait_for(10, b.is_up)
    a.kill(signal.SIGTERM)
    tap.check("it ends well", a.process.returncode == 0)
    a.start(join=[lab.places[8].ip])
    tap.check("and is back with the others", all_alive((a, b)))
    end((a, b))


def main():
    with Lab(SCRATCH, 10) as lab:
        make_narrow(lab)
        end(narrow(lab, "IPv6", f"[{lab.places[0].ip6}]"))
        long_datagrams(lab, *narrow(lab, "IPv4", lab.places[0].ip), "IPv4")
        a, b = silent(lab)
        lacking(lab, a, b)
        dropped(lab, a)
        gathered(lab, a)
        end((a, b))
        doubtful(lab)
        names(lab)
        farewells(lab)


main()
sys.exit(tap.failures != 0)
