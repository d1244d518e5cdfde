# SPDX-License-Identifier: Apache-2.0
"""What every test written in Python shares: a list of cases, run one after the other, reported as TAP.

    import pathlib, sys
    sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
    import tap

    def answers_ok():
        tap.expect(get("/livez"), "ok\n")

    sys.exit(tap.main([("/livez answers ok", answers_ok)]))

A case fails by any exception but Skip, and goes no further; those after it run.
"""

import re
import sys
import traceback

# The helpers of tests are read once; no need to leave compiled copies in the tree.
sys.dont_write_bytecode = True


class Skip(Exception):
    """Ends a case as skipped. Only for what the machine cannot do; the text says what is missing."""


def expect(actual, expected):
    """Fails the case unless both are equal."""
    if actual != expected:
        raise AssertionError(f"actual:   {actual!r}\nexpected: {expected!r}")


def titled(functions):
    """Pairs for main: the words are the function's name, or its docstring when that begins with the complaint that it
    answers (docs/complaints.md)."""
    pairs = []
    for function in functions:
        says = (function.__doc__ or "").split("\n")[0].removesuffix(".")
        is_title = re.match(r"[a-z-]+#\d+: ", says)
        pairs.append((says if is_title else function.__name__.replace("_", " "), function))
    return pairs


def main(cases):
    """Runs (words, function) pairs; gives the exit code."""
    print(f"1..{len(cases)}", flush=True)
    failed = False
    for number, (words, case) in enumerate(cases, 1):
        try:
            case()
            print(f"ok {number} - {words}", flush=True)
        except Skip as reason:
            print(f"ok {number} - {words} # SKIP {reason}", flush=True)
        except Exception:  # whatever it stumbles over fails the case, not the program
            failed = True
            print("# " + traceback.format_exc().rstrip().replace("\n", "\n# "))
            print(f"not ok {number} - {words}", flush=True)
    return 1 if failed else 0
