#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tally.py LOG_DIR: counts what test.sh ran, prints what failed and what was skipped and why, and
ends with the line `N passed, N failed, N skipped`. Exit 0 only when nothing failed.

LOG_DIR holds NAME.ctest (the output of `ctest -V`) and NAME.script (the output of one script, its
last line `exit CODE`). Inside both, a line `ok …` is a pass, `not ok …` a failure and
`skip - NAME # REASON` or TAP's `# SKIP` a skip: what cmocka prints with CMOCKA_MESSAGE_OUTPUT=TAP.
A program that prints no such line counts as one test; one that fails without having said which of
its tests did (a crash, a sanitizer, a timeout) counts as one failure more.
"""
import pathlib
import re
import sys

CONTEXT_LINES = 60
RESULT = re.compile(r"^\s*\d+/\d+ Test\s+#(\d+): (\S+) \.*\s*(\*\*\*)?(.*?)\s+[\d.]+ sec")

SKIP = re.compile(r"(not )?ok \d* ?- .*# SKIP|(not )?ok \d+ # SKIP|skip - ")


def what_follows(lines, i):
    """What a failed test said: the lines up to the next test's."""
    end = i + 1
    while end < len(lines) and end <= i + CONTEXT_LINES and not re.match(
            r"(not )?ok\b|skip - ", lines[end]):
        end += 1
    return lines[i + 1:end]


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []  # (name, why, log lines)
        self.skipped = []  # (name, reason)

    def program(self, name, lines, good, verdict):
        """One program's lines; `good` says whether it ended well, `verdict` how."""
        said, remark, n_skipped = 0, "", len(self.skipped)
        failed = []
        for i, line in enumerate(lines):
            if SKIP.match(line):
                self.skip(name, line, remark)
            elif re.match(r"ok\b", line):
                self.passed += 1
            elif re.match(r"not ok\b", line):
                failed.append((f"{name}: {line[6:].strip(' -')}", "", what_follows(lines, i)))
            else:
                remark = re.sub(r"^(#\s*)?(skip:)?\s*", "", line) or remark
                continue
            said += 1
        if not good and not failed:
            if verdict.startswith(("Skipped", "Not Run (Disabled)")):
                if len(self.skipped) == n_skipped:
                    self.skipped.append((name, remark or "no reason given"))
            else:
                failed.append((name, verdict, lines[-CONTEXT_LINES:]))
        elif good and said == 0:
            self.passed += 1
        self.failed += failed

    def skip(self, name, line, remark):
        """Scripts give the reason behind `#`; cmocka has none, so the line before it is taken."""
        label, _, reason = re.sub(r"^(not ok|ok|skip)( \d+)?( -)?", "", line).partition("#")
        reason = re.sub(r"^\s*SKIP", "", reason).strip()
        if not label.strip():
            label, reason = reason, ""
        self.skipped.append((f"{name}: {label.strip()}", reason or remark or "no reason given"))

    def ctest(self, path):
        output, results, not_run = {}, [], []
        for line in path.read_text(errors="replace").splitlines():
            if m := re.match(r"(\d+): ?(.*)", line):
                output.setdefault(m[1], []).append(m[2])
            elif m := RESULT.match(line):
                results.append((m[1], m[2], m[3] is None and m[4] == "Passed", m[4]))
        if not results:
            not_run = path.read_text(errors="replace").splitlines()
            self.failed.append((path.stem, "ctest ran no test", not_run[-CONTEXT_LINES:]))
        for number, name, good, verdict in results:
            lines = [x for x in output.get(number, []) if not x.startswith(
                ("Test command:", "Working Directory:", "Test timeout computed"))]
            self.program(f"{path.stem}: {name}", lines, good, verdict)

    def script(self, path):
        lines = path.read_text(errors="replace").splitlines()
        m = re.match(r"exit (\d+)$", lines[-1]) if lines else None
        code = int(m[1]) if m else -1
        verdict = "timeout" if code in (124, 137) else f"exit code {code}"
        self.program(path.stem, lines[:-1], code == 0, verdict)

    def report(self):
        for name, why, lines in self.failed:
            print(f"FAILED  {name}{f' ({why})' if why else ''}")
            for line in lines:
                print(f"        {line}")
        for name, reason in self.skipped:
            print(f"skipped {name}: {reason}")
        print(f"{self.passed} passed, {len(self.failed)} failed, {len(self.skipped)} skipped")
        return 1 if self.failed else 0


def main():
    if len(sys.argv) != 2:
        sys.exit("usage: tally.py LOG_DIR")
    tally = Tally()
    for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
        if path.suffix == ".ctest":
            tally.ctest(path)
        elif path.suffix == ".script":
            tally.script(path)
    sys.exit(tally.report())


main()
