#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs every check of the sources that needs no running program, and says what is wrong in lines of file:line: text.

usage: check.py BUILD   (BUILD/debug must be configured: the compile commands are read from it)
"""

import pathlib
import sys
import time

import check_clang
import check_floors
import check_scripts
import check_sizes
import check_spdx

ROOT = pathlib.Path(__file__).resolve().parent.parent


def main():
    build = pathlib.Path(sys.argv[1]).resolve()
    checks = (
        ("floors", lambda: check_floors.check(ROOT)),
        ("licence lines", lambda: check_spdx.check(ROOT)),
        ("scripts", lambda: check_scripts.check(ROOT)),
        ("sizes", lambda: check_sizes.check(ROOT)),
        ("layout", lambda: check_clang.check_format(ROOT)),
        ("headers stand alone", lambda: check_clang.check_headers(ROOT, build)),
        ("static analysis", lambda: check_clang.check_tidy(ROOT, build)),
    )
    n_problems = 0
    for name, check in checks:
        start = time.monotonic()
        problems = check()
        for problem in problems:
            print(problem)
        print(f"{'FAIL' if problems else 'ok':4} {name} ({time.monotonic() - start:.1f} s)", flush=True)
        n_problems += len(problems)
    if n_problems:
        print(f"dev: {n_problems} problems", file=sys.stderr)
    return 1 if n_problems else 0


if __name__ == "__main__":
    sys.exit(main())
