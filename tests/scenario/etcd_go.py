#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""etcd's Go client as its users use it, with concurrency and naming, against etcd and muster: tests/go/etcd_client."""

import fcntl
import functools
import os
import shutil
import subprocess
import sys

from etcd_lib import PATH, TOOLS, main, tap

SECONDS = 150  # the program has a limit of its own
SOURCES = TOOLS.parent.parent.parent / "tests/go/etcd_client"
BUILT = TOOLS.parent / "etcd_client"


@functools.cache
def client():
    """The program, built when it is not up to date: by Go, which keeps what it has compiled beside it."""
    go = shutil.which("go", path=f"{PATH}:{TOOLS}/lib/go-1.19/bin")
    if not go:
        raise tap.Skip("there is no go")
    sources = [folder for folder in (f"{TOOLS}/share/gocode", "/usr/share/gocode")
               if os.path.exists(f"{folder}/src/go.etcd.io/etcd/clientv3")]
    if not sources:
        raise tap.Skip("there is no Go client of etcd")
    settings = {"GOPATH": sources[0], "GOCACHE": f"{TOOLS.parent}/go-cache", "GO111MODULE": "off"}
    settings |= {"GOFLAGS": "", "GOTOOLCHAIN": "local", "CGO_ENABLED": "0"}
    with open(f"{BUILT}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        subprocess.run([go, "build", "-o", BUILT, "."], cwd=SOURCES, env={**os.environ, **settings}, check=True,
                       timeout=300)
    return BUILT


def begin(server, name):
    words = [client(), f"{server.host}:{server.port}", name]
    return subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(process, said=None):
    output, _ = process.communicate(said, timeout=SECONDS)
    if process.returncode != 0:
        raise AssertionError(output)
    return output


# Most of their time they wait for leases to end: all run at once, from the first that is asked for.
TOGETHER = {
    "registration": "a registration that is kept alive outlives its TTL",
    "loss": "who keeps a lease alive hears of its end",
    "crash": "the key of a process that is killed goes away, and its watcher is told",
    "leases": "leases can be asked about",
    "kv": "pairs, ranges, the past and errors",
    "txn": "transactions with every compare, both branches and one within",
    "watch": "watches of a prefix: previous pairs, filters, an end",
    "watch-history": "a watch from a revision misses nothing and repeats nothing",
    "watch-large": "history larger than a message comes in fragments",
    "watch-progress": "progress is told on request",
    "session": "a session is over when its lease is",
    "mutex": "processes that count under a mutex lose nothing",
    "mutex-holder-dies": "the mutex of a process that is killed comes free",
    "election": "an election from campaign to resignation, observed",
    "election-dies": "after a leader that is killed the next one leads",
    "stm": "software transactional memory loses no update",
    "naming": "gRPC's resolver follows a service",
    "maintenance": "members, status, alarms, hashes",
    "snapshot": "a snapshot has a hash, and does not stop who writes",
}


@functools.cache
def begin_all(server):
    return {name: begin(server, name) for name in TOGETHER}


def one_of_all(name):
    return lambda server: finish(begin_all(server)[name])


def compaction(server):
    """By itself: it takes history away from the others."""
    finish(begin(server, "compaction"))


def through_a_restart(name):
    def case(server):
        process = begin(server, name)
        tap.expect(process.stdout.readline(), "restart\n")
        server.kill()
        server.start_again()
        print("#", finish(process, "restarted\n").strip())

    return case


if __name__ == "__main__":
    sys.exit(
        main(
            [(words, one_of_all(name)) for name, words in TOGETHER.items()]
            + [
                ("what is compacted is said to be gone", compaction),
                ("a kill -9 of the server is not noticed by registrant and watcher", through_a_restart("restart")),
                ("nor by a user, whose token is forgotten", through_a_restart("auth")),
            ]
        )
    )
