#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""crash_commands.py SCRATCH: kills the commands that change a store at random instants, and looks at
what is left: verify is clean, and each session is there whole or gone whole. Called by crash.sh."""
import os
import random
import shutil
import signal
import subprocess
import sys
import time

import recorder

SCRATCH = sys.argv[1]
KILLS = int(os.environ.get("PR_KILLS", "20"))
SESSIONS = 6
PACKETS = 1500


class Work:
    """A fresh copy of a template store for each kill."""

    def __init__(self, template):
        self.template = template
        self.store = recorder.Store(os.path.join(SCRATCH, "work.db"), template.key)

    def begin(self):
        self.end()
        shutil.copy(self.template.path, self.store.path)
        shutil.copytree(self.template.path + ".d", self.store.path + ".d")
        return self.store

    def end(self):
        shutil.rmtree(self.store.path + ".d", ignore_errors=True)
        for name in os.listdir(SCRATCH):
            if name.startswith("work.db"):
                os.unlink(os.path.join(SCRATCH, name))


def make_template(name, key):
    store = recorder.Store(os.path.join(SCRATCH, name), key)
    for i in range(SESSIONS):
        path = os.path.join(SCRATCH, "in.pcap")
        with open(path, "wb") as f:
            f.write(recorder.pcap_bytes(recorder.numbered_packets(i * PACKETS, PACKETS, size=1800)))
        code, _, err = store.run("capture", "-r", path, "--name", f"s{i}")
        assert code == 0, err
    return store


def run_killed(command, after_s):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    time.sleep(after_s)
    process.send_signal(signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


# A time is seldom between two writes; strace kills exactly there.
STRACE = shutil.which("strace")
CALLS = ("write,writev,pwrite64,rename,unlink,ftruncate,truncate,fdatasync,fsync,openat,mkdir,"
         "fallocate")


def count_calls(command):
    """The most of CALLS that one thread of the command makes."""
    log = os.path.join(SCRATCH, "calls")
    subprocess.run([STRACE, "-f", "-qq", "-o", log, "-e", "trace=" + CALLS, *command],
                   stdin=subprocess.DEVNULL, capture_output=True, check=False)
    threads = {}
    with open(log, encoding="utf-8", errors="replace") as f:
        for line in f:
            thread = line.split()[0]
            threads[thread] = threads.get(thread, 0) + 1
    return max(threads.values(), default=1)


def run_killed_at_call(command, number):
    process = subprocess.run([STRACE, "-f", "-qq", "-o", "/dev/null", "-e", "trace=" + CALLS, "-e",
                              f"inject={CALLS}:signal=SIGKILL:when={number}", *command],
                             stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return process.returncode in (-signal.SIGKILL, 128 + signal.SIGKILL)


def duration(command):
    began = time.monotonic()
    code = subprocess.run(command, capture_output=True, check=False).returncode
    assert code == 0, command
    return time.monotonic() - began


def wrong_with_store(store, names):
    """Verify is clean, and of the sessions `names` (a list of lists: one of them) all packets are
    there and nothing else is on disk. None, or what is wrong."""
    code, out, err = store.run("verify")
    if code != 0 or not out.endswith("clean\n"):
        return f"verify: exit {code}\n{out}{err}"
    sessions = store.sessions()
    found = sorted(s["name"] for s in sessions)
    if found not in names:
        return f"sessions {found}"
    for s in sessions:
        first = int(s["name"][1:]) * PACKETS if s["name"][0] == "s" else None
        code, packets, err = store.packets(s["id"])
        if code != 0:
            return f"export: exit {code}\n{err}"
        numbers = recorder.numbers_of(packets)
        if first is not None and numbers != list(range(first, first + PACKETS)):
            return f"session {s['name']} has {len(numbers)} packets"
    ids = {s["id"] for s in sessions}
    strays = [f for f in os.listdir(store.path + ".d") if f.endswith(".seg") and f[:36] not in ids]
    return f"files of no session: {strays}" if strays else None


ALL = [f"s{i}" for i in range(SESSIONS)]


def kill_many(tap, name, work, rng, command_of, prepare, judge):
    """command_of(store) is the command, prepare(store) changes the fresh copy, judge(store) says
    what is wrong afterwards."""
    store = work.begin()
    prepare(store)
    longest = duration(command_of(store)) * 1.1
    calls = 0
    if STRACE:
        store = work.begin()
        prepare(store)
        calls = count_calls(command_of(store))
    killed = 0
    for i in range(KILLS):
        store = work.begin()
        prepare(store)
        if calls > 0 and i % 2:
            killed += run_killed_at_call(command_of(store), rng.randint(1, calls))
        else:
            killed += run_killed(command_of(store), rng.uniform(0, longest))
        if i % 4 >= 2:
            store.run("sessions")  # a reader may be the first to come, and repairs too
        wrong = judge(store)
        if wrong is not None:
            tap.check(f"{name}: kill {i}", False, wrong)
            return
    tap.check(f"{name}: {KILLS} kills ({killed} before its end)", True)


def nothing(_store):
    pass


def lose_catalogue(store):
    os.unlink(store.path)


def break_catalogue(store):
    with open(store.path, "r+b") as f:
        f.write(b"\xa5" * 200)


def one_kind(tap, template, kind, rng):
    work = Work(template)
    whole = lambda store: wrong_with_store(store, [ALL])
    kill_many(tap, f"{kind}: verify", work, rng, lambda s: s.command("verify"), nothing, whole)
    kill_many(tap, f"{kind}: verify without a catalogue", work, rng,
              lambda s: s.command("verify"), lose_catalogue, whole)
    kill_many(tap, f"{kind}: verify with a broken catalogue", work, rng,
              lambda s: s.command("verify"), break_catalogue, whole)
    kill_many(tap, f"{kind}: delete", work, rng, lambda s: s.command("delete", "s2"),
              nothing, lambda s: wrong_with_store(s, [ALL, [n for n in ALL if n != "s2"]]))
    kept = [ALL[i:] for i in range(SESSIONS + 1)]
    kill_many(tap, f"{kind}: prune", work, rng, lambda s: s.command("prune", "--max-bytes", "4MB"),
              nothing, lambda s: wrong_with_store(s, kept))
    path = os.path.join(SCRATCH, "in.pcap")
    ring = kept + [sorted(k + ["new"]) for k in kept]
    kill_many(tap, f"{kind}: import under a quota", work, rng,
              lambda s: s.command("capture", "-r", path, "--quota", "9MB", "--name", "new"),
              nothing, lambda s: wrong_with_store(s, ring))
    work.end()


def rekey(tap, template, rng):
    work = Work(template)
    new_key = recorder.key_file(os.path.join(SCRATCH, "new.key"))

    def judge(store):
        with_old = recorder.Store(store.path, template.key)
        with_new = recorder.Store(store.path, new_key)
        opens = [s for s in (with_old, with_new) if s.run("sessions")[0] == 0]
        if len(opens) != 1:
            return f"{len(opens)} keys open it: {with_old.run('sessions')} {with_new.run('sessions')}"
        wrong = wrong_with_store(opens[0], [ALL])
        if wrong is not None:
            return wrong
        if opens[0] is with_old:
            code, _, err = with_old.run("rekey", "--new-key-file", new_key)
            if code != 0:
                return f"rekey again: exit {code}\n{err}"
        if with_old.run("sessions")[0] == 0:
            return "the old key still opens it"
        left = [f for f in os.listdir(store.path + ".d") if "new" in f or "rekey" in f]
        return f"left: {left}" if left else wrong_with_store(with_new, [ALL])

    kill_many(tap, "rekey", work, rng, lambda s: s.command("rekey", "--new-key-file", new_key),
              nothing, judge)
    work.end()


def main():
    tap = recorder.Tap()
    rng = random.Random(recorder.seed())
    key = recorder.key_file(os.path.join(SCRATCH, "commands.key"))
    one_kind(tap, make_template("template.db", None), "plain", rng)
    sealed = make_template("sealed-template.db", key)
    one_kind(tap, sealed, "sealed", rng)
    rekey(tap, sealed, rng)
    recorder.finish(tap)


if __name__ == "__main__":
    main()
