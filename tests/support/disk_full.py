#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""disk_full.py SCRATCH NS_A IF_A NS_B IF_B: SCRATCH/disk is a file system of 64 MiB; numbered
packets come in at IF_B. Called by disk_full.sh."""
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import recorder

SCRATCH, NS_A, IF_A, NS_B, IF_B = sys.argv[1:6]
DISK = os.path.join(SCRATCH, "disk")
FILLER = os.path.join(DISK, "filler")
NUMBERED = ("--", "udp dst port 7777")
FLOODED = ("--compression", "off", "--", "not udp dst port 7777")


def clean_disk():
    for name in os.listdir(DISK):
        path = os.path.join(DISK, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)


def flood(count, size, pps):
    subprocess.run(["ip", "netns", "exec", NS_A,
                    os.path.join(os.environ["PR_BUILD"], "tests/bench/flood"), IF_A,
                    "02:00:00:00:00:99", str(count), str(size), "16", str(pps)],
                   check=True, capture_output=True)


def session(store, identity):
    found = [s for s in store.sessions() if s["id"] == identity]
    return found[0] if found else {"state": None}


def has_state(store, live, state):
    return recorder.wait_for(15, lambda: session(store, live.id)["state"] == state)


def check_clean(tap, name, store):
    code, out, err = store.run("verify")
    tap.check(f"{name}: verify is clean", code == 0 and out.endswith("clean\n"), out, err)


def check_readable(tap, name, store, s):
    code, packets, err = store.packets(s["id"])
    tap.check(f"{name}: everything stored is readable", code == 0 and len(packets) == s["packets"],
              f"exit {code}, {len(packets)} of {s['packets']}", err)
    return recorder.numbers_of(packets)


def fills_and_frees(tap, name, store):
    live = recorder.Live(store, NS_B, IF_B, *NUMBERED)
    recorder.wait_for(10, lambda: live.id)
    time.sleep(0.5)
    recorder.fill_disk(FILLER)
    tap.check(f"{name}: a reader sees disk_full while the capture runs",
              has_state(store, live, "disk_full"), live.said())
    time.sleep(1)
    os.unlink(FILLER)
    tap.check(f"{name}: with room again it is running", has_state(store, live, "running"),
              session(store, live.id))
    room_ns = time.time_ns()
    time.sleep(1.2)
    ended_ns, code = live.end()
    s = session(store, live.id)
    tap.check(f"{name}: it ends complete", code == 0 and s["state"] == "complete", code, s,
              live.said())
    numbers = check_readable(tap, name, store, s)
    lost = int(re.search(r"(\d+) packets captured", live.said())[1]) - len(numbers)
    tap.check(f"{name}: what is not stored was counted in loss.store",
              lost > 0 and lost == s["loss"]["store"], lost, s["loss"], live.said())
    sent = recorder.times_sent(os.path.join(SCRATCH, "sent"))
    after = set(n for n, t in enumerate(sent) if room_ns < t < ended_ns - 10**7)
    tap.check(f"{name}: what came after is stored", after <= set(numbers),
              sorted(after - set(numbers))[:10])
    check_clean(tap, name, store)


def stays_full(tap, name, store):
    live = recorder.Live(store, NS_B, IF_B, *NUMBERED)
    recorder.wait_for(10, lambda: live.id)
    time.sleep(0.5)
    recorder.fill_disk(FILLER)
    has_state(store, live, "disk_full")
    _, code = live.end()
    s = session(store, live.id)
    tap.check(f"{name}: a capture that ends on a full disk ends with 3 and says so",
              code == 3 and s["state"] == "disk_full" and "disk is full" in live.said(), code, s,
              live.said())
    check_readable(tap, f"{name}, still full", store, s)
    os.unlink(FILLER)
    check_clean(tap, f"{name}, ended full", store)


def stops(tap, store):
    live = recorder.Live(store, NS_B, IF_B, "--on-disk-full", "stop", *NUMBERED)
    recorder.wait_for(10, lambda: live.id)
    time.sleep(0.3)
    recorder.fill_disk(FILLER)
    code = live.wait(timeout=20)
    s = session(store, live.id)
    tap.check("stop: the capture ends with 1 and says why",
              code == 1 and s["state"] == "disk_full" and "disk full" in live.said(), code, s,
              live.said())
    check_readable(tap, "stop", store, s)
    os.unlink(FILLER)
    check_clean(tap, "stop", store)


def drops_oldest(tap, store):
    live = recorder.Live(store, NS_B, IF_B, "--on-disk-full", "drop-oldest", *FLOODED)
    recorder.wait_for(10, lambda: live.id)
    flood(100_000, 1400, 25_000)  # 140 MB onto 64 MiB
    time.sleep(1.5)
    _, code = live.end()
    s = session(store, live.id)
    tap.check("drop-oldest: the capture goes on", code == 0 and s["state"] == "complete", code, s,
              live.said())
    packets = store.packets(s["id"])[1]
    tap.check("drop-oldest: the newest are kept, at least a third of the disk",
              len(packets) == s["packets"] and len(packets) * 1400 > 21 << 20, len(packets), s)
    tap.check("drop-oldest: few are lost on the way", s["loss"]["store"] <= 5000, s)
    tap.check("drop-oldest: without gaps from the oldest kept one to the end",
              s["loss"]["store"] > 0 or packets[-1][0] - packets[0][0] < 10**9 * len(packets) /
              25_000 * 1.5 + 10**9, packets[-1][0] - packets[0][0], len(packets))
    check_clean(tap, "drop-oldest", store)


def imports(tap, store):
    path = os.path.join(SCRATCH, "in.pcap")
    with open(path, "wb") as f:
        f.write(recorder.pcap_bytes(recorder.numbered_packets(0, 40_000, size=1000)))
    recorder.fill_disk(FILLER, leave=12 << 20)
    code, _, err = store.run("capture", "-r", path, "--name", "import")
    tap.check("import: exit 1 and a sentence about the disk", code == 1 and "disk" in err and
              "full" in err, code, err)
    s = store.sessions()[-1]
    tap.check("import: the session is there, disk_full", s["state"] == "disk_full" and
              s["packets"] > 0, s)
    numbers = check_readable(tap, "import", store, s)
    tap.check("import: it is the beginning of the file", numbers == list(range(len(numbers))))
    os.unlink(FILLER)
    check_clean(tap, "import", store)
    return s


def files(tap, store, source):
    """Files written on a full disk: nothing of them is left."""
    outside = recorder.Store(os.path.join(SCRATCH, "outside.db"))
    shutil.copy(store.path, outside.path)
    shutil.copytree(store.path + ".d", outside.path + ".d")
    clean_disk()
    recorder.fill_disk(FILLER, leave=1 << 20)
    for name in ("out.pcapng", "out.pcap", "out.json", "out.csv", "out.db"):
        more = ["--format", "sqlite"] if name == "out.db" else []
        code, _, err = outside.run("export", "-s", source["id"], "-o", os.path.join(DISK, name),
                                   *more)
        left = [f for f in os.listdir(DISK) if f != "filler"]
        tap.check(f"export to {name} on a full disk: exit 1, a sentence, no file",
                  code == 1 and ("full" in err or "space" in err) and left == [], code, err, left)
    copy = os.path.join(DISK, "copy.pcapng")
    p = subprocess.run([recorder.BIN, "capture", "-r", os.path.join(SCRATCH, "in.pcap"), "-w",
                        copy], capture_output=True, check=False)
    tap.check("capture -w on a full disk: exit 1 and a sentence", p.returncode == 1 and
              (b"full" in p.stderr or b"space" in p.stderr), p.returncode, p.stderr.decode())
    p = subprocess.run([recorder.BIN, "capture", "-r", copy, "-w", os.path.join(SCRATCH, "again")],
                       capture_output=True, check=False)
    tap.check("capture -w on a full disk: what is there is a whole file", p.returncode == 0,
              p.returncode, p.stderr.decode())


class Watch:
    """The largest that the store's files were together, looked at all the time."""

    def __init__(self, store):
        self.store = store
        self.largest = 0
        self.over = threading.Event()
        self.thread = threading.Thread(target=self.run)
        self.thread.start()

    def run(self):
        while not self.over.is_set():
            out = subprocess.run(["du", "-s", "--block-size=1", "--total", self.store.path,
                                  self.store.path + ".d"], capture_output=True, check=False).stdout
            total = out.decode().split("\n")[-2].split()[0] if out else "0"
            self.largest = max(self.largest, int(total))
            time.sleep(0.01)

    def end(self):
        self.over.set()
        self.thread.join()
        return self.largest


def quota(tap, store):
    path = os.path.join(SCRATCH, "old.pcap")
    for i in range(3):
        with open(path, "wb") as f:
            f.write(recorder.pcap_bytes(recorder.numbered_packets(i * 2000, 2000, size=1000)))
        store.run("capture", "-r", path, "--name", f"old{i}")
    limit = 20_000_000
    watch = Watch(store)
    live = recorder.Live(store, NS_B, IF_B, "--quota", str(limit), "--name", "ring", *FLOODED)
    recorder.wait_for(10, lambda: live.id)
    seen = []
    for _ in range(6):
        flood(7_000, 1400, 25_000)
        seen.append([s["name"] for s in store.sessions()])
    time.sleep(1)
    _, code = live.end()
    largest = watch.end()
    s = session(store, live.id)
    tap.check("quota: the capture goes on", code == 0 and s["state"] == "complete", code, s,
              live.said())
    tap.check(f"quota: the disk never holds more ({largest} of {limit})", largest <= limit)
    tap.check("quota: it is used", s["stored_bytes"] > limit // 2, s)
    ordered = all(names in (["old0", "old1", "old2", "ring"], ["old1", "old2", "ring"],
                            ["old2", "ring"], ["ring"]) for names in seen)
    tap.check("quota: the oldest go first", ordered and seen[-1] == ["ring"], seen)
    tap.check("quota: nothing is lost on the way", s["loss"]["store"] == 0, s)
    check_readable(tap, "quota", store, s)
    check_clean(tap, "quota", store)


def main():
    tap = recorder.Tap()
    key = recorder.key_file(os.path.join(SCRATCH, "key"))
    plain = recorder.Store(os.path.join(DISK, "plain.db"))
    sealed = recorder.Store(os.path.join(DISK, "sealed.db"), key)
    fills_and_frees(tap, "plain", plain)
    fills_and_frees(tap, "sealed", sealed)
    stays_full(tap, "sealed", sealed)
    stops(tap, plain)
    source = imports(tap, plain)
    files(tap, plain, source)
    clean_disk()
    drops_oldest(tap, sealed)
    clean_disk()
    quota(tap, sealed)
    recorder.finish(tap)


if __name__ == "__main__":
    main()
