#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""crash_capture.py SCRATCH NAMESPACE INTERFACE: kills a live capture at random instants while
numbered_sender.py runs, and looks at what is left. Called by crash.sh."""
import os
import random
import signal
import sys
import time

import recorder

SCRATCH, NAMESPACE, INTERFACE = sys.argv[1:4]
KILLS = int(os.environ.get("PR_KILLS", "20"))
# From the start of the process to the kill.
LONGEST_S = 0.9
FILTER = "udp dst port 9999"
SECOND = 10**9


def capture_on(store, name):
    return recorder.Live(store, NAMESPACE, INTERFACE, "--name", name, "--", FILTER)


def check_packets(packets, sent, began_ns, until_ns):
    """What is wrong with these packets, or None: the numbers are gap-free, begin with what was
    sent after began_ns at the latest, and reach until_ns."""
    numbers = recorder.numbers_of(packets)
    want_first = next((i for i, t in enumerate(sent) if t > began_ns), len(sent))
    want_last = next((i for i, t in enumerate(sent) if t > until_ns), len(sent)) - 1
    if len(numbers) != len(packets):
        return "packets without a number"
    if not numbers:
        return None if want_last < want_first else f"no packets, {want_first}..{want_last} were sent"
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return "there are gaps: " + str([(a, b) for a, b in zip(numbers, numbers[1:])
                                         if b != a + 1][:5])
    if want_last >= want_first and numbers[0] > want_first:
        return f"it begins with {numbers[0]}, not {want_first}"
    if numbers[-1] < want_last:
        late = (until_ns + SECOND - sent[numbers[-1]]) / SECOND
        return f"it ends with {numbers[-1]}, not {want_last}: {late:.3f} s before the kill"
    return None


def look_after(store, capture, killed_ns, verify_first):
    """What is wrong after a kill, or None."""
    if not verify_first and os.path.exists(store.path):
        store.sessions()
    if os.path.exists(store.path + ".d"):
        code, out, err = store.run("verify")
        if code != 0 or not out.endswith("clean\n"):
            return f"verify: exit {code}\n{out}{err}"
    if capture.id is None:
        return None
    session = [s for s in store.sessions() if s["id"] == capture.id]
    if len(session) != 1 or session[0]["state"] != "recovered":
        return f"the session is {session}"
    code, packets, err = store.packets(capture.id)
    if code != 0 or len(packets) != session[0]["packets"]:
        return f"export: exit {code}, {len(packets)} of {session[0]['packets']} packets\n{err}"
    return check_packets(packets, recorder.times_sent(os.path.join(SCRATCH, "sent")), capture.began_ns, killed_ns - SECOND)


def kill_often(tap, stores, rng):
    early = 0
    for i in range(KILLS):
        store = stores[i % 2]
        capture = capture_on(store, f"kill {i}")
        wait_s = rng.uniform(0, LONGEST_S) if i % 5 else rng.uniform(0, 0.15)
        # Some captures run for longer, so that there is something older than a second.
        time.sleep(wait_s + (1.3 if i % 4 == 1 else 0))
        killed_ns, code = capture.end(signal.SIGKILL)
        early += capture.id is None
        wrong = look_after(store, capture, killed_ns, rng.random() < 0.5)
        if wrong is not None:
            tap.check(f"kill {i} of a capture", False, wrong, f"exit {code}", capture.said())
            return
    tap.check(f"{KILLS} kills of a running capture ({early} before its session began): verify is "
              "clean, nothing older than a second is missing", True)


def capture_again(tap, store, name):
    capture = capture_on(store, "again")
    time.sleep(0.7)
    ended_ns, code = capture.end(signal.SIGTERM)
    session = [s for s in store.sessions() if s["id"] == capture.id]
    tap.check(f"{name}: a new capture into the same store is complete",
              code == 0 and len(session) == 1 and session[0]["state"] == "complete",
              code, session, capture.said())
    code, packets, err = store.packets(capture.id)
    wrong = check_packets(packets, recorder.times_sent(os.path.join(SCRATCH, "sent")), capture.began_ns, ended_ns)
    tap.check(f"{name}: and holds all that was sent", code == 0 and wrong is None, wrong, err)
    code, out, err = store.run("verify")
    tap.check(f"{name}: the store is clean", code == 0 and out.endswith("clean\n"), out, err)


def main():
    tap = recorder.Tap()
    rng = random.Random(recorder.seed())
    key = recorder.key_file(os.path.join(SCRATCH, "key"))
    stores = [recorder.Store(os.path.join(SCRATCH, "plain.db")),
              recorder.Store(os.path.join(SCRATCH, "sealed.db"), key)]
    kill_often(tap, stores, rng)
    capture_again(tap, stores[0], "plain")
    capture_again(tap, stores[1], "sealed")
    recorder.finish(tap)


if __name__ == "__main__":
    main()
