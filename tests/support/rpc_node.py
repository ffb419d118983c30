# SPDX-License-Identifier: Apache-2.0
"""A node whose RPC is tested: where it listens, clients of it, and doing things as somebody else."""
import multiprocessing
import os
import re
import traceback

from node_process import Node
from recorder import wait_for
from rpc_client import Client

RPC_ON = re.compile(r"rpc on (\[[0-9a-f:]+\]|[0-9.]+):(\d+)")


class RpcNode(Node):
    """`addrs` of --rpc-addr; its socket lies in the folder unless another is given."""

    def __init__(self, folder, *options, addrs=("127.0.0.1:0",), socket=None, **more):
        self.socket = socket or os.path.join(folder, "rpc.sock")
        words = [word for address in addrs for word in ("--rpc-addr", address)]
        super().__init__(folder, "--rpc-socket", self.socket, *words, *options, **more)

    @property
    def rpc(self):
        """(host, port) of each --rpc-addr."""
        return [(host.strip("[]"), int(port)) for host, port in RPC_ON.findall(self.said())]

    def local(self, **more):
        return Client(self.socket, **more)

    def remote(self, key, at=0, **more):
        wait_for(5, lambda: len(self.rpc) > at)
        return Client(self.rpc[at], key, **more)


def as_user(uid, gid, groups, function):
    """What function() gives in a process of that user; an exception's name and text otherwise."""
    box = multiprocessing.Queue()

    def body():
        try:
            os.setgroups(groups)
            os.setgid(gid)
            os.setuid(uid)
            box.put(function())
        except Exception as error:  # it goes to the test
            box.put(f"{type(error).__name__}: {error}")

    process = multiprocessing.get_context("fork").Process(target=body)
    process.start()
    try:
        return box.get(timeout=30)
    except Exception:
        return traceback.format_exc()
    finally:
        process.join()
