# SPDX-License-Identifier: Apache-2.0
"""Wireshark's side of an extcap capture: the FIFO of packets, read when the test wants, and the two
pipes of the toolbar (wiretap's sync pipe protocol: 'T', u24 length, control, command, payload)."""
import os
import subprocess

import pcapng_blocks

INITIALIZED, SET, ADD = 0, 1, 2
RECEIVED, LOST, LOG = 0, 1, 2


class Toolbar:
    def __init__(self, folder, program, *words, env=None):
        paths = {name: os.path.join(folder, "toolbar-" + name) for name in ("fifo", "in", "out")}
        for path in paths.values():
            if os.path.exists(path):
                os.remove(path)
            os.mkfifo(path)
        # Read-write, as Wireshark's ends are there before the program is.
        self.packets = os.open(paths["fifo"], os.O_RDONLY | os.O_NONBLOCK)
        self.to_program = os.open(paths["in"], os.O_RDWR | os.O_NONBLOCK)
        self.from_program = os.open(paths["out"], os.O_RDONLY | os.O_NONBLOCK)
        self.process = subprocess.Popen(
            [program, "--capture", *words, "--fifo", paths["fifo"], "--extcap-control-in", paths["in"],
             "--extcap-control-out", paths["out"]], env=env, stderr=subprocess.PIPE, text=True)
        self.rest = b""
        self.values = {}   # control: what it shows
        self.history = {}  # control: all that it showed
        self.log = ""
        self.stream = pcapng_blocks.Stream()

    def initialize(self):
        os.write(self.to_program, b"T" + (2).to_bytes(3, "big") + bytes([RECEIVED, INITIALIZED]))

    def listen(self):
        """Takes what came for the toolbar; a message that is none raises ValueError."""
        try:
            self.rest += os.read(self.from_program, 1 << 16)
        except BlockingIOError:
            return
        while len(self.rest) >= 6:
            n = int.from_bytes(self.rest[1:4], "big")
            if self.rest[:1] != b"T" or n < 2:
                raise ValueError(f"no message of a toolbar: {self.rest[:20]!r}")
            if len(self.rest) < 4 + n:
                return
            control, command, text = self.rest[4], self.rest[5], self.rest[6:4 + n].decode()
            self.rest = self.rest[4 + n:]
            if (command, control) == (ADD, LOG):
                self.log += text
            elif command == SET and control in (RECEIVED, LOST):
                self.values[control] = text
                self.history.setdefault(control, []).append(int(text))
            else:
                raise ValueError(f"command {command} for control {control}")

    def shows(self, control, value):
        self.listen()
        return self.values.get(control) == str(value)

    def read(self):
        """Takes what there is of packets, and of words for the toolbar."""
        self.listen()
        try:
            while data := os.read(self.packets, 1 << 20):
                self.stream.feed(data)
        except BlockingIOError:
            pass
        return self.stream.packets

    def close(self):
        for fd in (self.packets, self.to_program, self.from_program):
            os.close(fd)
        if self.process.poll() is None:
            self.process.kill()
        return self.process.communicate(timeout=10)[1]
