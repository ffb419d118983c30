#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""test_protocol_doc.py [ROOT]: docs/protocol-swarm.md against shared/swarm: each limit of the headers
has a row with its value, each frame a row with its number, no row is of something that is gone, and
the table of the rule sets says what swim_rules.c does. Prints TAP lines.
"""
import pathlib
import re
import sys

# Headers of which every constant must have a row; rows may be of any header.
COMPLETE = ("swim_limits.h", "swim_frame.h")
DEFINE = re.compile(r"^#define (SWIM_\w+)(?:[ \t]|\\\n)+(\d+)u?\b", re.M)
ROW = re.compile(r"^\| `(SWIM_\w+)` \| (\d+) \|", re.M)
OF_FILE = re.compile(r"^#define ([A-Z_]+)(?:[ \t]+)\(?(\d+)u?(?: \* SWIM_MS\))?(?:[ \t]*/\*.*)?$", re.M)
OF_FILE_ROW = re.compile(r"^\| `([A-Z_]+)` of `(swim\w*\.[ch])` \| (\d+) \|", re.M)
FRAME = re.compile(r"^    SWIM_(\w+?)(?:_FRAME)? = (\d+),", re.M)
FRAME_ROW = re.compile(r"^\| (\d+) ([A-Z]+) \|", re.M)


def compare(files, doc):
    """What is wrong, one line each. files: {name: text}"""
    headers = {name: text for name, text in files.items() if name.endswith(".h")}
    for name, file, value in OF_FILE_ROW.findall(doc):
        is_now = dict(OF_FILE.findall(files.get(file, ""))).get(name, "gone")
        if is_now != value:
            yield f"{name} of {file} is {is_now}, not {value}"
    values = {n: v for text in headers.values() for n, v in DEFINE.findall(text)}
    rows = dict(ROW.findall(doc))
    for name, value in rows.items():
        if values.get(name) != value:
            yield f"{name} is {values.get(name, 'gone')}, not {value}"
    for header in COMPLETE:
        for name, value in DEFINE.findall(headers[header]):
            if name not in rows:
                yield f"{name} of {header} has no row"
    enum = re.search(r"enum swim_frame_type \{.*?\n\};", headers["swim_frame.h"], re.S)[0]
    frames = dict(FRAME.findall(enum))
    told = {name: number for number, name in FRAME_ROW.findall(doc)}
    for name in sorted(frames.keys() | told.keys()):
        if frames.get(name) != told.get(name):
            yield f"frame {name} is {frames.get(name, 'gone')}, told is {told.get(name, 'nothing')}"


# ---- the rule sets ----

RULES = re.compile(r"^const struct swim_rules swim_rules_(\w+) = \{\n(.*?)^\};", re.M | re.S)
FIELD = re.compile(r"\.(\w+) = ([^,]+),")
OURS = re.compile(r"^#define OURS[ \\\n]+((?:.*\\\n)*.*)\n", re.M)
TIMES = {"6": "six"}


def functions(text):
    """What a cell says of each function of swim_rules.c, with the numbers that stand in its code."""
    def number(pattern):
        found = re.search(pattern, text)
        return found[1] if found else f"(not written as {pattern})"

    least = number(r"\((\d+) \* \(scale < 1 \? 1\.0 : scale\) \* rules->probe_interval_ms\)")
    most = number(r"\{min_ms, (\d+) \* min_ms\}")
    ours = number(r"times = ([\d.]+) \* log2\(n \+ 1\.0\);")
    few = number(r"least = log\(n \+ 1\.0\) \+ (\d+);")
    theirs = number(r"return (\d+) \* \(uint32_t\)ceil\(log10\(n \+ 1\.0\)\)")
    members = number(r"times = n <= (\d+) \?")
    push_ms = number(r"return (\d+) \* times;")
    return {
        "memberlist_bounds": f"{least} max(1, log10 n) s, {TIMES.get(most, most)} times that",
        "enough_for_all": f"{ours} log2(n + 1), ln(n + 1) + {few} at the least",
        "memberlist_transmissions": f"{theirs} log10(n + 1)",
        "memberlist_push_pull": f"{push_ms.removesuffix('000')} s, more above {members} members",
    }


def rules_rows(text):
    """{row: {rule set: cell}}, as swim_rules.c has it."""
    told = functions(text)
    ours = OURS.search(text)[1].replace("\\\n", " ") + ","
    rows = {}
    for name, body in RULES.findall(text):
        field = dict(FIELD.findall(body.replace("OURS,", ours)))
        bounds = field["suspicion"]
        cells = {
            "probe interval": field["probe_interval_ms"],
            "a probe goes with a pong, so early at most": field.get("probe_early_ms", "0"),
            "suspicion, least / most": told[bounds] if bounds in told else
            f"{field['min_ms']} / {field['max_ms']}",
            "confirmations K": field["confirmations"],
            "a death is doubted for": field.get("dead_doubt_ms", "never"),
            "isolated after": field.get("isolated_after_ms", "never"),
            "gossip every": field["gossip_interval_ms"],
            "transmissions": told[field["transmissions"]],
            "at whole intervals since the start": "yes" if field.get("tickers") == "true" else "no",
            "whole states": told[field["push_pull_ms"]] if "push_pull_ms" in field else "never",
        }
        for row, cell in cells.items():
            rows.setdefault(row, {})[name] = cell
    return rows


def compare_rules(text, doc):
    """What is wrong with the table of the rule sets, one line each."""
    section = doc.partition("## Rule sets")[2].partition("\n## ")[0]
    lines = [[cell.strip() for cell in line.strip("|").split("|")]
             for line in section.splitlines() if line.startswith("|")]
    names, told = lines[0][1:], {}
    for row, *cells in lines[2:]:
        for i, cell in enumerate(cells):
            cells[i] = cells[i - 1] if cell == "the same" and i > 0 else cell
        told[row] = dict(zip(names, cells))
    rows = rules_rows(text)
    for row in rows.keys() | told.keys():
        if rows.get(row) != told.get(row):
            yield f"'{row}' is {rows.get(row, 'no row')}, told is {told.get(row, 'nothing')}"


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parents[2]
    files = {p.name: p.read_text() for p in sorted((root / "shared/swarm").glob("*.[ch]"))}
    rules = (root / "shared/swarm/swim_rules.c").read_text()
    doc = (root / "docs/protocol-swarm.md").read_text()
    good = True

    def tell(name, wrong):
        nonlocal good
        good = good and not wrong
        print(f"{'not ok' if wrong else 'ok'} - {name}")
        for line in wrong:
            print(f"# {line}")

    tell("limits and frames are those of the headers", list(compare(files, doc)))
    tell("the rule sets are those of swim_rules.c", list(compare_rules(rules, doc)))
    planted = (
        ("another value", doc.replace("| 16384 |", "| 16385 |")),
        ("another value of one file", doc.replace("`HELLOS` of `swim_join.c` | 3 |",
                                                  "`HELLOS` of `swim_join.c` | 4 |")),
        ("a limit without a row", re.sub(r"^\| `SWIM_SEEDS_MAX`.*\n", "", doc, flags=re.M)),
        ("a row of something gone", doc.replace("`SWIM_KEYS_MAX`", "`SWIM_LOCKS_MAX`")),
        ("a frame of another number", doc.replace("| 10 YOUARE |", "| 11 YOUARE |")),
        ("a frame without a row", re.sub(r"^\| 17 VIEW.*\n", "", doc, flags=re.M)),
    )
    tell("planted errors are found",
         [name for name, text in planted if text == doc or not list(compare(files, text))])
    planted = (
        ("another interval", rules, doc.replace("| 1000 | 500 | 2000 |", "| 1000 | 501 | 2000 |")),
        ("a row that is gone", rules, re.sub(r"^\| isolated after.*\n", "", doc, flags=re.M)),
        ("a set that is gone", rules.replace("swim_rules_fast", "swim_rules_quick"), doc),
        ("another number in all of ours",
         rules.replace(".confirmations = 3,", ".confirmations = 4,"), doc),
        ("another factor", rules.replace("times = 1.5 * log2", "times = 2 * log2"), doc),
        ("another least", rules.replace("log(n + 1.0) + 6", "log(n + 1.0) + 5"), doc),
        ("another formula", rules.replace("log10(n + 1.0)", "log2(n + 1.0)"), doc),
    )
    tell("planted errors in the rule sets are found",
         [name for name, code, text in planted
          if (code, text) == (rules, doc) or not list(compare_rules(code, text))])
    sys.exit(0 if good else 1)


main()
