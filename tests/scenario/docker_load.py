#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Containers are stopped and started as planned under a steady load through the gateway, which sees no failed request.

With a real engine. Of the containers some end when they are asked to, some are deaf to it and are killed at last.
"""

import contextlib
import os
import sys
import time

from docker_lib import catalogue, source
from engine import Load, RealEngine, own_network
from lib import Muster, folder, tap, wait_for

SETTINGS = ("--set", "sources.docker.mode=on", "--set", "catalog.flap_suppress=0",
            "--set", "gateway.balance=round_robin")
ROUNDS = 2


@contextlib.contextmanager
def bench():
    """An engine, a muster that follows it, and four containers by their names."""
    with folder() as path, contextlib.ExitStack() as stack:
        os.chmod(path, 0o755)
        own_network()
        engine = RealEngine(path)
        stack.callback(engine.end)
        engine.make_hello()
        muster = stack.enter_context(Muster(*SETTINGS, "--set", f"sources.docker.host=unix://{engine.path}"))
        wait_for(lambda: source(muster)["state"], "following")
        containers = {name: run(engine, name) for name in ("one", "two", "deaf-one", "deaf-two")}
        wait_for(lambda: set(catalogue(muster).values()), {"up"})
        wait_for(lambda: len(catalogue(muster)), len(containers))
        yield engine, muster, containers


def run(engine, name):
    command = ["/hello", "deaf"] if name.startswith("deaf") else ["/hello"]
    return engine.run(name, command=command, Hostname=name)


def serves(load, name):
    """Waits until it answers."""
    since = time.time_ns()
    wait_for(lambda: name in load.names_since(since), True)


def planned_stops(engine, load, containers):
    for _ in range(ROUNDS):
        for name, short in containers.items():
            engine.post(short, "stop?t=1")
            engine.post(short, "start")
            serves(load, name)


def restarts(engine, load, containers):
    for name, short in containers.items():
        engine.post(short, "restart?t=1")
        serves(load, name)


def replacements(engine, load, containers):
    for number in range(ROUNDS):
        new = run(engine, f"new-{number}")
        serves(load, f"new-{number}")
        name = next(iter(containers))
        engine.post(containers[name], "stop?t=1")
        engine.remove(containers.pop(name))
        containers[f"new-{number}"] = new


def no_request_fails():
    with bench() as (engine, muster, containers), Load(muster.address("gateway")) as load:
        serves(load, "one")
        for deed in (planned_stops, restarts, replacements):
            deed(engine, load, containers)
            print(f"# {deed.__name__}: {len(load.answers)} requests by now, {len(load.faults)} failed")
        tap.expect(load.faults, [])


CASES = [("no request fails while containers are stopped and started as planned", no_request_fails)]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
