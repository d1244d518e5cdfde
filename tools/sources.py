# SPDX-License-Identifier: Apache-2.0
"""Which files are the project's own."""

import subprocess


def list_files(root, *suffixes):
    """The files that git knows or would add, sorted; with suffixes, those that end in one of them."""
    command = ["git", "-C", root, "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout.split("\0")
    paths = (root / name for name in sorted(set(names)) if name)
    return [path for path in paths if path.is_file() and (not suffixes or path.suffix in suffixes)]
