# SPDX-License-Identifier: Apache-2.0
"""The checks that clang's tools and the compiler make: layout, headers that stand alone, static analysis.

The slow ones remember what passed: a file is looked at again when its text, that of a header it includes, or the rules
changed.
"""

import concurrent.futures
import hashlib
import json
import os
import pathlib
import re
import subprocess

import sources

INCLUDE = re.compile(rb'^\s*#\s*include\s*[<"]([^">]+)[">]', re.MULTILINE)
GUARD = r"^#(pragma once|ifndef \w+_H)$"
INCLUDE_FOLDERS = ("src", "include", "tests")
HEADER_FLAGS = ("-std=gnu17", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", "-x", "c", "-")


def select(root, output, pattern):
    """The lines of a tool's output that match, with file names as seen from the root."""
    lines = (re.sub(r"^(build/\w+/)?(\.\./)+", "", line.replace(f"{root}/", "")) for line in output.splitlines())
    return [line for line in lines if re.search(pattern, line)]


def check_format(root):
    names = [str(path.relative_to(root)) for path in sources.list_files(root, ".c", ".h")]
    command = ["clang-format", "--dry-run", "--Werror", "--ferror-limit=1", *names]
    result = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    problems = select(root, result.stderr, ": error:")
    return problems + ["run ./dev fmt"] if problems else []


def closure(root, path, seen):
    """Adds to `seen` the file and every header of the project that it includes, directly or not."""
    if path in seen:
        return
    seen.add(path)
    for name in INCLUDE.findall(path.read_bytes()):
        for folder in INCLUDE_FOLDERS:
            header = root / folder / os.fsdecode(name)
            if header.is_file():
                closure(root, header, seen)


def digest(root, path, rules):
    """Changes with whatever the check of a file depends on."""
    seen = set()
    closure(root, path, seen)
    value = hashlib.sha256(rules)
    for member in sorted(seen):
        value.update(os.fsencode(member.relative_to(root)) + b"\0" + member.read_bytes() + b"\0")
    return value.hexdigest()


def check_each(root, passed, paths, rules, check_one):
    """Runs check_one(path), which gives a list of problems, for each path that is not remembered in `passed`."""
    passed.mkdir(parents=True, exist_ok=True)
    marks = {path: passed / digest(root, path, rules) for path in paths}
    todo = [path for path in paths if not marks[path].exists()]
    problems = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for path, found in zip(todo, pool.map(check_one, todo)):
            problems += found
            if not found:
                marks[path].touch()
    # A header's problem is found by each file that includes it.
    return list(dict.fromkeys(problems))


def check_headers(root, build):
    # The build makes headers too: protoc-c's.
    folders = [f"-I{place / folder}" for place in (root, build / "debug") for folder in INCLUDE_FOLDERS]

    def check_one(path):
        command = ["cc", *folders, *HEADER_FLAGS]
        result = subprocess.run(command, input=f'#include "{path}"\n', capture_output=True, text=True, check=False)
        problems = select(root, result.stderr, "error:")
        if not re.search(GUARD, path.read_text(), re.MULTILINE):
            problems.append(f"{path.relative_to(root)}:1: no #pragma once (or, in a public header, #ifndef)")
        return problems

    headers = [path for path in sources.list_files(root, ".h") if path.relative_to(root).parts[0] in INCLUDE_FOLDERS]
    return check_each(root, build / "checked/headers", headers, " ".join(HEADER_FLAGS).encode(), check_one)


def check_tidy(root, build):
    database = build / "debug/compile_commands.json"
    files = {pathlib.Path(entry["directory"], entry["file"]).resolve() for entry in json.loads(database.read_text())}

    def check_one(path):
        command = ["clang-tidy", "--quiet", "-p", build / "debug", path]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        return select(root, result.stdout, ": (warning|error):")

    # The command lines are the same for all files of a floor; how they change is written in meson's files.
    rules = subprocess.run(["clang-tidy", "--version"], stdout=subprocess.PIPE, check=True).stdout
    rules += (root / ".clang-tidy").read_bytes() + (root / "meson.build").read_bytes()
    own = sorted(path for path in files if root in path.parents and build not in path.parents)
    return check_each(root, build / "checked/tidy", own, rules, check_one)
