#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The tour in the README, typed as it stands there. What it promises is what comes out.

Only the ports differ, since the usual ones may be in use here. "…" in the README stands for anything on its line; a
line that is nothing else, for any number of lines.
"""

import os
import re
import subprocess
import sys

from lib import BINARY, ROOT, SECONDS, Muster, environment, folder, tap

USUAL = {"registry": "127.0.0.1:2379", "gateway": "127.0.0.1:8080"}


def read_tour():
    """(command, expected output) pairs."""
    text = (ROOT / "README.md").read_text()
    section = text.split("## One-minute tour", 1)[1].split("\n## ", 1)[0]
    steps = []
    for block in re.findall(r"```console\n(.*?)```", section, re.DOTALL):
        for step in block.split("$ ")[1:]:
            steps.append(step.split("\n", 1))
    return steps


def pattern_of(expected):
    """A regular expression for output. Runs of blanks may differ, as columns are as wide as their addresses."""
    lines = []
    for line in expected.splitlines():
        if line == "…":
            lines.append(r"(?:.*\n)*")
        else:
            words = [re.escape(word).replace("…", ".*") for word in re.split(r" {2,}", line)]
            lines.append(" +".join(words) + r"\n")
    return "".join(lines)


def the_tour_holds():
    steps = read_tour()
    tap.expect(len(steps) >= 6, True)
    with folder() as place, Muster("--data", "", env={"HOME": str(place), "XDG_STATE_HOME": ""}) as muster:
        (place / ".curlrc").write_text("silent\n")  # as on a terminal, where it shows no progress of small answers
        (place / "build").mkdir()
        (place / "build/muster").symlink_to(BINARY)
        # The server has other ports than the commands believe, and so has the second one that the tour starts.
        variables = environment(
            HOME=str(place), XDG_STATE_HOME="", MUSTER_ADDR=f"http://{muster.address()}",
            MUSTER_LISTEN="127.0.0.1:0", MUSTER_GATEWAY_LISTEN="127.0.0.1:0",
        )
        for command, expected in steps:
            for role, usual in USUAL.items():
                command = command.replace(usual, muster.address(role))
                expected = expected.replace(usual, muster.address(role))
            done = subprocess.run(
                command, shell=True, cwd=place, env=variables, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL, text=True, timeout=SECONDS,
            )
            shown = done.stdout if done.stdout.endswith("\n") else done.stdout + "\n"  # JSON ends without one
            if not re.fullmatch(pattern_of(expected), shown):
                raise AssertionError(f"$ {command}\n{done.stdout}\nexpected:\n{expected}")


def the_files_it_names_are_there():
    text = (ROOT / "README.md").read_text()
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        tap.expect((target, os.path.exists(ROOT / target)), (target, True))


CASES = [
    ("each command of the tour says what the README says", the_tour_holds),
    ("the files that the README names are there", the_files_it_names_are_there),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
