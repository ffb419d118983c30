# SPDX-License-Identifier: Apache-2.0
"""A node's packets in Wireshark's hands: view, the extcap program, and the plain pcapng listener.
Driven by tests/system/view_acceptance.sh."""
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pcapng_blocks
from broken_wire import BrokenWire
from node_process import BIN, IF_B, Checks, Node, add_key, command, end_a, number_in, numbered
from recorder import finish, wait_for

FOLDER = sys.argv[1]
EXTCAP = os.path.join(os.path.dirname(BIN), "packetrecorder-extcap")
OURS = "ether proto 0x88b5"
node = None
sender = None


class View:
    """packetrecorder view in the background, its words in `said`, its packets in the file."""

    def __init__(self, endpoint, *options, name="view.pcapng", **more):
        self.file = os.path.join(FOLDER, name)
        self.errors = open(os.path.join(FOLDER, name + ".err"), "w+b")
        if os.path.exists(self.file):
            os.remove(self.file)
        self.process = subprocess.Popen([BIN, "view", endpoint, "-i", IF_B, "-f", OURS, "-w", self.file,
                                         *options], stdin=subprocess.DEVNULL, stderr=self.errors, **more)

    def stream(self):
        stream = pcapng_blocks.Stream()
        try:
            with open(self.file, "rb") as file:
                stream.feed(file.read())
        except FileNotFoundError:
            pass
        return stream

    def numbers(self):
        return [n for n in (number_in(p.data) for p in self.stream().packets) if n is not None]

    def said(self):
        self.errors.seek(0)
        return self.errors.read().decode()

    def watches(self):
        """Sends until something arrives: then it watches."""
        def seen():
            sender.send(numbered(1 << 40))
            return 1 << 40 in self.numbers()
        return wait_for(10, seen)

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        code = self.process.wait(10)
        self.errors.flush()
        return code


def endpoint(port=None):
    return f"127.0.0.1:{port or node.address[1]}"


def test_view(t):
    view = View(endpoint())
    t.check("view follows an interface into a file", view.watches(), view.said())
    sender.send(*(numbered(i, 500) for i in range(1000)))
    t.check("1,000 packets arrive while it runs", wait_for(10, lambda: 999 in view.numbers()), view.said())
    code = view.end()
    t.equal("an interrupt ends it with 0", 0, code)
    stream = view.stream()
    found = [p.data for p in stream.packets if number_in(p.data) < 1 << 40]
    t.check("byte for byte, in order", found == [numbered(i, 500) for i in range(1000)], len(found))
    t.equal("the file is whole", 0, len(stream.rest))
    t.check("it ends with statistics", stream.statistics)
    t.equal("only the owner can read it", 0o600, os.stat(view.file).st_mode & 0o777)
    for words, name, wanted in ((["-i", "nosuch0"], "an interface that is none", "nosuch0"),
                                (["-i", IF_B, "-f", "tcp prot 1"], "a bad filter", "syntax error")):
        code, out, err = command("view", endpoint(), *words, "-w", "-")
        t.check(f"{name}: exit 1 with the node's words, nothing on stdout", code == 1 and out == "" and
                wanted in err, code, err)
    code, _, err = command("view", "127.0.0.1:99999", "-i", IF_B)
    t.equal("an endpoint that is none is a wrong usage", 2, code)


def start_lines(*options):
    """view without -w; gives the process and a function that is true once a line came."""
    p = subprocess.Popen([BIN, "view", endpoint(), "-i", IF_B, *options],
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    os.set_blocking(p.stdout.fileno(), False)
    text = bytearray()

    def line_came():
        sender.send(numbered(3))
        try:
            text.extend(os.read(p.stdout.fileno(), 65536))
        except BlockingIOError:
            pass
        return b"\n" in text
    return p, text, line_came


def test_view_lines(t):
    p, text, line_came = start_lines("-f", "arp or " + OURS)
    t.check("without -w there is a line a packet, at once", wait_for(10, line_came), text)
    t.check("it begins with a time in UTC, as query's",
            re.match(rb"\d{4}-\d\d-\d\dT[\d:]+\.\d{9}Z ", text), text)
    p.send_signal(signal.SIGINT)
    t.equal("an interrupt ends it with 0", 0, p.wait(10))
    p, text, line_came = start_lines("-f", OURS, "--json")
    t.check("--json prints lines too", wait_for(10, line_came) and
            {"time", "interface", "caplen", "info"} <= set(json.loads(text.split(b"\n")[0])), text)
    p.kill()
    p.wait()


def test_two_interfaces(t):
    name = "two.pcapng"
    view = View(endpoint(), "-i", "lo", name=name)
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def both():
        sender.send(numbered(1))
        frame = bytes(12) + b"\x88\xb5" + b"on loopback".ljust(50)
        lo = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        lo.bind(("lo", 0x88b5))
        lo.send(frame)
        lo.close()
        stream = view.stream()
        return {stream.interfaces[p.interface]["name"] for p in stream.packets} == {IF_B, "lo"}
    t.check("two -i: both in one file, each under its name", wait_for(10, both),
            view.stream().interfaces, view.said())
    s.close()
    view.end()
    times = [p.time_ns for p in view.stream().packets]
    t.check("in a section that capinfos reads", subprocess.run(
        ["capinfos", view.file], capture_output=True, check=False).returncode == 0)
    t.check("packets have times", min(times) > 10**18)


def test_pipes(t):
    p = subprocess.Popen(f"exec {BIN} view {endpoint()} -i {IF_B} -f '{OURS}' -w - 2>{FOLDER}/pipe.err | "
                         f"head -c 2000 >{FOLDER}/head.out; echo ${{PIPESTATUS[0]}} >{FOLDER}/pipe.code",
                         shell=True, executable="/bin/bash")

    def ended():
        sender.send(*(numbered(i, 500) for i in range(20)))
        return p.poll() is not None
    t.check("a broken pipe ends view", wait_for(15, ended))
    with open(f"{FOLDER}/pipe.err", encoding="utf-8") as file:
        said = file.read()
    with open(f"{FOLDER}/pipe.code", encoding="ascii") as file:
        code = file.read().strip()
    t.check("quietly", "roken" not in said and "EPIPE" not in said and code in ("0", "141"), code, said)
    out = subprocess.Popen(f"{BIN} view {endpoint()} -i {IF_B} -f '{OURS}' -w - 2>/dev/null | "
                           f"tshark -l -r - -T fields -e frame.len -c 20 2>/dev/null",
                           shell=True, stdout=subprocess.PIPE, text=True)
    wait_for(20, lambda: (sender.send(numbered(1, 321)), out.poll() is not None)[1])
    text = out.communicate(timeout=10)[0] if out.poll() is not None else ""
    t.equal("view -w - | tshark -r -", ["321"] * 20, text.split())


def test_reconnect(t):
    wire = BrokenWire(node.address)
    view = View(endpoint(wire.port), name="again.pcapng")
    t.check("view through a wire that will break", view.watches(), view.said())
    total = 0
    for _ in range(3):
        sender.send(*(numbered(total + i) for i in range(200)))
        total += 200
        wait_for(5, lambda: total - 1 in view.numbers())
        wire.cut()
        sender.send(*(numbered(total + i) for i in range(200)))
        total += 200
        wire.mend()
    sender.send(*(numbered(total + i) for i in range(200)))
    total += 200
    came = wait_for(30, lambda: total - 1 in view.numbers())
    numbers = [n for n in view.numbers() if n < 1 << 40]
    t.check("it reconnects after each cut", came, numbers[-3:], view.said())
    t.check("nothing is missing and nothing twice", numbers == list(range(total)),
            len(numbers), next(((a, b) for a, b in zip(numbers, range(total)) if a != b), None))
    before = wire.connections
    wire.cut()
    wait_for(3, lambda: wire.connections >= before + 2)
    tries = wire.connections - before
    time_there = time.monotonic()
    while time.monotonic() < time_there + 2:
        time.sleep(0.1)
    t.check("while the node is away it does not hammer", wire.connections - before - tries <= 20,
            wire.connections - before)
    code = view.end()
    t.equal("an interrupt while it waits ends it with 0", 0, code)
    t.check("it said that it lost the connection", re.search("reconnect|again|lost", view.said()),
            view.said())


def test_restarted_node(t):
    """The node ends and another one comes on its port: view goes on, with one whole file."""
    folder = os.path.join(FOLDER, "restart")
    os.makedirs(folder, exist_ok=True)
    with Node(folder) as first:
        wire = BrokenWire(first.address)
        view = View(endpoint(wire.port), name="restart.pcapng")
        t.check("view of the first node", view.watches(), view.said())
        sender.send(*(numbered(i) for i in range(100)))
        wait_for(5, lambda: 99 in view.numbers())
        code, took = first.stop()
        t.check("a viewer does not hold up the node's end", code == 0 and took < 5, code, took)
    with Node(folder) as second:
        wire.mend(second.address)

        def seen():
            sender.send(numbered(500))
            return 500 in view.numbers()
        t.check("and of the second one", wait_for(20, seen), view.said())
        view.end()
    numbers = [n for n in view.numbers() if n < 500]
    t.equal("the packets of the first are there once", list(range(100)), numbers)
    t.equal("the file can be read to its end", 0, len(view.stream().rest))


def silent_ends():
    """Addresses at which a connect hangs: in TCP (the queue is full), and behind it."""
    full = socket.create_server(("127.0.0.1", 0), backlog=0)
    fillers = []
    for _ in range(4):
        fillers.append(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
        fillers[-1].setblocking(False)
        fillers[-1].connect_ex(full.getsockname())
    return [full, socket.create_server(("127.0.0.1", 0))], fillers


def test_interrupted_connect(t):
    ends, fillers = silent_ends()
    for end, where in zip(ends, ("in TCP", "in the handshake")):
        view = View(endpoint(end.getsockname()[1]), name="nobody.pcapng")

        def connects(port=end.getsockname()[1], pid=view.process.pid):
            listed = subprocess.run(["ss", "-Htnp", "dport", f"= :{port}"], capture_output=True, text=True,
                                    check=True).stdout
            return f"pid={pid}," in listed
        t.check(f"view hangs {where}", wait_for(5, connects))
        began = time.monotonic()
        code = view.end()
        took = time.monotonic() - began
        t.check("and an interrupt ends it at once, with 0", code == 0 and took < 1, code, took, view.said())
    for each in ends + fillers:
        each.close()


def test_keys(t):
    folder = os.path.join(FOLDER, "keys")
    os.makedirs(folder, exist_ok=True)
    key = add_key(folder, "view")
    path = os.path.join(folder, "key")
    with open(path, "w", encoding="ascii") as file:
        file.write(key + "\n")
    os.chmod(path, 0o600)
    with Node(folder) as locked:
        at = f"127.0.0.1:{locked.address[1]}"
        code, out, err = command("view", at, "-i", IF_B, "-w", "-")
        t.check("view without a key: exit 1, and how to give one", code == 1 and out == "" and
                "--api-key-file" in err, code, err)
        view = View(at, "--api-key-file", path, name="key.pcapng")
        t.check("view --api-key-file", view.watches(), view.said())
        t.check("the key is not on its command line", key.encode() not in
                open(f"/proc/{view.process.pid}/cmdline", "rb").read())
        view.end()
        view = View(at, name="key2.pcapng", env={**os.environ, "PACKETRECORDER_API_KEY": key})
        t.check("view with PACKETRECORDER_API_KEY", view.watches(), view.said())
        command("keys", "revoke", key.split("_")[1], "--database", locked.database)
        t.check("a revoked key ends view for good", wait_for(8, lambda: view.process.poll() is not None) and
                view.process.poll() == 1, view.process.poll(), view.said())
    os.chmod(path, 0o644)
    code, out, err = command("view", at, "-i", IF_B, "--api-key-file", path)
    t.check("a key file that others can read is refused", code != 0 and path in err, code, err)


def extcap(*words, **more):
    environment = {**os.environ, "PACKETRECORDER_ENDPOINT": endpoint(), **more.pop("env", {})}
    p = subprocess.run([EXTCAP, *words], capture_output=True, text=True, timeout=30, check=False,
                       env=environment, **more)
    return p.returncode, p.stdout, p.stderr


def test_extcap(t):
    code, out, err = extcap("--extcap-interfaces", "--extcap-version=4.0")
    found = re.findall(r"^interface \{value=([^}]+)\}\{display=([^}]+)\}", out, re.M)
    t.check("extcap lists the node's interfaces", code == 0 and re.search(r"^extcap \{version=", out, re.M) and
            any(IF_B in value + display for value, display in found), code, out, err)
    interface = next(value for value, display in found if IF_B in value + display)
    code, out, err = extcap("--extcap-dlts", "--extcap-interface", interface)
    t.check("extcap knows the link type", code == 0 and
            re.search(r"^dlt \{number=1\}\{name=EN10MB\}\{display=[^}]+\}", out, re.M), out, err)
    code, out, err = extcap("--extcap-config", "--extcap-interface", interface)
    t.check("extcap has options", code == 0 and "arg {number=0}" in out and "{call=--" in out, out, err)
    code, out, err = extcap("--extcap-interface", interface, "--extcap-capture-filter", "tcp prot 1")
    t.check("a bad filter is told in words", "syntax error" in out + err, code, out, err)
    code, out, err = extcap("--extcap-interface", interface, "--extcap-capture-filter", "tcp port 1")
    t.check("a good one with nothing", code == 0 and out.strip() == "", code, out, err)

    fifo = os.path.join(FOLDER, "fifo")
    os.mkfifo(fifo)
    p = subprocess.Popen([EXTCAP, "--capture", "--extcap-interface", interface, "--fifo", fifo,
                          "--extcap-capture-filter", OURS],
                         env={**os.environ, "PACKETRECORDER_ENDPOINT": endpoint()},
                         stderr=subprocess.PIPE, text=True)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    stream = pcapng_blocks.Stream()

    def came():
        sender.send(numbered(7))
        try:
            stream.feed(os.read(reader, 1 << 16))
        except BlockingIOError:
            pass
        return stream.packets
    t.check("--capture --fifo brings packets", wait_for(10, came))
    os.close(reader)
    t.check("when Wireshark goes, it goes", wait_for(5, lambda: (sender.send(numbered(8)),
                                                                p.poll() is not None)[1]))
    if p.poll() is None:
        p.kill()
    t.check("quietly", "roken" not in p.communicate(timeout=5)[1])

    listener = socket.create_server(("127.0.0.1", 0), backlog=1)  # takes connections, says nothing
    hole = f"127.0.0.1:{listener.getsockname()[1]}"
    closed = socket.create_server(("127.0.0.1", 0))
    nobody = f"127.0.0.1:{closed.getsockname()[1]}"
    closed.close()
    for name, at in (("nobody there", nobody), ("somebody who says nothing", hole),
                     ("an address that nobody has", "10.77.0.200:8080")):
        for words in (("--extcap-interfaces",), ("--extcap-dlts", "--extcap-interface", interface),
                      ("--extcap-config", "--extcap-interface", interface)):
            times = []
            for _ in range(3):
                began = time.monotonic()
                code, out, err = extcap(*words, env={"PACKETRECORDER_ENDPOINT": at})
                times.append(time.monotonic() - began)
            t.check(f"extcap {words[0]} with {name}: an answer in 200 ms", min(times) < 0.2, times, out, err)
    listener.close()


def test_tshark_lists(t):
    home = os.path.join(FOLDER, "home")
    os.makedirs(home, exist_ok=True)
    environment = {**os.environ, "HOME": home, "PACKETRECORDER_ENDPOINT": endpoint()}
    environment.pop("XDG_CONFIG_HOME", None)
    code, out, err = command("install-extcap", env=environment)
    t.check("install-extcap puts it in place and says where", code == 0 and "extcap" in out + err, out, err)
    listed = subprocess.run(["tshark", "-D"], capture_output=True, text=True, env=environment, check=False)
    lines = [line for line in listed.stdout.splitlines() if IF_B in line]
    remote = [line for line in lines if line.split(". ", 1)[1].split(" ")[0] != IF_B]
    t.check("tshark -D lists the node's interface", remote, listed.stdout, listed.stderr)
    if not remote:
        return
    name = remote[0].split(". ", 1)[1].split(" ")[0]
    p = subprocess.Popen(["tshark", "-l", "-i", name, "-f", OURS, "-c", "5", "-T", "fields", "-e", "frame.len"],
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    wait_for(20, lambda: (sender.send(numbered(1, 222)), p.poll() is not None)[1])
    if p.poll() is None:
        p.kill()
    out, err = p.communicate()
    t.equal("tshark -i captures from it, with a filter", ["222"] * 5, out.split())
    if out.split() != ["222"] * 5:
        print("# " + err.replace("\n", "\n# "))


def main():
    global node, sender
    tap = Checks()
    sender = end_a()
    with Node(FOLDER) as node:
        tap.run([test_view, test_view_lines, test_two_interfaces, test_pipes, test_reconnect,
                 test_restarted_node, test_interrupted_connect, test_keys, test_extcap, test_tshark_lists])
        tap.check("the node is alive at the end", not node.has_ended(), node.said())
    finish(tap)


main()
