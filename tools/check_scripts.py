# SPDX-License-Identifier: Apache-2.0
"""What begins with #! can be executed: a scenario that cannot is not run, and nobody would notice."""

import os

import sources


def check(root):
    problems = []
    for path in sources.list_files(root):
        with path.open("rb") as file:
            is_script = file.read(2) == b"#!"
        if is_script and not os.access(path, os.X_OK):
            problems.append(f"{path.relative_to(root)}:1: begins with #!, but is not executable")
    return problems
