# SPDX-License-Identifier: Apache-2.0
"""A TCP relay that a test can cut: what a client behind it lives through is a network that breaks."""
import selectors
import socket
import struct
import threading


class BrokenWire:
    """Listens on loopback, brings each connection to `target`."""

    def __init__(self, target):
        self.target = target
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.is_down = False
        self.is_stalled = False
        self.connections = 0
        self.pairs = []
        self.lock = threading.Lock()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            with self.lock:
                if self.is_down:
                    self.reset(client)
                    continue
                try:
                    node = socket.create_connection(self.target, 5)
                except OSError:
                    self.reset(client)
                    continue
                self.pairs.append((client, node))
            threading.Thread(target=self.carry, args=(client, node), daemon=True).start()

    def carry(self, client, node):
        selector = selectors.DefaultSelector()
        selector.register(client, selectors.EVENT_READ, node)
        selector.register(node, selectors.EVENT_READ, client)
        try:
            while True:
                for key, _ in selector.select(0.2):
                    if self.is_stalled:
                        continue
                    data = key.fileobj.recv(1 << 18)
                    if not data:
                        raise OSError("closed")
                    key.data.sendall(data)
        except (OSError, ValueError):
            self.reset(client)
            self.reset(node)

    @staticmethod
    def reset(s):
        try:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            s.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        s.close()

    def cut(self, stay_down=True):
        """Resets every connection, and all that come until mend()."""
        with self.lock:
            self.is_down = stay_down
            for pair in self.pairs:
                for s in pair:
                    self.reset(s)
            self.pairs = []

    def mend(self, target=None):
        self.target = target or self.target
        self.is_down = False
