# SPDX-License-Identifier: Apache-2.0
"""Every source file names its licence in one of its first three lines."""

import sources

LINE = "SPDX-License-Identifier: Apache-2.0"
SUFFIXES = {".build", ".c", ".cc", ".h", ".in", ".map", ".py", ".service", ".sh"}


def check(root):
    problems = []
    for path in sources.list_files(root):
        with path.open(errors="replace") as file:
            head = [file.readline() for _ in range(3)]
        is_source = path.suffix in SUFFIXES or path.name == "meson_options.txt" or head[0].startswith("#!")
        if is_source and not any(LINE in line for line in head):
            problems.append(f"{path.relative_to(root)}:1: no line with {LINE}")
    return problems
