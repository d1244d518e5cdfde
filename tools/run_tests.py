#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs test programs and counts their cases.

usage: run_tests.py BUILD [PATTERN]
       run_tests.py --targets VARIANT BUILD PATTERN   (prints what ninja must build for these tests)

Every test program prints TAP. There are two kinds:
- the unit tests and seed corpora, as meson lists them, in each variant under BUILD (debug, asan, tsan);
- the executable files in tests/scenario and tests/tools. Those find muster in the environment's MUSTER_BIN, which is
  the release build; one that says `# variants: release asan` in a line of its own runs once for each of these.

Programs run side by side, each within a time limit. At the end stand the slowest of many, the output of what failed,
the reasons of what was skipped, and one line that counts cases: N passed, N failed, N skipped.
"""

import argparse
import concurrent.futures
import contextlib
import dataclasses
import json
import os
import pathlib
import re
import select
import signal
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNIT_VARIANTS = ("debug", "asan", "tsan")
VARIANTS = (*UNIT_VARIANTS, "release")
SCRIPT_FOLDERS = ("tests/scenario", "tests/tools")
SCRIPT_SECONDS = 600  # one of them builds a client in Go, on the machine that is busy with all the others
SHOWN_LINES = 200
SLOWEST = 12
SIDE_BY_SIDE = os.cpu_count() + 2  # scenarios, which come first, wait most of their time
MUSTER = "src/daemon/muster"
TSAN_CANNOT_MAP = "ThreadSanitizer: unexpected memory mapping"


@dataclasses.dataclass
class Program:
    """One program in one variant."""

    name: str
    variant: str
    argv: list
    env: dict
    seconds: int
    target: str  # what ninja builds for it; "": nothing

    def __str__(self):
        return f"{self.name} ({self.variant})"


@dataclasses.dataclass
class Result:
    program: Program
    passed: int = 0
    failed: list = dataclasses.field(default_factory=list)  # names of cases
    skipped: list = dataclasses.field(default_factory=list)  # (name of case, reason)
    output: str = ""
    seconds: float = 0.0
    cpu_seconds: float = 0.0


@dataclasses.dataclass
class Execution:
    """How a command ran."""

    output: str
    code: int | None  # its exit code, or less a signal's number; None when it hung
    cpu_seconds: float  # used by it and by what it started and waited for


def unit_programs(build, variant):
    folder = build / variant
    if variant not in UNIT_VARIANTS:
        return
    for test in json.loads((folder / "meson-info/intro-tests.json").read_text()):
        target = os.path.relpath(test["cmd"][0], folder)
        name = test["suite"][0].split(":")[-1] + "/" + test["name"]
        yield Program(name, variant, test["cmd"], test["env"], test["timeout"], target)


def script_programs(build):
    for folder in SCRIPT_FOLDERS:
        for path in sorted((ROOT / folder).glob("*")):
            if not path.is_file() or not os.access(path, os.X_OK):
                continue
            declared = re.search(r"^# variants: (.*)$", path.read_text(), re.MULTILINE)
            for variant in declared[1].split() if declared else ["release"]:
                env = {"MUSTER_BIN": str(build / variant / MUSTER)}
                target = MUSTER if folder == "tests/scenario" else ""
                yield Program(f"{path.parent.name}/{path.stem}", variant, [str(path)], env, SCRIPT_SECONDS, target)


def find_programs(build, variants, pattern):
    programs = [program for program in script_programs(build) if program.variant in variants]
    programs += [program for variant in variants for program in unit_programs(build, variant)]
    return [program for program in programs if pattern in str(program)]


def parse_tap(output, result):
    """Counts the cases in `output`; gives whether all that were planned have reported."""
    planned = None
    reported = 0
    for line in output.splitlines():
        if plan := re.match(r"1\.\.(\d+)(?:\s*# SKIP\s*(.*))?", line, re.IGNORECASE):
            planned = int(plan[1])
            if planned == 0:
                result.skipped.append(("all of it", plan[2] or "no reason given"))
        elif case := re.match(r"(not )?ok\b\s*\d*\s*(?:- )?(.*?)(?:\s*# SKIP\S*\s*(.*))?$", line, re.IGNORECASE):
            reported += 1
            if case[3] is not None:
                result.skipped.append((case[2], case[3]))
            elif case[1]:
                result.failed.append(case[2])
            else:
                result.passed += 1
    return planned == reported


def ends_within(process, seconds):
    """Waits for the end of `process` without reaping it; gives whether it came in time."""
    fd = os.pidfd_open(process.pid)
    try:
        poll = select.poll()
        poll.register(fd, select.POLLIN)
        return bool(poll.poll(seconds * 1000))
    finally:
        os.close(fd)


def execute(argv, program):
    """Runs a command within the program's time limit."""
    # A file, not a pipe: what the program leaves running may hold it open.
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            argv,
            env={"UBSAN_OPTIONS": "print_stacktrace=1", **os.environ, **program.env},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        ended = ends_within(process, program.seconds)
        # Ends the program when it hung, and whatever it started and left: they have a session of their own.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        # Reaped here rather than by Popen, which does not tell what it used.
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode(errors="backslashreplace")
        return Execution(text, process.returncode if ended else None, usage.ru_utime + usage.ru_stime)


def run(program):
    result = Result(program)
    start = time.monotonic()
    ran = execute(program.argv, program)
    # Kernels that randomise addresses widely map memory where ThreadSanitizer keeps its own. Without randomisation it
    # works, but some containers forbid to switch that off.
    if TSAN_CANNOT_MAP in ran.output:
        ran = execute(["setarch", "-R", *program.argv], program)
        if TSAN_CANNOT_MAP in ran.output or "setarch:" in ran.output:
            result.skipped.append(("all of it", "ThreadSanitizer cannot map its memory on this kernel"))
            return result
    result.output = ran.output
    result.seconds = time.monotonic() - start
    result.cpu_seconds = ran.cpu_seconds

    complete = parse_tap(ran.output, result)
    if ran.code is None:
        result.failed.append(f"did not end within {program.seconds} s")
    elif ran.code < 0:
        result.failed.append(f"killed by {signal.Signals(-ran.code).name}")
    elif not complete:
        result.failed.append("did not report the cases that it planned")
    elif ran.code > 0 and not result.failed:
        result.failed.append(f"exit code {ran.code}, though no case failed")
    return result


class Progress:
    """One line that changes on a terminal; a line for each program elsewhere."""

    def __init__(self, total):
        self.total = total
        self.done = 0
        self.terminal = sys.stdout.isatty()

    def show(self, result):
        self.done += 1
        state = "FAIL" if result.failed else "ok" if result.passed else "skip"
        cases = result.passed + len(result.failed) + len(result.skipped)
        text = f"[{self.done}/{self.total}] {state:4} {result.program}: {cases} cases, {result.seconds:.1f} s"
        text += f" ({result.cpu_seconds:.1f} s CPU)"
        if self.terminal:
            print(f"\r\033[K{text}", end="\n" if result.failed or self.done == self.total else "", flush=True)
        else:
            print(text, flush=True)


def show_slowest(results):
    """Prints which programs took the most time, and what all took together."""
    for result in sorted(results, key=lambda result: result.seconds, reverse=True)[:SLOWEST]:
        print(f"slow: {result.program}: {result.seconds:.1f} s, {result.cpu_seconds:.1f} s CPU")
    seconds = sum(result.seconds for result in results)
    cpu_seconds = sum(result.cpu_seconds for result in results)
    print(f"all programs together: {seconds:.0f} s, {cpu_seconds:.0f} s CPU")


def summarise(results):
    """Prints what failed and what was skipped, then the counts; gives the exit code."""
    for result in results:
        for case, reason in result.skipped:
            print(f"skipped: {result.program}: {case}: {reason}")
    for result in results:
        if not result.failed:
            continue
        print(f"\n--- {result.program}: output")
        lines = result.output.splitlines()
        if len(lines) > SHOWN_LINES:
            print(f"({len(lines) - SHOWN_LINES} lines left out)")
        print("\n".join(lines[-SHOWN_LINES:]))
        for case in result.failed:
            print(f"FAILED: {result.program}: {case}")
    passed, failed, skipped = (
        sum(result.passed for result in results),
        sum(len(result.failed) for result in results),
        sum(len(result.skipped) for result in results),
    )
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed or not results else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--targets", metavar="VARIANT")
    parser.add_argument("build", type=pathlib.Path)
    parser.add_argument("pattern", nargs="?", default="")
    args = parser.parse_args()
    # A shell ignores it for what it runs in the background; programs under test would, too.
    signal.signal(signal.SIGINT, signal.default_int_handler)

    if args.targets:
        targets = {program.target for program in find_programs(args.build, [args.targets], args.pattern)}
        for target in sorted(targets - {""}):
            print(target)
        return 0
    programs = find_programs(args.build, VARIANTS, args.pattern)
    if not programs:
        print(f"no test is named like {args.pattern}", file=sys.stderr)
    progress = Progress(len(programs))
    results = []
    with concurrent.futures.ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, program) for program in programs]):
            results.append(done.result())
            progress.show(done.result())
    if len(results) > SLOWEST:
        show_slowest(results)
    results.sort(key=lambda result: str(result.program))
    return summarise(results)


if __name__ == "__main__":
    sys.exit(main())
