# SPDX-License-Identifier: Apache-2.0
"""How long functions, files and lines are.

What is over the wish is printed as a trend; what is over the limit is a problem. A function that is long because it is
a table says so in a comment of its own line right before it: `long: <why>`.

Functions are found by the layout that clang-format holds the sources to: the brace of a function, and of nothing else,
stands alone in the first column.
"""

import re

import sources

FUNCTION_WISH, FUNCTION_LIMIT = 70, 120
FILE_WISH, FILE_LIMIT = 500, 1000
LINE_LIMIT = 120


def find_functions(lines):
    """Yields (number of the first line, length, comment before it) of each function."""
    for opening, line in enumerate(lines):
        if line != "{":
            continue
        first = opening
        while first > 0 and re.match(r"[A-Za-z_ ].*[^;}]$", lines[first - 1]) and not lines[first - 1].startswith(" *"):
            first -= 1
        closing = lines.index("}", opening)
        yield first + 1, closing - first + 1, lines[first - 1] if first > 0 else ""


def check(root):
    problems, long_functions, long_files, lengths = [], [], [], []
    for path in sources.list_files(root, ".c", ".h", ".py", ".sh"):
        name = path.relative_to(root)
        lines = path.read_text().splitlines()
        if len(lines) > FILE_LIMIT:
            problems.append(f"{name}:1: {len(lines)} lines, the limit is {FILE_LIMIT}")
        elif len(lines) > FILE_WISH:
            long_files.append(f"{name}: {len(lines)} lines")
        problems += [
            f"{name}:{number}: {len(line)} columns, the limit is {LINE_LIMIT}"
            for number, line in enumerate(lines, 1)
            if len(line) > LINE_LIMIT
        ]
        if path.suffix not in (".c", ".h"):
            continue
        for first, length, comment in find_functions(lines):
            lengths.append(length)
            if length > FUNCTION_LIMIT and "long:" not in comment:
                problems.append(f"{name}:{first}: a function of {length} lines, the limit is {FUNCTION_LIMIT}")
            elif length > FUNCTION_WISH:
                long_functions.append(f"{name}:{first}: a function of {length} lines")
    for line in long_functions + long_files:
        print(f"     {line}")
    if lengths:
        short = sum(length <= 40 for length in lengths) / len(lengths)
        print(f"     {len(lengths)} functions, {short:.0%} of them within 40 lines; "
              f"{len(long_functions)} over {FUNCTION_WISH}, {len(long_files)} files over {FILE_WISH}")
    return problems
