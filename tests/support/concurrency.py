#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""concurrency.py SCRATCH NAMESPACE INTERFACE: several programs on one store. Called by
concurrency.sh."""
import os
import subprocess
import sys
import threading
import time

import recorder

SCRATCH, NAMESPACE, INTERFACE = sys.argv[1:4]
SESSIONS = int(os.environ.get("PR_SESSIONS", "500"))
ROUNDS = 12
FILTER = ("--", "udp dst port 7777")


def is_prefix(numbers, before):
    """Gap-free, from where the others began, and no shorter."""
    return numbers == list(range(numbers[0], numbers[0] + len(numbers))) and (
        not before or (numbers[0] == before[0] and len(numbers) >= len(before)))


def read_once(store, live, before):
    """(what is wrong or None, numbers)"""
    listed = [s for s in store.sessions() if s["id"] == live.id]
    if len(listed) != 1 or listed[0]["state"] != "running":
        return f"sessions: {listed}", before
    code, out, err = store.run("query", "-s", live.id, "--count")
    if code != 0 or int(out) < listed[0]["packets"]:
        return f"query: exit {code}, {out} of {listed[0]['packets']}\n{err}", before
    code, packets, err = store.packets(live.id)
    numbers = recorder.numbers_of(packets)
    if code != 0 or len(numbers) < int(out):
        return f"export: exit {code}, {len(numbers)} of {out}\n{err}", before
    if numbers and not is_prefix(numbers, before):
        return f"export: no prefix: {numbers[:3]}..{numbers[-3:]}, before {before[-3:]}", before
    return None, numbers or before


def reads_beside(tap, name, store):
    live = recorder.Live(store, NAMESPACE, INTERFACE, *FILTER)
    recorder.wait_for(10, lambda: live.id)
    numbers = []
    slowest = 0.0
    for i in range(ROUNDS):
        began = time.monotonic()
        wrong, numbers = read_once(store, live, numbers)
        slowest = max(slowest, time.monotonic() - began)
        if wrong is not None:
            tap.check(f"{name}: a reader beside the writer, round {i}", False, wrong, live.said())
            break
        time.sleep(0.1)
    else:
        tap.check(f"{name}: {ROUNDS} times sessions, query and export beside a running capture give "
                  f"a growing prefix (slowest {slowest:.2f} s)", len(numbers) > 0)
    refuses(tap, name, store, live)
    live.end()
    s = [s for s in store.sessions() if s["id"] == live.id][0]
    tap.check(f"{name}: the capture was not disturbed", s["state"] == "complete" and
              s["loss"]["store"] == 0, s)


def refuses(tap, name, store, live):
    """Whatever writes is refused by name while a capture runs."""
    pid = str(live.process.pid)
    path = os.path.join(SCRATCH, "in.pcap")
    with open(path, "wb") as f:
        f.write(recorder.pcap_bytes(recorder.numbered_packets(0, 10)))
    new_key = recorder.key_file(os.path.join(SCRATCH, "other.key"))
    commands = [("capture", "-r", path), ("delete", "last"), ("prune", "--max-bytes", "1MB"),
                ("verify",)]
    if store.key:
        commands.append(("rekey", "--new-key-file", new_key))
    for command in commands:
        code, _, err = store.run(*command)
        tap.check(f"{name}: {command[0]} is refused while a capture runs, with its pid",
                  code == 1 and pid in err and "in use" in err, code, err)


def starts_at_once(tap, store):
    """Writers that start together: one wins, and each of the others says why not."""
    path = os.path.join(SCRATCH, "in.pcap")
    with open(path, "wb") as f:
        f.write(recorder.pcap_bytes(recorder.numbered_packets(0, 2000)))
    before = len(store.sessions())
    running = [subprocess.Popen(store.command("capture", "-r", path), stdout=subprocess.DEVNULL,
                                stderr=subprocess.PIPE) for _ in range(8)]
    ends = [(p.communicate()[1].decode(), p.returncode) for p in running]
    won = sum(code == 0 for _, code in ends)
    told = all("in use" in err for err, code in ends if code != 0)
    tap.check(f"8 imports at once: {won} done, the others refused", won >= 1 and told and
              len(store.sessions()) - before == won, ends)
    code, out, err = store.run("verify")
    tap.check("8 imports at once: the store is clean", code == 0 and out.endswith("clean\n"), out,
              err)


def reads_under_retention(tap, store):
    """Exports while whole sessions are deleted: what comes is right, what is gone is said."""
    path = os.path.join(SCRATCH, "in.pcap")
    for i in range(12):
        with open(path, "wb") as f:
            f.write(recorder.pcap_bytes(recorder.numbered_packets(i * 1000, 1000, size=1000)))
        store.run("capture", "-r", path, "--name", f"s{i}")
    wrong = []
    over = threading.Event()
    rounds = [0]

    def export_on():
        while not over.is_set():
            code, packets, err = store.packets("all")
            numbers = recorder.numbers_of(packets)
            rounds[0] += 1
            if code not in (0, 3) and "no session" not in err:
                wrong.append(f"exit {code}\n{err}")
            if code == 3 and "deleted" not in err:
                wrong.append(err)
            if numbers != sorted(set(numbers)):
                wrong.append(f"wrong packets: {len(numbers)}")

    reader = threading.Thread(target=export_on)
    reader.start()
    for i in range(11):
        code, _, err = store.run("delete", f"s{i}")
        if code != 0:
            wrong.append(f"delete: exit {code}\n{err}")
    time.sleep(0.1)
    over.set()
    reader.join()
    tap.check(f"{rounds[0]} exports of all while sessions are deleted", not wrong, *wrong[:3])
    left = [f for f in os.listdir(store.path + ".d") if f.endswith(".seg")]
    tap.check("only the segments of the last session are left", len(left) == 1, left)


def many_sessions(tap, store):
    path = os.path.join(SCRATCH, "tiny.pcap")
    with open(path, "wb") as f:
        f.write(recorder.pcap_bytes(recorder.numbered_packets(0, 3)))
    took = []
    for _ in range(SESSIONS):
        began = time.monotonic()
        code, _, err = store.run("capture", "-r", path)
        took.append(time.monotonic() - began)
        if code != 0:
            tap.check("an import into a store of many sessions", False, code, err)
            return
    tenth = max(1, SESSIONS // 10)
    first, last = sorted(took[:tenth])[tenth // 2], sorted(took[-tenth:])[tenth // 2]
    tap.check(f"{SESSIONS} sessions: the last imports take as long as the first "
              f"({first * 1000:.0f} ms, {last * 1000:.0f} ms)", last < first * 4 + 0.02)
    began = time.monotonic()
    listed = store.sessions()
    seconds = time.monotonic() - began
    tap.check(f"{SESSIONS} sessions are listed in less than a second ({seconds:.3f} s)",
              len(listed) == SESSIONS and seconds < 1)
    began = time.monotonic()
    code, out, err = store.run("query", "-s", "all", "--count", "-f", "udp")
    seconds = time.monotonic() - began
    tap.check(f"query -s all counts their packets ({seconds:.2f} s)",
              code == 0 and int(out) == 3 * SESSIONS, code, out, err)
    code, packets, err = store.packets("all")
    tap.check("export -s all has them", code == 0 and len(packets) == 3 * SESSIONS, code, err)
    began = time.monotonic()
    code, out, err = store.run("verify")
    seconds = time.monotonic() - began
    tap.check(f"verify finds them clean ({seconds:.2f} s)", code == 0 and out.endswith("clean\n"),
              out, err)
    os.unlink(store.path)
    began = time.monotonic()
    listed = store.sessions()
    tap.check(f"and they come back when the catalogue is lost ({time.monotonic() - began:.2f} s)",
              len(listed) == SESSIONS)


def main():
    tap = recorder.Tap()
    key = recorder.key_file(os.path.join(SCRATCH, "key"))
    plain = recorder.Store(os.path.join(SCRATCH, "plain.db"))
    sealed = recorder.Store(os.path.join(SCRATCH, "sealed.db"), key)
    reads_beside(tap, "plain", plain)
    reads_beside(tap, "sealed", sealed)
    starts_at_once(tap, sealed)
    reads_under_retention(tap, recorder.Store(os.path.join(SCRATCH, "retention.db"), key))
    many_sessions(tap, recorder.Store(os.path.join(SCRATCH, "many.db")))
    recorder.finish(tap)


if __name__ == "__main__":
    main()
