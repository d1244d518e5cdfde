#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The floors check finds what it is there for, in small trees that break one rule each."""

import pathlib
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TESTS / "support"), str(TESTS.parent / "tools")]

import tap

import check_floors

TABLE = """
| floor | folder | includes only | lives there |
|---|---|---|---|
| 4 | `src/cli` | `src/base`, `include` | the command line |
| 3 | `src/fronts` | | one folder per protocol |
| 3 | `src/gateway` | | routing |
| 2 | `src/wire` | | codecs |
| 1 | `src/base` | | slices |
| 3 | `include` | | the public header |
"""

TREE = {
    "ARCHITECTURE.md": TABLE,
    "include/muster.h": "#include <stddef.h>\n",
    "src/base/slice.h": "#include <stddef.h>\n",
    "src/wire/json.h": '#include "base/slice.h"\n',
    "src/gateway/route.h": '#include "wire/json.h"\n',
    "src/fronts/front.h": '#include "wire/json.h"\n',
    "src/fronts/hub/hub.h": '#include "fronts/front.h"\n#include "base/slice.h"\n',
    "src/fronts/ops/ops.h": '#include "fronts/front.h"\n#include "fronts/ops/status.pb-c.h"\n',
    "src/fronts/ops/status.proto": "",
    "src/cli/cli.c": '#include "base/slice.h"\n#include "muster.h"\n',
    "tests/unit/fronts/test_ops.c": '#include "fronts/ops/ops.h"\n',
    "tests/unit/wire/test_json.c": '#include "support/test.h"\n#include "wire/json.h"\n',
}

# What is asserted, the file that breaks the rule, its text, and how the one line about it goes.
CASES = (
    ("an include upwards is found", "src/base/time.h", '\n#include "wire/json.h"\n',
     "src/base/time.h:2: src/base (floor 1) must not include src/wire (floor 2): only lower floors"),
    ("an include sideways is found", "src/fronts/front.h", '#include "gateway/route.h"\n',
     "src/fronts/front.h:1: src/fronts (floor 3) must not include src/gateway (floor 3): only lower floors"),
    ("a front that includes another front is found", "src/fronts/hub/hub.h", '#include "fronts/ops/ops.h"\n',
     "src/fronts/hub/hub.h:1: src/fronts/hub and src/fronts/ops (floor 3) lie side by side "
     "and must not know each other"),
    ("a folder that includes one inside it is found", "src/fronts/list.h", '#include "fronts/ops/ops.h"\n',
     "src/fronts/list.h:1: src/fronts and src/fronts/ops (floor 3) lie side by side and must not know each other"),
    ("a lower floor that is not among the named ones is found", "src/cli/cli.c", '#include "wire/json.h"\n',
     "src/cli/cli.c:1: src/cli (floor 4) includes only src/base, include; src/wire is not among them"),
    ("a unit test has the rights of its floor", "tests/unit/wire/test_json.c", '#include "gateway/route.h"\n',
     "tests/unit/wire/test_json.c:1: src/wire (floor 2) must not include src/gateway (floor 3): only lower floors"),
    ("an include without its folder is found", "src/wire/json.h", '#include "slice.h"\n',
     'src/wire/json.h:1: no "slice.h" in src/ or include/: name a header by its folder'),
    ("a folder that is not in the table is found", "src/misc/misc.h", "\n",
     "src/misc/misc.h:1: src/misc is not in the table of floors in ARCHITECTURE.md"),
    ("a document without a table is found", "ARCHITECTURE.md", "# Architecture\n",
     "ARCHITECTURE.md:1: no table of floors"),
)


def check(tree):
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in tree.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        return check_floors.check(root)


def case_of(tree, problems):
    return lambda: tap.expect(check({**TREE, **tree}), problems)


def main():
    circle = {"src/base/a.h": '#include "base/b.h"\n', "src/base/b.h": '#include "base/a.h"\n'}
    return tap.main([
        ("a tree that holds the rules passes", case_of({}, [])),
        *((words, case_of({name: text}, [problem])) for words, name, text, problem in CASES),
        ("headers that include each other are found", case_of(
            circle, ["src/base/a.h:1: includes itself: src/base/a.h -> src/base/b.h -> src/base/a.h"])),
    ])


if __name__ == "__main__":
    sys.exit(main())
