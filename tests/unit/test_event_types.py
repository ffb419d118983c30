#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the node publishes is what the table of event types says, which clients may ask for."""
import glob
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
NO_EVENTS = {"node.key"}  # a file of the state directory


def names(text):
    return set(re.findall(r'"([a-z]+\.[a-z_]+)"', text))


def main():
    table = set(re.findall(r'^    \{"([a-z_.]+)",', (ROOT / "shared/wire/event_types.c").read_text(), re.M))
    methods = names((ROOT / "shared/wire/rpc_methods.c").read_text())
    said = set()
    for path in glob.glob(str(ROOT / "node/*.c")):
        said |= names(re.sub(r"^#include.*$", "", pathlib.Path(path).read_text(), flags=re.M))
    families = {name.split(".")[0] for name in table}
    said = {name for name in said if name.split(".")[0] in families} - methods - NO_EVENTS
    for name in sorted(said - table):
        print(f"the node publishes '{name}', which shared/wire/event_types.c does not have")
    for name in sorted(table - said - {"lost"}):
        print(f"shared/wire/event_types.c has '{name}', which the node never publishes")
    return 1 if said != table - {"lost"} or len(table) < 30 else 0


sys.exit(main())
