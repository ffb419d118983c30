#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""broken_socket.py TO LISTEN BYTES [hold]: a UNIX socket at LISTEN whose connections go on to TO and
are cut when BYTES came back on the first of them; with `hold` they stand still there. Later
connections are refused at once, unless it holds."""
import os
import selectors
import socket
import sys
import time

to, listen, limit = sys.argv[1], sys.argv[2], int(sys.argv[3])
hold = len(sys.argv) > 4
server = socket.socket(socket.AF_UNIX)
server.bind(listen + ".new")
server.listen(4)
os.rename(listen + ".new", listen)
client = server.accept()[0]
if not hold:
    server.close()
node = socket.socket(socket.AF_UNIX)
node.connect(to)
pick = selectors.DefaultSelector()
pick.register(client, selectors.EVENT_READ, node)
pick.register(node, selectors.EVENT_READ, client)
passed = 0
while passed < limit:
    for key, _ in pick.select():
        data = key.fileobj.recv(65536)
        if not data:
            sys.exit(0)
        key.data.sendall(data)
        passed += len(data) if key.fileobj is node else 0
while hold:
    time.sleep(1)
