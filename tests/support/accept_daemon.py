# SPDX-License-Identifier: Apache-2.0
"""The daemon itself as an operator meets it: options and where they come from, what it refuses to
start with, TLS and its reload, rights, the end. Driven by tests/system/node_acceptance.sh."""
import json
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from urllib.parse import quote

import ws_raw
from certificate import Authority
from node_process import (BIN, IF_B, NODE, Checks, Node, add_key, command, end_a, number_in, numbered)
from recorder import finish, wait_for

FOLDER = sys.argv[1]
OURS = "filter=" + quote("ether proto 0x88b5")


def place(name):
    folder = os.path.join(FOLDER, name)
    os.makedirs(folder, exist_ok=True)
    return folder


def write(path, text, mode=0o600):
    with open(path, "w", encoding="ascii") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def refuses(t, name, folder, *options, http=("127.0.0.1:0",), words=(), code=(1, 2)):
    """The node does not start, and says these words."""
    node = Node(folder, *options, http=http, start=False)
    ended = wait_for(10, node.has_ended)
    found = node.process.poll()
    if not ended:
        node.kill()
    node.reader.join(5)
    t.check(name, found in code and all(w in node.said() for w in words), f"exit {found}", node.said())


def node_name(node):
    for target in ("/api/v1/stats", "/health"):
        name = node.get(target).json().get("node")
        if name:
            return name
    return None


def test_help(t):
    p = subprocess.run([NODE, "--help"], capture_output=True, text=True, check=False)
    options = set(re.findall(r"^  (?:-\w, )?--([a-z][a-z-]+)", p.stdout, re.M))
    t.check("--help: exit 0, on standard output", p.returncode == 0 and not p.stderr, p)
    t.check("--help has every option of the issue", {
        "http-addr", "database", "node-name", "config", "tls-cert", "tls-key", "allow-inject",
        "include-self", "insecure", "user", "pcapng-listen", "max-captures"} <= options, sorted(options))
    with open(os.path.join(os.environ["PR_ROOT"], "docs/CONFIG.md"), encoding="utf-8") as file:
        text = file.read()
    missing = [o for o in options if f"{o}" not in text and o not in ("help", "version", "api-key-file")]
    t.equal("docs/CONFIG.md has them all", [], missing)
    p = subprocess.run([NODE, "--nosuch"], capture_output=True, text=True, check=False)
    t.check("an unknown option: exit 2", p.returncode == 2 and "--nosuch" in p.stderr, p)
    p = subprocess.run([BIN, "serve", "--help"], capture_output=True, text=True, check=False)
    t.check("packetrecorder serve --help", p.returncode == 0 and "--http-addr" in p.stdout, p)


def test_configuration(t):
    folder = place("configuration")
    path = write(os.path.join(folder, "node.ini"),
                 "[node]\nnode-name = from-file\nlog-level = debug\n[capture]\nmax-captures = 2\n")
    code, out, err = command("config", "check", path)
    t.check("config check: a good file", code == 0, out, err)
    with Node(folder, "--config", path) as node:
        t.equal("the file is read", "from-file", node_name(node))
        t.check("its log level too", "debug:" in node.said(), node.said()[:500])
    with Node(folder, "--config", path, "--node-name", "from-flag", "--log-level", "info") as node:
        t.equal("a flag beats the file", "from-flag", node_name(node))
        t.check("for the log level too", "debug:" not in node.said(), node.said()[:500])
    with Node(folder, "--config", path, env={"PACKETRECORDER_LOG": "info"}) as node:
        t.check("the environment beats the file", "debug:" not in node.said(), node.said()[:500])
    with Node(folder, "--log-level", "debug", env={"PACKETRECORDER_LOG": "info"}) as node:
        t.check("a flag beats the environment", "debug:" in node.said(), node.said()[:500])
    with Node(folder, env={"PACKETRECORDER_CONFIG": path}) as node:
        t.equal("PACKETRECORDER_CONFIG names the file", "from-file", node_name(node))
    for name, text, words in (
            ("an unknown name", "[node]\nnode-nam = x\n", ("node-nam", "2")),
            ("an unknown section", "[nod]\nnode-name = x\n", ("nod",)),
            ("a value out of range", "[capture]\nmax-captures = 0\n", ("max-captures", "2")),
            ("no value", "[capture]\nbacklog = much\n", ("backlog", "much")),
            ("a secret", "[store]\nencryption-key = hush-hush\n", ("encryption-key",)),
            ("no line of a file", "[node]\njust words\n", ("2",))):
        bad = write(os.path.join(folder, "bad.ini"), text)
        code, out, err = command("config", "check", bad)
        t.check(f"config check: {name} is found and named", code in (1, 2) and
                all(w in out + err for w in words) and "hush-hush" not in out + err, code, out + err)
        refuses(t, f"the node does not start with {name} either", folder, "--config", bad, words=words)
    refuses(t, "a file that is not there is named", folder, "--config", "/nosuch/file",
            words=("/nosuch/file",))


def test_addresses(t):
    folder = place("addresses")
    with Node(folder, http=("127.0.0.1:0", "[::1]:0")) as node:
        t.equal("two addresses, IPv6 among them", {"127.0.0.1", "::1"}, {a for a, _ in node.addresses})
        for address in node.addresses:
            t.equal(f"{address[0]} answers", 200, ws_raw.get(address, "/interfaces").status)
        taken = node.address[1]
        refuses(t, "a port in use is named", place("taken"), http=(f"127.0.0.1:{taken}",),
                words=(str(taken), "another program", "--http-addr"), code=(1,))
        refuses(t, "and where it was given", place("taken2"), "--pcapng-listen", f"127.0.0.1:{taken}={IF_B}",
                words=(str(taken), "another program", "another with --pcapng-listen"), code=(1,))
    for bad in ("127.0.0.1", "127.0.0.1:port", "127.0.0.1:70000", "[::1", "nosuch.invalid:0"):
        refuses(t, f"--http-addr {bad} is refused", folder, http=(bad,), words=(bad.split(":")[0],))


def test_fail_closed(t):
    folder = place("closed")
    refuses(t, "without TLS nothing listens beyond loopback, and the ways out are told", folder,
            http=("10.77.0.2:0",), words=("--tls-cert", "--insecure"))
    refuses(t, "without a key not even with --insecure, and the command is told", folder, "--insecure", http=("0.0.0.0:0",), words=("keys add",))
    with Node(folder) as node:
        t.check("on loopback it warns that every local user can read packets",
                node.has_said("warning: .*key"), node.said())
    add_key(folder, "admin")
    refuses(t, "with a key but without TLS: --insecure is named", folder, http=("10.77.0.2:0",),
            words=("--insecure", "--tls-cert"))
    with Node(folder, "--insecure", http=("10.77.0.2:0",)) as node:
        t.equal("with --insecure it listens, and wants the key", 401, node.get("/interfaces").status)
        t.equal("Host 'localhost', as through a forwarded port, is this node", 200,
                node.get("/", headers={"Host": "localhost:18080"}).status)
        node.stop()
    refuses(t, "--pcapng-listen beyond loopback needs --insecure", place("pcapng"), "--pcapng-listen",
            f"10.77.0.2:0={IF_B}", words=("--insecure",))
    refuses(t, "--pcapng-listen with a bad filter says so at the start", place("pcapng"),
            "--pcapng-listen", f"127.0.0.1:0={IF_B},tcp prot 80", words=("syntax error",))
    kept = os.path.join(folder, "packets.db.d", "api-keys")
    os.chmod(kept, 0o644)
    refuses(t, "keys that others can read are refused", folder, words=("api-keys",))
    os.chmod(kept, 0o600)
    with open(kept, "a", encoding="ascii") as file:
        file.write("garbage")
    refuses(t, "keys that cannot be read: no start, rather than none in force", folder,
            words=("api-keys",))


def test_tls(t):
    folder = place("tls")
    authority = Authority(os.path.join(folder, "ca"))
    certificate, key = authority.issue()
    other = Authority(os.path.join(folder, "other"))
    other_certificate, other_key = other.issue("another")
    refuses(t, "a certificate and the key of another are refused", folder, "--tls-cert", certificate,
            "--tls-key", other_key, words=(other_key,))
    os.chmod(key, 0o644)
    refuses(t, "a private key that others can read is refused", folder, "--tls-cert", certificate,
            "--tls-key", key, words=(key,))
    os.chmod(key, 0o600)
    refuses(t, "a certificate without a key is a wrong usage", folder, "--tls-cert", certificate,
            words=("--tls-key",))
    with Node(folder, "--tls-cert", certificate, "--tls-key", key) as node:
        node.tls = authority.context()
        t.equal("https answers", 200, node.get("/interfaces").status)
        viewer = node.watch(IF_B, OURS)
        sender = end_a()
        sender.send(numbered(1))
        t.equal("wss brings packets", numbered(1), viewer.binary())
        answer = ws_raw.get(node.address, "/") if not plain_is_dropped(node.address) else None
        t.check("plain HTTP on the TLS port gets no page", answer is None or answer.status == 400, answer)
        for version, name in ((ws_raw_tls(authority, "TLSv1_2"), "1.2"),
                              (ws_raw_tls(authority, "TLSv1_3"), "1.3")):
            t.equal(f"TLS {name}", 200, node.get("/", tls=version).status)
        old = subprocess.run(["openssl", "s_client", "-connect", "127.0.0.1:%d" % node.address[1],
                              "-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], stdin=subprocess.DEVNULL,
                             capture_output=True, check=False)
        t.check("TLS 1.1 is refused", old.returncode != 0, old.stdout[-300:])

        shutil.copy(other_certificate, certificate)
        node.send_signal(signal.SIGHUP)
        t.check("SIGHUP with a pair that does not fit: told, and the old one stays",
                wait_for(5, lambda: node.has_said("stays|not fit|mismatch")) and
                node.get("/").status == 200, node.said())
        shutil.copy(other_key, key)
        node.send_signal(signal.SIGHUP)
        new = other.context()

        def is_new():
            try:
                return node.get("/", tls=new).status == 200
            except OSError:
                return False
        t.check("SIGHUP: new connections get the new certificate", wait_for(5, is_new), node.said())
        sender.send(numbered(2))
        t.equal("running connections stay", numbered(2), viewer.binary())
        viewer.finish()
        _, took = node.stop()
        t.check("it ends in time with TLS too", took < 5, took)
    certificate, key = authority.issue("brief", ends=4)
    with Node(folder, "--tls-cert", certificate, "--tls-key", key) as node:
        node.tls = authority.context()
        viewer = node.watch(IF_B, OURS)
        t.check("a certificate that is about to expire is warned of", node.has_said("expire"),
                node.said())
        anybody = ws_raw_tls(authority, None)

        def health():
            return node.get("/health", tls=anybody)
        t.check("/health fails when it has expired and says so", wait_for(
            10, lambda: health().status == 503 and "certificate" in health().text()), health())
        sender.send(numbered(3))
        t.equal("running connections stay when it expires", numbered(3), viewer.binary())


def ws_raw_tls(authority, version):
    """A context of one version; None: one that checks nothing."""
    import ssl
    context = authority.context()
    if version:
        context.minimum_version = context.maximum_version = getattr(ssl.TLSVersion, version)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def plain_is_dropped(address):
    try:
        ws_raw.get(address, "/", timeout=5)
        return False
    except (ws_raw.Closed, OSError, ValueError, IndexError):
        return True


def test_drain(t):
    folder = place("drain")
    for number, name in ((signal.SIGTERM, "SIGTERM"), (signal.SIGINT, "SIGINT")):
        with Node(folder) as node:
            sender = end_a()
            viewers = [node.watch(IF_B, OURS) for _ in range(20)]
            stopped = node.watch(IF_B, OURS, small_window=True)
            half_open = ws_raw.Wire(node.address)
            half_open.send(b"GET / HTTP/1.1\r\n")
            identity = node.http("POST", "/api/v1/captures", {"interfaces": [IF_B]}).json()["id"]
            sender.send(*(numbered(i, 1000) for i in range(3000)))
            viewers[0].until(lambda f: f == numbered(2999, 1000))
            box = []
            thread = threading.Thread(target=lambda n=node, b=box, s=number: b.append(n.stop(s)))
            thread.start()
            codes = []
            for viewer in viewers:
                code, reason = viewer.closed_by_peer()
                codes.append(code)
                viewer.send(ws_raw.CLOSE, viewer.close_payload[:2])
            thread.join()
            t.equal(f"{name}: every viewer gets a close frame 1001", [1001] * 20, codes)
            t.check(f"{name}: exit 0 within 5 s, although a viewer never reads and a request is half",
                    box[0][0] == 0 and box[0][1] < 5, box, node.said())
            print(f"# drained in {box[0][1]:.2f} s", flush=True)
            stopped.close()
            half_open.close()
            code, out, err = command("sessions", "--json", "--database", node.database)
            kept = [s for s in json.loads(out) if s["id"] == identity]
            t.check(f"{name}: the recording is flushed and complete", len(kept) == 1 and
                    kept[0]["state"] == "complete" and kept[0]["packets"] >= 3000, kept, err)
    with Node(folder) as node:
        viewer = node.watch(IF_B, OURS, small_window=True)
        node.send_signal(signal.SIGTERM)
        wait_for(2, lambda: node.has_said("SIGTERM"))
        refused = None
        try:
            socket.create_connection(node.address, 1).close()
        except OSError as error:
            refused = error
        t.check("while it ends it takes no new connections", refused is not None or node.has_ended())
        viewer.close()


def test_rights(t):
    folder = place("rights")

    def status(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)

    with Node(folder) as node:
        found = status(node.pid)
        t.equal("started as root it keeps CAP_NET_RAW and CAP_NET_ADMIN alone", "0000000000003000",
                found["CapEff"])
        t.equal("nor can it get more", "0000000000003000", found["CapPrm"])
    nobody = pwd.getpwnam("nobody")
    folder = place("nobody")
    os.chmod(FOLDER, 0o755)
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    key = add_key(folder, "admin")  # by root, before the node has made anything
    with Node(folder, "--user", "nobody") as node:
        t.equal("the first key that root adds can be read by the node's user", 401,
                node.get("/interfaces").status)
        node.key = key
        found = status(node.pid)
        t.check("--user: another user, no other groups, two capabilities",
                set(found["Uid"].split()) == {str(nobody.pw_uid)} and
                set(found["Gid"].split()) == {str(nobody.pw_gid)} and
                set(found["Groups"].split()) <= {str(nobody.pw_gid)} and
                found["CapEff"] == "0000000000003000" and found["NoNewPrivs"] == "1", found)
        viewer = node.watch(IF_B, OURS)
        end_a().send(numbered(4))
        t.equal("it captures", 4, number_in(viewer.binary()))
        answer = node.http("POST", "/api/v1/captures", {"interfaces": [IF_B], "max_packets": 1})
        t.equal("and records", 201, answer.status)
        t.equal("and answers queries", 200, node.get("/api/v1/sessions").status)
    refuses(t, "--user of nobody that exists", place("rights"), "--user", "nosuchuser",
            words=("nosuchuser",))


def test_serve_and_doctor(t):
    folder = place("serve")
    p = subprocess.Popen([BIN, "serve", "--http-addr", "127.0.0.1:0", "--database",
                          os.path.join(folder, "packets.db")], stderr=subprocess.PIPE,
                         stdout=subprocess.DEVNULL)
    with open(f"/proc/{p.pid}/comm", encoding="ascii") as file:
        wait_for(10, lambda: (file.seek(0), file.read())[1].startswith("packetrecorderd"[:15]))
        file.seek(0)
        t.equal("packetrecorder serve becomes packetrecorderd", "packetrecorderd"[:15],
                file.read().strip())
    while b"http on" not in p.stderr.readline():
        pass
    p.send_signal(signal.SIGTERM)
    t.equal("and ends with 0", 0, p.wait(10))
    p.stderr.close()
    code, out, err = command("doctor")
    t.check("doctor says what it looked at", code in (0, 1, 3) and
            all(re.search(w, out, re.I) for w in ("right", "buffer", "offload", "clock", "disk", "port")),
            code, out, err)
    owned_by_root = place("doctor-keys")
    add_key(owned_by_root, "view")
    code, out, err = command("doctor", "--database", os.path.join(owned_by_root, "packets.db"),
                             "--user", "nobody", "--tls-cert", "/nosuch.crt", "--tls-key",
                             "/nosuch.key")
    t.check("doctor finds keys that the node's user cannot read", code == 1 and
            "chown nobody" in out and "api-keys" in out, code, out, err)
    t.check("doctor says how a certificate that is missing is made", "openssl req -x509" in out, out)
    code, out, err = command("doctor", "--user", "nosuchuser")
    t.check("doctor finds a --user of nobody that exists", code == 1 and
            "there is no user 'nosuchuser'" in out, code, out, err)
    code, out, err = command("doctor", "--json")
    t.check("doctor --json is JSON", isinstance(json.loads(out), (list, dict)), out[:300], err)
    with Node(folder) as node:
        path = write(os.path.join(folder, "doctor.ini"),
                     f"[http]\nhttp-addr = 127.0.0.1:{node.address[1]}\n")
        code, out, err = command("doctor", "--config", path)
        t.check("doctor finds a port that is taken", code != 0 and str(node.address[1]) in out, out, err)
    # A copy: the tree may lie where nobody may look, as in /root.
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o755)
        program = shutil.copy(BIN, open_to_all)
        p = subprocess.run([program, "doctor"], stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                           check=False, cwd="/", user=65534, group=65534, extra_groups=[])
    code, out, err = p.returncode, p.stdout.decode(errors="replace"), p.stderr.decode(errors="replace")
    t.check("doctor without rights says the command that gives them", code != 0 and
            re.search("setcap|sudo|--user|systemctl", out), code, out, err)


def test_notify(t):
    """What systemd is told (sd_notify): the unit is Type=notify with a watchdog."""
    path = os.path.join(FOLDER, "notify")
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(path)
    s.settimeout(5)

    def told(word):
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            if any(line.startswith(word) for line in s.recv(4096).decode().splitlines()):
                return True
        return False

    with Node(place("notify-node"), env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "400000"}) as node:
        t.check("READY=1 when it listens", told("READY=1") and node.addresses)
        t.check("WATCHDOG=1 again and again", told("WATCHDOG=1") and told("WATCHDOG=1"))
        node.stop()
        t.check("STOPPING=1 at its end", told("STOPPING=1"))
    s.close()


def test_unit_file(t):
    root = os.environ["PR_ROOT"]
    units = subprocess.run(["git", "-C", root, "ls-files", "*.service*", "*sysusers*", "*tmpfiles*"],
                           capture_output=True, text=True, check=False).stdout.split()
    t.check("there are a unit, sysusers and tmpfiles", len(units) >= 3, units)
    unit = next((u for u in units if ".service" in u), None)
    with open(os.path.join(root, unit), encoding="utf-8") as file:
        text = file.read()
    for word in ("AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN", "NoNewPrivileges=yes",
                 "ProtectSystem=strict", "SystemCallFilter=", "RestrictAddressFamilies=",
                 "ExecReload="):
        t.check(f"the unit has {word}", any(line.replace("true", "yes").startswith(word)
                                            for line in text.splitlines()) or
                word in text, text)


def main():
    tap = Checks()
    tap.run([test_help, test_configuration, test_addresses, test_fail_closed, test_tls, test_drain,
             test_rights, test_serve_and_doctor, test_notify, test_unit_file])
    finish(tap)


main()
