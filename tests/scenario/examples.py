#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The programs in examples/, as real processes with a real registry: what run.sh shows, and what befalls a caller."""

# variants: release asan tsan

import contextlib
import os
import pathlib
import re
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))

import tap
from lib import BINARY, ROOT, SECONDS, Muster, environment, folder, wait_for

BUILD = pathlib.Path(BINARY).resolve().parent.parent.parent
EXAMPLES = BUILD / "examples"


def build():
    """They are built with all the rest, but not when only this test's needs are."""
    subprocess.run(["ninja", "-C", BUILD, "--quiet", "examples"], check=True, stdout=subprocess.DEVNULL)


class Program:
    """An example that runs; ended with the scope, if it has not by itself."""

    def __init__(self, muster, name, *words):
        self.process = subprocess.Popen(
            [EXAMPLES / f"example_{name}", *words],
            env=environment(MUSTER_ADDR=f"http://{muster.address()}"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(SECONDS)
        self.process.stdin.close()
        self.process.stdout.close()

    def line(self):
        return self.process.stdout.readline().rstrip("\n")

    def end(self, number):
        self.process.send_signal(number)
        return self.process.wait(SECONDS)


def expect_good_calls(caller, n):
    for _ in range(n):
        tap.expect(re.sub(r"\d+ calls", "N calls", caller.line()), "N calls, 0 errors")


def end_of_input(caller):
    caller.process.stdin.close()
    return caller.process.wait(SECONDS)


def sums(muster, stack, n):
    """So many of them, which are ready."""
    programs = [stack.enter_context(Program(muster, "sums")) for _ in range(n)]
    for program in programs:
        tap.expect(program.line().startswith("sums: ready at 127.0.0.1:"), True)
    return programs


def offered(muster):
    """How many instances of sums there are."""
    answer = muster.get("/api/v1/services/sums?offered=true")
    return answer.body.count(b'"address"') if answer.status == 200 else 0


def the_script_shows_all_and_leaves_nothing():
    with folder() as place:
        done = subprocess.Popen(
            [ROOT / "examples/run.sh"],
            env=environment(MUSTER_BIN=BINARY, EXAMPLES=str(EXAMPLES), TMPDIR=str(place)),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        out, _ = done.communicate(timeout=3 * SECONDS)
        if done.returncode != 0:
            raise AssertionError(out)
        tap.expect(len(re.findall(r"^127\.0\.0\.1:\d+: 6$", out, re.MULTILINE)), 3)
        tap.expect(len(set(re.findall(r"^(127\.0\.0\.1:\d+): 6$", out, re.MULTILINE))), 3)
        tap.expect(out.count(": true\n"), 3)
        tap.expect('{"visits":2,"logged":true}' in out, True)
        tap.expect('["Grace was here, 1 times by now","Ada was here, 2 times by now"]' in out, True)
        tap.expect('error -32602: expected {"name": "text"}' in out, True)
        tap.expect((out.count(", 0 errors\n"), " errors" in out.replace(", 0 errors\n", "")), (2, False))
        tap.expect(len(re.findall(r"^127\.0\.0\.1:\d+: 42$", out, re.MULTILINE)), 2)
        tap.expect([out.count(f"{name}: stopped") for name in ("sums", "log", "visits")], [2, 1, 1])
        tap.expect(list(place.iterdir()), [])
    try:
        os.killpg(done.pid, 0)
        raise AssertionError("something that the script started still runs")
    except ProcessLookupError:
        pass


def a_caller_goes_on_when_instances_die_or_leave():
    with Muster() as muster, contextlib.ExitStack() as stack:
        programs = sums(muster, stack, 3)
        caller = stack.enter_context(Program(muster, "caller", "repeat", "sums", "sum", "[1, 2]", "3"))
        expect_good_calls(caller, 2)
        programs[0].end(signal.SIGKILL)
        expect_good_calls(caller, 5)
        wait_for(lambda: offered(muster), 2)
        tap.expect(programs[1].end(signal.SIGTERM), 0)
        tap.expect(programs[1].line(), "sums: stopped")
        wait_for(lambda: offered(muster), 1)
        expect_good_calls(caller, 5)
        tap.expect(end_of_input(caller), 0)


def a_caller_goes_on_without_the_registry():
    with Muster() as muster, contextlib.ExitStack() as stack:
        programs = sums(muster, stack, 2)
        caller = stack.enter_context(Program(muster, "caller", "repeat", "sums", "sum", "[1, 2]", "2"))
        expect_good_calls(caller, 1)
        muster.signal(signal.SIGKILL)
        muster.end()
        expect_good_calls(caller, 5)
        programs[0].end(signal.SIGKILL)
        expect_good_calls(caller, 5)
        muster.start_again()
        wait_for(lambda: offered(muster) > 0, True)
        expect_good_calls(caller, 5)
        tap.expect(end_of_input(caller), 0)
        tap.expect(programs[1].end(signal.SIGTERM), 0)


def one_is_not_found_before_what_it_needs_is_there():
    with Muster() as muster, contextlib.ExitStack() as stack:
        visits = stack.enter_context(Program(muster, "visits"))
        log = stack.enter_context(Program(muster, "log"))
        tap.expect(log.line().startswith("log: ready"), True)
        tap.expect(visits.line().startswith("visits: ready"), True)
        wait_for(lambda: b'"visits"' in muster.get("/api/v1/timeline").body, True)
        changes = muster.get("/api/v1/timeline").body
        tap.expect(changes.index(b'"visits"') < changes.index(b'"log"'), True)  # the newest first
        tap.expect(visits.end(signal.SIGINT), 0)


CASES = [
    ("the script shows all, and leaves nothing behind", the_script_shows_all_and_leaves_nothing),
    ("a caller goes on when instances are killed or leave", a_caller_goes_on_when_instances_die_or_leave),
    ("a caller goes on without the registry", a_caller_goes_on_without_the_registry),
    ("compose#374: a service is not found before what it needs", one_is_not_found_before_what_it_needs_is_there),
]

if __name__ == "__main__":
    build()
    sys.exit(tap.main(CASES))
