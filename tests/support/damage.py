#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""damage.py SCRATCH: damages the files of stores, and judges what the program then says. Called by
damage.sh.

What holds after any damage: no command crashes; every packet that comes out is one that went in,
once; what verify counts as intact comes out, and what is missing was named; and a second verify
finds nothing new."""
import json
import os
import random
import shutil
import sys

import recorder

SCRATCH = sys.argv[1]
FLIPS = int(os.environ.get("PR_FLIPS", "40"))
DEV = os.environ.get("PR_BIN_DEV")
SESSIONS = 3
PACKETS = 6000
ENV_WRONG = ("Sanitizer", "runtime error", "Assertion", "broken promise")


class Case:
    """One damaged copy of a template."""

    def __init__(self, template, binary):
        self.store = recorder.Store(os.path.join(SCRATCH, "case.db"), template.key, binary)
        for name in os.listdir(SCRATCH):
            if name.startswith("case.db"):
                path = os.path.join(SCRATCH, name)
                if os.path.isdir(path):
                    shutil.rmtree(path)
                else:
                    os.unlink(path)
        shutil.copy(template.path, self.store.path)
        shutil.copytree(template.path + ".d", self.store.path + ".d")

    def file(self, name):
        return os.path.join(self.store.path + ".d", name)

    def segments(self):
        return sorted(f for f in os.listdir(self.store.path + ".d") if f.endswith(".seg"))


def make_template(name, key, compression):
    store = recorder.Store(os.path.join(SCRATCH, name), key)
    path = os.path.join(SCRATCH, "in.pcap")
    for i in range(SESSIONS):
        with open(path, "wb") as f:
            f.write(recorder.pcap_bytes(recorder.numbered_packets(i * PACKETS, PACKETS, size=600)))
        code, _, err = store.run("capture", "-r", path, "--name", f"s{i}",
                                 "--compression", compression)
        assert code == 0, err
    return store


def crashed(code, err):
    return code < 0 or code >= 128 or any(word in err for word in ENV_WRONG)


def wrong_output(numbers):
    """Packets that never were, twice or in wrong order within a session, or None."""
    if len(set(numbers)) != len(numbers):
        return "packets come twice"
    if any(n >= SESSIONS * PACKETS for n in numbers):
        return "packets that never were"
    return None


def read_all(store, may_fail, rebuilt=False):
    """(what is wrong or None, numbers, code) of an export of everything."""
    code, packets, err = store.packets("all")
    if crashed(code, err):
        return f"export crashes: {code}\n{err}", [], code
    if code not in (0, 3) and not may_fail:
        return f"export: exit {code}\n{err}", [], code
    numbers = recorder.numbers_of(packets)
    wrong = wrong_output(numbers)
    # A cut end looks like a crash once the catalogue is lost too; the session is recovered then.
    ends = {s["state"] for s in store.sessions()} if code == 0 else set()
    if wrong is None and code == 0 and len(numbers) < SESSIONS * PACKETS and \
            "recovered" not in ends and not rebuilt:
        wrong = f"export: exit 0 with {len(numbers)} packets\n{err}"
    return wrong, numbers, code


def verify(store):
    """(what is wrong or None, report)"""
    code, out, err = store.run("verify", "--json")
    if crashed(code, err) or code not in (0, 3):
        return f"verify: exit {code}\n{out}{err}", None
    report = json.loads(out)
    if report["clean"] != (code == 0):
        return f"verify: exit {code}\n{out}{err}", None
    if code == 3 and "session" not in err and "segment" not in err:
        return f"verify does not say where\n{err}", None
    report["said"] = err
    return None, report


def judge(store, at_least, silent_before_verify=False):
    """What is wrong, or None. at_least: packets that must be there after verify."""
    code, _, err = store.run("sessions", "--json")
    if crashed(code, err) or code not in (0, 1):
        return f"sessions: exit {code}\n{err}"
    code, _, err = store.run("query", "-s", "all", "-l", "0", "--count", "-f", "udp")
    if crashed(code, err):
        return f"query: exit {code}\n{err}"
    wrong, _, _ = read_all(store, may_fail=True) if not silent_before_verify else (None, 0, 0)
    if wrong is not None:
        return "before verify: " + wrong
    wrong, report = verify(store)
    if wrong is not None:
        return wrong
    wrong, numbers, code = read_all(store, may_fail=False, rebuilt=report["catalogue_rebuilt"])
    if wrong is not None:
        return f"after verify: {wrong}\n{report}"
    if len(numbers) != report["packets"] or (
            (code == 0) != report["clean"] and not report["catalogue_rebuilt"]):
        return f"verify says {report}, export gives {len(numbers)} and exit {code}"
    if len(numbers) < at_least:
        return f"only {len(numbers)} of {at_least} packets are left: {report}"
    wrong, second = verify(store)
    if wrong is not None:
        return "second verify: " + wrong
    if second["repaired_frames"] + second["repaired_segments"] > 0 or \
            second["packets"] != report["packets"] or second["clean"] != report["clean"]:
        return f"the second verify says other things: {report} {second}"
    return None


def flip(path, rng, count=1, first=0):
    size = os.path.getsize(path)
    with open(path, "r+b") as f:
        for _ in range(count):
            at = rng.randrange(min(first, size - 1), size)
            f.seek(at)
            byte = f.read(1)[0]
            f.seek(at)
            f.write(bytes([byte ^ 1 << rng.randrange(8)]))


def many(tap, name, template, rng, damage, at_least, times=FLIPS, **more):
    """damage(case, rng) spoils a copy, so many times; every tenth is judged with the sanitizers."""
    for i in range(times):
        state = rng.getstate()
        case = Case(template, DEV if DEV and i % 10 == 3 else recorder.BIN)
        damage(case, rng)
        wrong = judge(case.store, at_least, **more)
        if wrong is not None:
            tap.check(f"{name}: damage {i}", False, wrong, f"case {hash(state) & 0xffff:x}")
            keep = os.environ.get("PR_KEEP")
            if keep:
                shutil.copytree(SCRATCH, keep, dirs_exist_ok=True)
            return
    tap.check(f"{name}: {times} damages", True)


def flip_segment(case, rng):
    flip(case.file(rng.choice(case.segments())), rng)


def flip_header(case, rng):
    path = case.file(rng.choice(case.segments()))
    with open(path, "r+b") as f:
        at = rng.randrange(512)
        f.seek(at)
        byte = f.read(1)[0]
        f.seek(at)
        f.write(bytes([byte ^ 1 << rng.randrange(8)]))


def flip_segment_packets(case, rng):
    flip(case.file(rng.choice(case.segments())), rng, first=512)


def flip_catalogue(case, rng):
    flip(case.store.path, rng, count=rng.choice((1, 1, 4)))


def flip_descriptor(case, rng):
    flip(case.file("store"), rng)


def cut_segment(case, rng):
    path = case.file(rng.choice(case.segments()))
    os.truncate(path, rng.randrange(os.path.getsize(path)))


def cut_catalogue(case, rng):
    os.truncate(case.store.path, rng.randrange(os.path.getsize(case.store.path)))


def flip_everything(case, rng):
    for _ in range(3):
        rng.choice((flip_segment, flip_catalogue, flip_descriptor, cut_segment))(case, rng)


def swap_segments(case, rng):
    one, two = rng.sample(case.segments(), 2)
    shutil.copy(case.file(one), case.file("x"))
    shutil.copy(case.file(two), case.file(one))
    shutil.copy(case.file("x"), case.file(two))
    os.unlink(case.file("x"))


def swap_frames(case, rng):
    """The first frames with packets of two segments change places; lengths may differ."""
    one, two = (case.file(name) for name in rng.sample(case.segments(), 2))
    with open(one, "rb") as f:
        a = f.read()
    with open(two, "rb") as f:
        b = f.read()
    frames_a, frames_b = frames_of(a), frames_of(b)
    (at_a, len_a), (at_b, len_b) = rng.choice(frames_a), rng.choice(frames_b)
    with open(one, "wb") as f:
        f.write(a[:at_a] + b[at_b:at_b + len_b] + a[at_a + len_a:])
    with open(two, "wb") as f:
        f.write(b[:at_b] + a[at_a:at_a + len_a] + b[at_b + len_b:])


def frames_of(data):
    """(offset, length) of the frames with packets."""
    found = []
    at = 512
    while at + 40 <= len(data):
        length = 40 + int.from_bytes(data[at + 20:at + 24], "little")
        if data[at + 4] == 2:
            found.append((at, length))
        at += length
    return found


def remove_segment(case, rng):
    os.unlink(case.file(rng.choice(case.segments())))


def one_kind(tap, kind, template, rng):
    everything = SESSIONS * PACKETS
    # A frame holds about 1 MiB, so 1700 of these packets. A header has a copy.
    frame = 1800
    many(tap, f"{kind}: flips in the frames of segments", template, rng, flip_segment_packets,
         everything - frame)
    many(tap, f"{kind}: flips anywhere in segments", template, rng, flip_segment,
         everything - frame)
    many(tap, f"{kind}: flips in the headers of segments", template, rng, flip_header, everything)
    many(tap, f"{kind}: flips in the catalogue", template, rng, flip_catalogue, everything)
    many(tap, f"{kind}: flips in the store's description", template, rng, flip_descriptor,
         everything, times=FLIPS // 2)
    many(tap, f"{kind}: cut segments", template, rng, cut_segment, everything - PACKETS)
    many(tap, f"{kind}: a cut catalogue", template, rng, cut_catalogue, everything,
         times=FLIPS // 4)
    many(tap, f"{kind}: a lost segment", template, rng, remove_segment, everything - PACKETS,
         times=3)
    many(tap, f"{kind}: segments in each other's place", template, rng, swap_segments,
         everything - 2 * PACKETS, times=5)
    many(tap, f"{kind}: all of it at once", template, rng, flip_everything, 0, times=FLIPS // 2)


def splice(tap, template, rng):
    """Frames of one session in another: in a sealed store none of them is read."""
    for i in range(10):
        case = Case(template, recorder.BIN)
        swap_frames(case, rng)
        for lost in (False, True):
            if lost:
                os.unlink(case.store.path)
            _, packets, _ = case.store.packets("all")
            for s in case.store.sessions():
                first = int(s["name"][1:]) * PACKETS
                numbers = recorder.numbers_of(case.store.packets(s["id"])[1])
                if any(not first <= n < first + PACKETS for n in numbers):
                    tap.check(f"sealed: spliced frames {i}", False, s["name"], numbers[:5])
                    return
            _, report = verify(case.store)
            if report is None or report["clean"]:
                tap.check(f"sealed: spliced frames {i}: verify", False, report)
                return
    tap.check("sealed: 10 stores with frames of other sessions: none is read, verify tells", True)


def main():
    tap = recorder.Tap()
    rng = random.Random(recorder.seed())
    print(f"# PR_FLIPS={FLIPS}, with sanitizers: {'some' if DEV else 'none'}", flush=True)
    key = recorder.key_file(os.path.join(SCRATCH, "key"))
    plain = make_template("plain.db", None, "off")
    sealed = make_template("sealed.db", key, "on")
    one_kind(tap, "plain", plain, rng)
    one_kind(tap, "sealed", sealed, rng)
    splice(tap, sealed, rng)
    recorder.finish(tap)


if __name__ == "__main__":
    main()
