#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`./dev demo` says what the README says that it says."""

import re
import subprocess
import sys

from lib import ROOT, tap
from tour import pattern_of

NO_ENGINE = 3
SECONDS = 60  # as the README promises


def the_demo_is_as_recorded():
    readme = (ROOT / "README.md").read_text()
    recorded = readme.split("$ ./dev demo\n", 1)[1].split("```", 1)[0]
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "demo.py"], capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode == NO_ENGINE:
        raise tap.Skip(done.stderr.strip())
    tap.expect((done.returncode, done.stderr), (0, ""))
    if not re.fullmatch(pattern_of(recorded), done.stdout):
        raise AssertionError(f"{done.stdout}\nexpected:\n{recorded}")


CASES = [("the demo says what the README says", the_demo_is_as_recorded)]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
