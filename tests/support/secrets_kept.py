#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""secrets_kept.py SCRATCH NAMESPACE INTERFACE: looks for known plain text in every file of a sealed
store, while it is written, after a crash, a rekey, a deletion and a rebuild. Called by secrets.sh."""
import base64
import os
import shutil
import signal
import socket
import sys
import time

import recorder

SCRATCH, NAMESPACE, INTERFACE = sys.argv[1:4]
FOLDER = os.path.join(SCRATCH, "store")
PASSPHRASE = "tr0ub4dor & the Quick Brown Fox"
PAYLOAD = b"attack at dawn, says the quick brown fox"
NAME, TAG, FILTER = "operation-nightfall", "case=Nightfall-77", "udp portrange 1-65000"
SOURCE, DESTINATION = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
MAC = bytes.fromhex("020000000001")


def needles(*keys):
    """What no file may hold, by name."""
    found = {
        "the payload": PAYLOAD,
        "the sender's mark": b"NUMBERED",
        "the session's name": NAME.encode(),
        "the tag": b"Nightfall-77",
        "the filter": b"portrange",
        "the interface": INTERFACE.encode(),
        "the host": socket.gethostname().encode() if len(socket.gethostname()) > 3 else None,
        "the addresses": SOURCE + DESTINATION,
        "the live addresses": bytes([10, 77, 0, 1, 10, 77, 0, 2]),
        "the MAC address": MAC,
        "the passphrase": PASSPHRASE.encode(),
        "SQL": b"CREATE TABLE",
    }
    for i, path in enumerate(keys):
        with open(path, "rb") as f:
            text = f.read().strip()
        found[f"key {i}"] = text
        if text.startswith(b"prd_"):
            found[f"the bytes of key {i}"] = base64.urlsafe_b64decode(text[4:] + b"=")
    return {name: value for name, value in found.items() if value}


def spoken(wanted):
    """{name of the needle: file} over all files of the folder."""
    found = {}
    for place, _, names in os.walk(FOLDER):
        for name in names:
            try:
                with open(os.path.join(place, name), "rb") as f:
                    data = f.read()
            except FileNotFoundError:
                continue
            for what, needle in wanted.items():
                if needle in data or needle.lower() in data:
                    found.setdefault(what, name)
    return found


def capture_file():
    path = os.path.join(SCRATCH, "secret.pcap")
    packets = [(1_700_000_000 * 10**9 + i, recorder.udp_frame(PAYLOAD + b"%d" % i, 1000 + i))
               for i in range(500)]
    with open(path, "wb") as f:
        f.write(recorder.pcap_bytes(packets))
    return path


def import_all(store, path):
    """With and without compression: what does not shrink is stored as it is."""
    for compression in ("on", "off"):
        code, _, err = store.run("capture", "-r", path, "--name", NAME, "--tag", TAG, "-f", FILTER,
                                 "--compression", compression)
        assert code == 0, err


def say(tap, when, wanted):
    found = spoken(wanted)
    files = sum(len(names) for _, _, names in os.walk(FOLDER))
    tap.check(f"sealed, {when}: nothing is told by its {files} files", not found and files > 0,
              found)


def crash(tap, store, wanted):
    live = recorder.Live(store, NAMESPACE, INTERFACE, "--name", NAME, "--tag", TAG)
    recorder.wait_for(10, lambda: live.id)
    time.sleep(1.2)
    say(tap, "while it is written", wanted)
    live.end(signal.SIGKILL)
    logs = [f for f in os.listdir(FOLDER) if f.endswith("-wal")]
    tap.check("a log is left by the crash", logs and
              os.path.getsize(os.path.join(FOLDER, logs[0])) > 0, os.listdir(FOLDER))
    say(tap, "after a crash, with its log", wanted)
    store.run("verify")
    say(tap, "recovered", wanted)


def main():
    tap = recorder.Tap()
    os.mkdir(FOLDER)
    path = capture_file()
    keys = [recorder.key_file(os.path.join(SCRATCH, f"key{i}")) for i in range(2)]
    phrase = os.path.join(SCRATCH, "phrase")
    with os.fdopen(os.open(phrase, os.O_WRONLY | os.O_CREAT, 0o600), "w") as f:
        f.write(PASSPHRASE + "\n")
    wanted = needles(*keys, phrase)

    plain = recorder.Store(os.path.join(FOLDER, "plain.db"))
    import_all(plain, path)
    live = recorder.Live(plain, NAMESPACE, INTERFACE)
    recorder.wait_for(10, lambda: live.id)
    time.sleep(0.6)
    live.end()
    told = spoken(wanted)
    missing = [w for w in wanted if w not in told and "key" not in w and "phrase" not in w]
    tap.check("the search finds everything in an unencrypted store", not missing, missing, told)
    tap.check("but no key", not [w for w in told if "key" in w or "phrase" in w], told)
    shutil.rmtree(FOLDER)
    os.mkdir(FOLDER)

    store = recorder.Store(os.path.join(FOLDER, "sealed.db"), keys[0])
    import_all(store, path)
    say(tap, "after two imports", wanted)
    crash(tap, store, wanted)
    code, _, err = store.run("rekey", "--new-key-file", phrase)
    tap.check("rekey to a passphrase", code == 0, err)
    say(tap, "after a rekey", wanted)
    store.key = phrase
    code, _, err = store.run("delete", "last")
    tap.check("delete", code == 0, err)
    say(tap, "after a deletion", wanted)
    os.unlink(store.path)
    tap.check("rebuilt", len(store.sessions()) == 2)
    with open(store.path, "r+b") as f:
        f.write(b"\xa5" * 100)
    code, _, err = store.run("verify")
    tap.check("salvaged", code == 0, err)
    say(tap, "after a rebuild and a salvage", wanted)
    modes = {oct(os.stat(os.path.join(p, n)).st_mode & 0o77) for p, _, names in os.walk(FOLDER)
             for n in names}
    tap.check("no file can be read by others", modes == {"0o0"}, modes)
    recorder.finish(tap)


if __name__ == "__main__":
    main()
