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
import threading
import time
from statistics import median

import pcapng_blocks
from broken_wire import BrokenWire
from extcap_toolbar import LOST, RECEIVED, Toolbar
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
    view = View(endpoint(), "--history", "10s", name="nothing.pcapng")
    t.check("view that is ended before anything came", wait_for(5, lambda: node.get("/api/v1/stats").json()[
        "streams"]) and view.end() == 0, view.said())
    read = subprocess.run(["tshark", "-r", view.file], capture_output=True, text=True, check=False)
    t.check("leaves a valid file with nothing in it", (read.returncode, read.stdout) == (0, "") and
            not view.stream().packets and os.path.getsize(view.file) >= 28, read.stderr)
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
    t.check("quietly", said == "" and code == "0", code, said)
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


def test_wording(t):
    """Each way not to come in names the thing and the way out."""
    folder = os.path.join(FOLDER, "tls")
    os.makedirs(folder, exist_ok=True)
    for name in ("node", "other"):
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                        "-nodes", "-days", "20", "-subj", "/CN=" + name, "-addext",
                        "subjectAltName=IP:127.0.0.1", "-keyout", f"{folder}/{name}.key", "-out",
                        f"{folder}/{name}.pem"], check=True, capture_output=True)
    ca = ("--ca-file", f"{folder}/node.pem")
    add_key(folder, "view")
    with Node(folder, "--tls-cert", f"{folder}/node.pem", "--tls-key", f"{folder}/node.key",
              http=("127.0.0.1:0", "127.0.0.2:0")) as locked:
        port = locked.address[1]
        at, elsewhere = f"127.0.0.1:{port}", f"127.0.0.2:{locked.addresses[1][1]}"
        closed = socket.create_server(("127.0.0.1", 0))
        nobody = closed.getsockname()[1]
        closed.close()
        for name, words, wanted in (
                ("no key", ("https://" + at, *ca), ("API key", "--api-key-file", "keys add")),
                ("TLS to a plain port", ("https://" + endpoint(),), ("127.0.0.1", "TLS", "http://")),
                ("plain to a TLS port", ("http://" + at,), ("TLS", "https://")),
                ("no CA", ("https://" + at,), ("127.0.0.1", "--ca-file")),
                ("the wrong CA", ("https://" + at, "--ca-file", f"{folder}/other.pem"),
                 ("127.0.0.1", "--ca-file")),
                ("another name than in the certificate", ("https://" + elsewhere, *ca),
                 ("127.0.0.2", "certificate", "by a name")),
                ("no CA file", ("https://" + at, "--ca-file", f"{folder}/no.pem"), ("no.pem",)),
                ("a name that does not resolve", ("nothere.invalid:80",), ("nothere.invalid", "spelling")),
                ("an address of a WebSocket", (f"ws://{endpoint()}/connections/{IF_B}",),
                 ("no '/connections/", "ENDPOINT is HOST:PORT", "-i names")),
                ("nobody there", (endpoint(nobody),), (str(nobody), "packetrecorderd"))):
            for more in (("-i", IF_B), ()):
                code, out, err = command("view", *words, *more)
                t.check(f"view, {name}{'' if more else ', no -i'}: exit 1 and the way out",
                        code == 1 and not out and all(word in err for word in wanted) and
                        err.count("\n") == 1, code, out, err)


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
            for _ in range(7):
                began = time.monotonic()
                code, out, err = extcap(*words, env={"PACKETRECORDER_ENDPOINT": at})
                times.append(time.monotonic() - began)
            t.check(f"extcap {words[0]} with {name}: an answer in 200 ms", median(times) < 0.2, times, out, err)
    listener.close()


def test_device_list(t):
    """Answered from memory: reading all devices takes longer than extcap waits."""
    restless, times, missed = True, [], 0

    def come_and_go():
        while restless:
            for verb in (("add", "prcomes", "type", "veth", "peer", "name", "prgoes"), ("del", "prcomes")):
                subprocess.run(["ip", "link", *verb], stderr=subprocess.DEVNULL, check=False)
    thread = threading.Thread(target=come_and_go)
    thread.start()
    for _ in range(100):
        began = time.monotonic()
        names = {i["name"] for i in node.get("/api/v1/interfaces").json()}
        times.append(time.monotonic() - began)
        missed += not {"lo", IF_B} <= names
    refused = []
    for _ in range(20):
        began = time.monotonic()
        problem = node.get("/connections/nosuch0")
        refused.append(time.monotonic() - began)
    restless = False
    thread.join()
    t.equal("100 lists while devices come and go: none misses what stays", 0, missed)
    t.check("and they come at once", sorted(times)[90] < 0.02, sorted(times)[-20:])
    t.check("so does the refusal of an unknown name", problem.status == 404 and median(refused) < 0.02, refused)

    def listed(name):
        return any(name in line for line in extcap("--extcap-interfaces")[1].splitlines())
    subprocess.run(["ip", "link", "add", "prnew", "type", "veth", "peer", "name", "prnew2"], check=True)
    t.check("a new interface is in the list within a second", wait_for(1, lambda: "prnew" in node.get(
        "/interfaces").json()))
    t.equal("and in Wireshark's, each time", 20, sum(listed("prnew") for _ in range(20)))
    subprocess.run(["ip", "link", "del", "prnew"], check=True)
    t.check("one that went is not", wait_for(1, lambda: "prnew" not in node.get("/interfaces").json()))


def test_extcap_toolbar(t):
    """Wireshark that does not read for a while: what is lost is counted where the user looks."""
    folder = os.path.join(FOLDER, "toolbar")
    os.makedirs(folder, exist_ok=True)
    with Node(folder, "--backlog", "1MiB", "--viewer-queue", "64KiB") as small:
        environment = {**os.environ, "PACKETRECORDER_ENDPOINT": f"127.0.0.1:{small.address[1]}"}
        _, out, _ = extcap("--extcap-interfaces", "--extcap-version=4.0", env=environment)
        interface = next(v for v in re.findall(r"^interface \{value=([^}]+)\}", out, re.M) if IF_B in v)
        t.equal("the toolbar has its controls", ["Received", "Lost", "Log"],
                re.findall(r"^control \{number=\d\}.*\{display=(\w+)\}", out, re.M))
        toolbar = Toolbar(folder, EXTCAP, "--extcap-interface", interface, "--extcap-capture-filter", OURS,
                          env=environment)
        sent = 0

        def comes():
            nonlocal sent
            sender.send(numbered(sent))
            sent += 1
            return toolbar.read()
        t.check("packets come before the toolbar is ready", wait_for(10, comes))
        t.equal("which hears nothing till then", ({}, ""), (toolbar.values, toolbar.log))
        toolbar.initialize()
        t.check("then its log begins", wait_for(5, lambda: toolbar.read() and "started" in toolbar.log),
                toolbar.log)
        first = number_in(toolbar.read()[0].data)
        for _ in range(400):
            sender.send(*(numbered(sent + i, 1400) for i in range(50)))
            sent += 50
        sender.send(numbered(sent))
        sent += 1

        def all_told():
            toolbar.read()
            return toolbar.shows(RECEIVED, len(toolbar.stream.packets)) and \
                first + len(toolbar.stream.packets) + int(toolbar.values[LOST]) == sent
        t.check("what it received and what it lost is what was sent", wait_for(15, all_told), sent, first,
                len(toolbar.stream.packets), toolbar.values, toolbar.log)
        lost = int(toolbar.values.get(LOST, 0))
        t.check("some was lost", lost > 0, toolbar.values)
        t.check("the counters only grow", all(h == sorted(h) for h in toolbar.history.values()))
        t.check("the log tells of it", re.search(r"\d+ packets lost", toolbar.log), toolbar.log)
        numbers = [number_in(p.data) for p in toolbar.stream.packets]
        t.check("what came is in order, once", numbers == sorted(set(numbers)))
        toolbar.process.send_signal(signal.SIGTERM)
        t.check("SIGTERM ends it with 0", wait_for(5, lambda: (toolbar.read(), toolbar.process.poll() == 0)[1]),
                toolbar.process.poll())
        t.equal("without a word on stderr", "", toolbar.close())


def test_install_extcap(t):
    place = os.path.join(FOLDER, "in", "the", "middle", "extcap")
    program = os.path.join(place, "packetrecorder-extcap")

    def works():
        p = subprocess.run([program, "--extcap-interfaces"], capture_output=True, text=True, check=False,
                           env={**os.environ, "PACKETRECORDER_ENDPOINT": endpoint()})
        return p.returncode == 0 and IF_B in p.stdout
    code, out, err = command("install-extcap", "--dir", place)
    t.check("install-extcap --dir makes the folder and a link, and says where", code == 0 and
            program in out and os.path.islink(program) and os.path.samefile(program, EXTCAP), code, out, err)
    t.check("which lists the node's interfaces", works())
    code, out, err = command("install-extcap", "--dir", place, "--copy")
    t.check("--copy puts a file in place of the link", code == 0 and not os.path.islink(program) and
            os.access(program, os.X_OK), code, out, err)
    with open(program, "rb") as one, open(EXTCAP, "rb") as other:
        t.check("the program whole, and it is not the link's target that was written", one.read() ==
                other.read() and not os.path.samefile(program, EXTCAP))
    t.check("and it works", works())
    t.equal("nothing else is left there", ["packetrecorder-extcap"], os.listdir(place))
    code, out, err = command("install-extcap", "--dir", place, "--uninstall")
    t.check("--uninstall takes it away", code == 0 and not os.path.lexists(program) and program in out, code,
            out, err)
    code, out, err = command("install-extcap", "--dir", place, "--uninstall")
    t.check("a second time it says that there is none", code == 0 and "there is no" in out, code, out, err)
    os.mkdir(program)
    code, out, err = command("install-extcap", "--dir", place)
    t.check("a folder of that name is not replaced: exit 1, named", code == 1 and program in err and
            os.listdir(place) == ["packetrecorder-extcap"], code, out, err)
    code, out, err = command("install-extcap", "--dir", os.path.join(EXTCAP, "x"))
    t.check("a folder that cannot be is named", code == 1 and EXTCAP in err, code, out, err)


def test_wait(t):
    """--wait: a node that is not there yet."""
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    refused = View(endpoint(port), name="early.pcapng")
    t.check("without --wait a node that is away ends view with 1", wait_for(5, lambda:
            refused.process.poll() is not None) and refused.process.poll() == 1, refused.said())
    view = View(endpoint(port), "--wait", name="wait.pcapng")
    t.check("with it, it tries again and says so", wait_for(5, lambda: "trying again" in view.said()),
            view.said())
    folder = os.path.join(FOLDER, "late")
    os.makedirs(folder, exist_ok=True)
    with Node(folder, http=(f"127.0.0.1:{port}",)):
        t.check("and follows when the node comes", view.watches(), view.said())
        t.equal("an interrupt ends it with 0", 0, view.end())


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
                 test_restarted_node, test_interrupted_connect, test_keys, test_wording, test_extcap,
                 test_device_list, test_extcap_toolbar, test_install_extcap, test_wait, test_tshark_lists])
        tap.check("the node is alive at the end", not node.has_ended(), node.said())
    finish(tap)


main()
