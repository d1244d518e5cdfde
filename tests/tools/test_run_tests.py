#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The test runner counts every case, and nothing that goes wrong in a program passes unseen."""

import pathlib
import sys

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "support"), str(TESTS.parent / "tools")]

import tap

import run_tests

SECONDS = 5  # the time limit of a program, within which only one hangs

# What is asserted, a shell script as test program, and: passed, names of the failed, (name, reason) of the skipped.
CASES = (
    ("passed cases are counted", "echo 1..2; echo ok 1 - a; echo ok 2 - b", 2, [], []),
    ("a failed case is named", "echo 1..2; echo ok 1 - a; echo not ok 2 - b is c; exit 1", 1, ["b is c"], []),
    ("a skipped case keeps its reason", "echo 'ok 1 - a # SKIP no IPv6 here'; echo 1..1", 0, [],
     [("a", "no IPv6 here")]),
    ("a program may skip as a whole", "echo '1..0 # SKIP no promtool'", 0, [], [("all of it", "no promtool")]),
    ("a missing case is a failure", "echo 1..2; echo ok 1 - a", 1, ["did not report the cases that it planned"], []),
    ("a program without a plan is a failure", "echo ok 1 - a", 1, ["did not report the cases that it planned"], []),
    ("an exit code without a failed case is a failure", "echo 1..1; echo ok 1 - a; exit 3", 1,
     ["exit code 3, though no case failed"], []),
    ("a crash is a failure", "echo 1..1; echo ok 1 - a; kill -SEGV $$", 1, ["killed by SIGSEGV"], []),
    ("a program that hangs is ended and fails", "echo 1..1; echo ok 1 - a; exec tail -f /dev/null", 1,
     [f"did not end within {SECONDS} s"], []),
    ("what a program leaves running does not hold it up", "tail -f /dev/null & echo 1..1; echo ok 1 - a", 1, [],
     []),
    ("words that only look like a result are not counted", "echo 1..1; echo okay; echo ' ok 1 - x'; echo ok 1 - a", 1,
     [], []),
    ("output that is no text is taken", r"printf '\377\n'; echo 1..1; echo ok 1 - a", 1, [], []),
)


def case_of(script, passed, failed, skipped):
    def case():
        result = run_tests.run(run_tests.Program("p", "debug", ["sh", "-c", script], {}, SECONDS, ""))
        tap.expect((result.passed, result.failed, result.skipped), (passed, failed, skipped))

    return case


if __name__ == "__main__":
    sys.exit(tap.main([(words, case_of(*rest)) for words, *rest in CASES]))
