#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""uplink_drain.py [--mib N] [--memory SIZE] [--no-record] [--no-compress] [--runs N]: how fast a
sniffer gets rid of a backlog. The spool of a sniffer is filled with the files that an earlier run
would have left, in memory (/dev/shm); then a node and the sniffer are started on loopback, and what
is timed is from "is up" until the node has taken the last packet. Needs root; $PR_BUILD names the
build (build/release). Prints MB/s of packets, the median and the smallest and largest."""
import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

BUILD = os.environ.get("PR_BUILD", "build/release")
DAEMON = os.path.join(BUILD, "node/packetrecorderd")
CLI = os.path.join(BUILD, "cli/packetrecorder")
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../support"))
from spool_files import FRAME, fill_spool  # noqa: E402

def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError("it takes too long")
        time.sleep(0.005)


def said(path, text):
    with open(path, encoding="utf-8", errors="replace") as file:
        return re.search(text, file.read())


def measure(args):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        database = os.path.join(folder, "packets.db")
        key = os.path.join(folder, "key")
        with open(key, "wb") as file:
            os.chmod(key, 0o600)
            file.write(subprocess.run([CLI, "keys", "add", "--role", "ingest", "--database",
                                       database], check=True, capture_output=True).stdout)
        spool = os.path.join(folder, "spool")
        os.mkdir(spool, 0o700)
        packets, place = fill_spool(spool, "lo", args.mib << 20)
        logs = [os.path.join(folder, name) for name in ("node.log", "sniff.log")]
        running = []
        try:
            with open(logs[0], "wb") as log:
                running.append(subprocess.Popen(
                    [DAEMON, "--http-addr", "127.0.0.1:0", "--database", database,
                     *([] if args.no_record else ["--ingest-record"])], stderr=log))
            wait_until(lambda: said(logs[0], "is ready"), 10)
            port = said(logs[0], r"127\.0\.0\.1:(\d+)").group(1)
            with open(logs[1], "wb") as log:
                running.append(subprocess.Popen(
                    [DAEMON, "sniff", "--server", f"ws://127.0.0.1:{port}/ingest",
                     "--api-key-file", key, "-i", "lo", "-f", "udp port 9", "--spool-dir", spool,
                     "--spool-size", "64GiB", "--memory", args.memory,
                     *(["--no-compress"] if args.no_compress else [])], stderr=log))
            wait_until(lambda: said(logs[0], "is up"), 10)
            began = time.monotonic()
            wait_until(lambda: not os.path.exists(place), args.seconds)
            return packets * FRAME / (time.monotonic() - began) / 1e6
        finally:
            for process in reversed(running):
                process.terminate()
                process.wait(20)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--mib", type=int, default=512)
    parser.add_argument("--memory", default="64MiB")
    parser.add_argument("--no-record", action="store_true")
    parser.add_argument("--no-compress", action="store_true")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60, help="give up after so long")
    args = parser.parse_args()
    found = [measure(args) for _ in range(args.runs)]
    print(f"{statistics.median(found):.1f} MB/s ({min(found):.1f}-{max(found):.1f}), memory "
          f"{args.memory}, {'not ' if args.no_record else ''}recorded, "
          f"{'not ' if args.no_compress else ''}compressed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
