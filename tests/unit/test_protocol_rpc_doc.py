#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_protocol_rpc_doc.py [ROOT]: docs/protocol-rpc.md against shared/wire: each number of channel.h
has a row with its value, rows of rpc.h are right, kinds and refusals have their numbers, and the
words that are signed are those of the header. Prints TAP lines.
"""
import pathlib
import re
import sys

DEFINE = re.compile(r"^#define ((?:CHANNEL|RPC)_\w+)[ \t]+(\(?[\du][\du *]*\)?)(?=\s|$)", re.M)
ROW = re.compile(r"^\| `((?:CHANNEL|RPC)_\w+)` \| (\d+) \|", re.M)
NUMBER_ROW = re.compile(r"^\| (\d+) ([A-Z_]+) \|", re.M)
WORDS = re.compile(r'^#define CHANNEL_PROOF_\w+[ \t]+"([^"]+)"', re.M)


def value(text):
    """(64u * 1024u) -> 65536"""
    product = 1
    for factor in re.findall(r"\d+", text):
        product *= int(factor)
    return str(product)


def numbers(text, name):
    """The members of an enum with their numbers; those without one count on."""
    body = re.search(rf"enum {name} \{{(.*?)\n\}};", text, re.S)[1]
    body = re.sub(r"/\*.*?\*/", "", body, flags=re.S)
    found, at = {}, -1
    for member in filter(None, (m.strip() for m in body.split(","))):
        word, _, number = (part.strip() for part in member.partition("="))
        at = int(number) if number else at + 1
        found[word.removeprefix("CHANNEL_")] = str(at)
    return found


def compare(channel, rpc, doc):
    """What is wrong, one line each."""
    values = {n: value(v) for text in (channel, rpc) for n, v in DEFINE.findall(text)}
    rows = dict(ROW.findall(doc))
    for name, told in rows.items():
        if values.get(name) != told:
            yield f"{name} is {values.get(name, 'gone')}, not {told}"
    for name, _ in DEFINE.findall(channel):
        if name not in rows:
            yield f"{name} has no row"
    enums = numbers(channel, "channel_kind") | numbers(channel, "channel_refusal")
    enums = {n: v for n, v in enums.items() if n not in ("NOT_REFUSED", "REFUSALS")}
    told = {name: number for number, name in NUMBER_ROW.findall(doc)}
    for name in sorted(enums.keys() | told.keys()):
        if enums.get(name) != told.get(name):
            yield f"{name} is {enums.get(name, 'gone')}, told is {told.get(name, 'nothing')}"
    flat = " ".join(doc.split())
    for words in WORDS.findall(channel):
        if f"`{words}`" not in flat:
            yield f"'{words}' is signed, and not told"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parents[2]
    channel = (root / "shared/wire/channel.h").read_text()
    rpc = (root / "shared/wire/rpc.h").read_text()
    doc = (root / "docs/protocol-rpc.md").read_text()
    good = True

    def tell(name, wrong):
        nonlocal good
        good = good and not wrong
        print(f"{'not ok' if wrong else 'ok'} - {name}")
        for line in wrong:
            print(f"# {line}")

    tell("limits, kinds, refusals and words are those of the headers",
         list(compare(channel, rpc, doc)))
    planted = (
        ("another value", channel, doc.replace("| 65535 |", "| 65536 |")),
        ("another value of a message", channel, doc.replace("| 8388608 |", "| 8388609 |")),
        ("a limit without a row", channel,
         re.sub(r"^\| `CHANNEL_STRANGER_MS`.*\n", "", doc, flags=re.M)),
        ("a row of something gone", channel, doc.replace("`RPC_DEPTH_MAX`", "`RPC_WIDTH_MAX`")),
        ("a refusal of another number", channel, doc.replace("| 6 BUSY |", "| 7 BUSY |")),
        ("a kind without a row", channel, re.sub(r"^\| 3 CLUSTER_CALLS.*\n", "", doc, flags=re.M)),
        ("a kind that was put between", channel.replace("    CHANNEL_CLUSTER_CALLS,",
                                                        "    CHANNEL_X,\n    CHANNEL_CLUSTER_CALLS,"),
         doc),
        ("other words", channel.replace("channel, client", "channel, caller"), doc),
    )
    tell("planted errors are found",
         [name for name, head, text in planted
          if (head, text) == (channel, doc) or not list(compare(head, rpc, text))])
    sys.exit(0 if good else 1)


main()
