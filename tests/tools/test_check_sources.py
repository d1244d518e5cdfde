#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The checks of licence lines, scripts and sizes find what they are there for."""

import contextlib
import io
import pathlib
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "support"), str(TESTS.parent / "tools")]

import tap

import check_scripts
import check_sizes
import check_spdx

SPDX = "/* SPDX-License-Identifier: Apache-2.0 */\n"


def function(length, comment=""):
    """A C function of this many lines, with the comment before it."""
    return f"{comment}static int f(int a,\n             int b)\n{{\n" + "    a++;\n" * (length - 4) + "}\n"


# What is asserted, the check, the text of src/a.c, and what is found.
CASES = (
    ("a licence line is enough", check_spdx, SPDX, []),
    ("a missing licence line is found", check_spdx, "int a;\n", ["src/a.c:1: no line with SPDX-License-Identifier: "
                                                                "Apache-2.0"]),
    ("a licence line far down does not count", check_spdx, "\n\n\n" + SPDX,
     ["src/a.c:1: no line with SPDX-License-Identifier: Apache-2.0"]),
    ("what is no script need not be executable", check_scripts, SPDX, []),
    ("a script that cannot be executed is found", check_scripts, "#!/bin/sh\n",
     ["src/a.c:1: begins with #!, but is not executable"]),
    ("a function at the limit passes", check_sizes, function(120), []),
    ("a function over the limit is found", check_sizes, "int a;\n\n" + function(121),
     ["src/a.c:3: a function of 121 lines, the limit is 120"]),
    ("a long function that says why passes", check_sizes, function(121, "/* long: one case per message */\n"), []),
    ("a file over the limit is found", check_sizes, "int a;\n" * 1001, ["src/a.c:1: 1001 lines, the limit is 1000"]),
    ("a line over the limit is found", check_sizes, "/* " + "é" * 115 + " */\n",
     ["src/a.c:1: 121 columns, the limit is 120"]),
)


def check(module, text):
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(io.StringIO()):
        root = pathlib.Path(folder)
        subprocess.run(["git", "init", "-q", root], check=True)
        (root / "src").mkdir()
        (root / "src/a.c").write_text(text)
        return module.check(root)


def case_of(module, text, problems):
    return lambda: tap.expect(check(module, text), problems)


if __name__ == "__main__":
    sys.exit(tap.main([(words, case_of(*rest)) for words, *rest in CASES]))
