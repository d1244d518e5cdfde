# SPDX-License-Identifier: Apache-2.0
"""Holds every #include against the table of floors in ARCHITECTURE.md.

A folder may include from itself, from the folders it lies in, and from lower floors; where the table names what a
folder may include, from these only. A unit test has the rights of the folder it is named after, and may look into the
folders inside that one.
"""

import collections
import dataclasses
import pathlib
import re

INCLUDE = re.compile(r'\s*#\s*include\s*"([^"]+)"')
SEARCHED = ("src", "include")


@dataclasses.dataclass(frozen=True)
class Floor:
    number: int
    folder: str
    only: tuple  # folders; empty: every lower floor


def read_floors(document):
    """The rows of the table, by folder."""
    floors = {}
    for line in document.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 4 and cells[0].isdigit():
            floor = Floor(int(cells[0]), cells[1].strip("`"), tuple(re.findall(r"`([^`]+)`", cells[2])))
            floors[floor.folder] = floor
    return floors


def floor_of(folder, floors):
    """The row of a folder or of the nearest folder around it."""
    for candidate in (folder, *folder.parents):
        if str(candidate) in floors:
            return floors[str(candidate)]
    return None


def broken_rule(folder, target, floors):
    """Why a file in `folder` must not include one in `target`; None when it may."""
    if target == folder or target in folder.parents:
        return None
    here, there = floor_of(folder, floors), floor_of(target, floors)
    if here.only:
        if there.folder in here.only:
            return None
        return f"{folder} (floor {here.number}) includes only {', '.join(here.only)}; {target} is not among them"
    if there.number < here.number:
        return None
    if there.folder == here.folder:
        return f"{folder} and {target} (floor {here.number}) lie side by side and must not know each other"
    return f"{folder} (floor {here.number}) must not include {target} (floor {there.number}): only lower floors"


def home_of(path):
    """The folder whose rights a file has."""
    parts = path.parent.parts
    return pathlib.PurePath("src", *parts[2:]) if parts[:2] == ("tests", "unit") else path.parent


def find_header(root, name):
    """The path of an included header of the project, relative to the root; None for what is not there.

    A header that protoc-c makes is where its .proto is.
    """
    for folder in SEARCHED:
        if (root / folder / re.sub(r"\.pb-c\.h$", ".proto", name)).is_file():
            return pathlib.PurePath(folder, name)
    return None


def find_cycle(graph):
    """A list of headers that include each other in a circle; empty when there is none."""
    done = set()

    def visit(node, trail):
        if node in trail:
            return trail[trail.index(node):] + [node]
        if node in done:
            return []
        done.add(node)
        for successor in graph.get(node, ()):
            if cycle := visit(successor, trail + [node]):
                return cycle
        return []

    for node in sorted(graph):
        if cycle := visit(node, []):
            return cycle
    return []


def check_file(root, path, floors, graph):
    """The problems of one file; notes in `graph` what it includes."""
    home = home_of(path)
    is_test = home != path.parent
    if not floor_of(home, floors):
        return [f"{path}:1: {home} is not in the table of floors in ARCHITECTURE.md"]
    problems = []
    for number, line in enumerate((root / path).read_text().splitlines(), 1):
        include = INCLUDE.match(line)
        if not include or include[1].startswith("support/"):
            continue
        header = find_header(root, include[1])
        if not header:
            problems.append(f'{path}:{number}: no "{include[1]}" in src/ or include/: name a header by its folder')
            continue
        graph[path].append(header)
        if not floor_of(header.parent, floors):
            problems.append(f"{path}:{number}: {header.parent} is not in the table of floors in ARCHITECTURE.md")
        elif is_test and home in header.parent.parents:
            continue
        elif rule := broken_rule(home, header.parent, floors):
            problems.append(f"{path}:{number}: {rule}")
    return problems


def check(root):
    floors = read_floors((root / "ARCHITECTURE.md").read_text())
    if not floors:
        return ["ARCHITECTURE.md:1: no table of floors"]
    problems = []
    graph = collections.defaultdict(list)
    for folder in (*SEARCHED, "tests/unit"):
        for path in sorted((root / folder).rglob("*.[ch]")):
            problems += check_file(root, pathlib.PurePath(path.relative_to(root)), floors, graph)
    if cycle := find_cycle(graph):
        problems.append(f"{cycle[0]}:1: includes itself: " + " -> ".join(str(node) for node in cycle))
    return problems
