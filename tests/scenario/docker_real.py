#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Containers become instances: with a real engine, Debian's docker.io, started here in a network of its own.

At every quiet moment the catalogue is the engine's own list.
"""

import concurrent.futures
import contextlib
import http.client
import os
import pathlib
import random
import signal
import sys
import time
import urllib.error
import urllib.request

from api_lib import get
from docker_lib import Relay, catalogue, source, timeline
from engine import RealEngine, own_network
from lib import Muster, folder, tap, wait_for

CHURN = (50, 15)  # containers, seconds
SETTINGS = ("--set", "sources.docker.mode=on", "--set", "catalog.flap_suppress=0")


class Bench:
    """The engine, a relay before it, and a muster; made by the first case, for all."""

    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.engine = self.muster = self.relay = None
        self.reason = None

    def make(self):
        path = self.stack.enter_context(folder())
        os.chmod(path, 0o755)
        own_network()
        self.engine = RealEngine(path)
        self.stack.callback(self.engine.end)
        self.engine.make_image()
        self.relay = Relay(path / "relay.sock", self.engine.path)
        self.start_muster()

    def start_muster(self):
        where = ("--set", f"sources.docker.host=unix://{self.relay.path}")
        self.muster = self.stack.enter_context(Muster(*SETTINGS, *where))
        wait_for(lambda: source(self.muster)["state"], "following")


bench = Bench()


def ready():
    """The engine and the muster, or why there are none."""
    if bench.reason:
        raise tap.Skip(bench.reason)
    if not bench.muster:
        try:
            bench.make()
        except tap.Skip as skip:
            bench.reason = str(skip)
            raise
    return bench.engine, bench.muster


@contextlib.contextmanager
def running(name, **settings):
    """A container, by its short id, until the end of the block."""
    short = bench.engine.run(name, **settings)
    try:
        yield short
    finally:
        bench.engine.remove(short)


def pid_of(short):
    return bench.engine.describe(short)["State"]["Pid"]


def expect_truth(service="hello"):
    """Asked for until it holds, so that what the engine tells may be on its way."""
    wait_for(lambda: sorted(catalogue(bench.muster, service)), bench.engine.ids())


def last(muster, kind):
    return next((entry for entry in reversed(timeline(muster)) if entry.startswith(kind)), None)


def answers(address):
    """Whether somebody does there, whatever it is."""
    try:
        urllib.request.urlopen(f"http://{address}/", timeout=10).close()
    except urllib.error.HTTPError:
        return True
    except (OSError, http.client.HTTPException):
        return False
    return True


def from_run_to_kill():
    engine, muster = ready()
    with running("one") as one:
        wait_for(lambda: catalogue(muster), {one: "up"})
        instance = get(muster, "/api/v1/services/hello").json["instances"][0]
        wait_for(lambda: answers(instance["address"]), True)  # it may have to begin first
        engine.post(one, "kill")
        wait_for(lambda: catalogue(muster), {})
        wait_for(lambda: last(muster, "deregistered"), "deregistered: one: die exitCode=137")


def stop_takes_it_out_before_it_is_gone():
    engine, muster = ready()
    with running("two") as one:  # deaf to SIGTERM, as process 1
        wait_for(lambda: catalogue(muster), {one: "up"})
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            stop = pool.submit(engine.post, one, "stop?t=15")
            wait_for(lambda: catalogue(muster), {one: "stopped"})
            tap.expect(stop.done(), False)
            os.kill(pid_of(one), signal.SIGKILL)
            stop.result()
        wait_for(lambda: catalogue(muster), {})
        wait_for(lambda: last(muster, "stopped"), "stopped: two: kill signal=15")


def a_process_that_is_killed():
    _, muster = ready()
    with running("three") as one:
        wait_for(lambda: catalogue(muster), {one: "up"})
        os.kill(pid_of(one), signal.SIGKILL)
        wait_for(lambda: catalogue(muster), {})
        wait_for(lambda: last(muster, "deregistered"), "deregistered: three: die exitCode=137")


def pause_and_restart():
    engine, muster = ready()
    with running("four") as one:
        wait_for(lambda: catalogue(muster), {one: "up"})
        engine.post(one, "pause")
        wait_for(lambda: catalogue(muster), {one: "stopped"})
        engine.post(one, "unpause")
        wait_for(lambda: catalogue(muster), {one: "up"})
        engine.post(one, "rename?name=four-b")
        engine.post(one, "restart?t=0")
        started = {"registered: four-b: start", "registered: four-b: restart"}  # as the one comes right after the other
        wait_for(lambda: last(muster, "registered") in started, True)
        wait_for(lambda: catalogue(muster), {one: "up"})
    wait_for(lambda: catalogue(muster), {})


def a_health_check():
    _, muster = ready()
    look = {"Test": ["CMD", "/bin/busybox", "test", "-e", "/well"], "Interval": 10**9, "Retries": 1000}
    with running("five", Healthcheck=look) as one:
        wait_for(lambda: catalogue(muster), {one: "starting"})
        pathlib.Path(f"/proc/{pid_of(one)}/root/well").touch()
        wait_for(lambda: catalogue(muster), {one: "up"})
        bad = {**look, "Test": ["CMD", "/bin/busybox", "false"], "Retries": 1}
        with running("six", Healthcheck=bad) as two:
            wait_for(lambda: catalogue(muster), {one: "up", two: "failing"})
    wait_for(lambda: catalogue(muster), {})


def a_crash_loop():
    engine, muster = ready()
    since = len(timeline(muster))
    again = {"RestartPolicy": {"Name": "always"}}
    with running("seven", command=["/bin/busybox", "sh", "-c", "exit 3"], HostConfig=again) as one:
        wait_for(lambda: engine.describe(one)["RestartCount"] >= 3, True)
        known = timeline(muster)[since:]  # before it is removed, perhaps while it runs
        tap.expect([entry for entry in known if entry.startswith("deregistered") and "exitCode=3" not in entry], [])
    expect_truth()


def networks():
    engine, muster = ready()
    name = engine.do("POST", "/networks/create", {"Name": "back"})["Id"]
    with running("eight") as one:
        wait_for(lambda: catalogue(muster), {one: "up"})
        engine.do("POST", f"/networks/{name}/connect", {"Container": one})
        engine.do("POST", "/networks/bridge/disconnect", {"Container": one})
        ip = engine.describe(one)["NetworkSettings"]["Networks"]["back"]["IPAddress"]
        wait_for(lambda: get(muster, "/api/v1/services/hello").json["instances"][0]["address"], f"{ip}:8080")
    engine.do("DELETE", f"/networks/{name}")
    expect_truth()


def the_engine_restarts():
    engine, muster = ready()
    with running("r1") as one, running("r2") as two:
        wait_for(lambda: catalogue(muster), {one: "up", two: "up"})
        since = len(timeline(muster))
        engine.restart()  # its containers live on
        wait_for(lambda: source(muster)["state"], "following")
        wait_for(lambda: catalogue(muster), {one: "up", two: "up"})
        tap.expect([entry for entry in timeline(muster)[since:] if entry.startswith("deregistered")], [])
    expect_truth()


def churn(engine, shorts, until, chance):
    """Does what happens to containers, to some of them."""
    while time.monotonic() < until:
        short = chance.choice(shorts)
        verb = chance.choice(["start", "start", "kill", "restart?t=0", "pause", "unpause", "stop?t=0"])
        engine.post(short, verb, allowed=(200, 204, 304, 404, 409, 500))


def fifty_churn_while_streams_are_cut():
    engine, muster = ready()
    n, seconds = CHURN
    seed = random.randrange(1 << 32)
    print(f"# seed {seed}")
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        shorts = list(pool.map(lambda number: engine.create(f"many{number}"), range(n)))
        until = time.monotonic() + seconds
        parts = [pool.submit(churn, engine, shorts[i::3], until, random.Random(seed + i)) for i in range(3)]
        for part in parts:
            while not part.done():
                bench.relay.cut()
                concurrent.futures.wait([part], 2)
            part.result()
        for short in shorts:
            engine.post(short, "unpause", allowed=(204, 409, 500))
        expect_truth()
        wait_for(lambda: set(catalogue(muster).values()) <= {"up"}, True)
        print(f"# {len(timeline(muster))} changes, {source(muster)['drifts']} drifts")
        list(pool.map(engine.remove, shorts))
    expect_truth()


CASES = [
    ("from `docker run` to `docker kill`", from_run_to_kill),
    ("traefik#7886: `docker stop` takes it out before it is gone", stop_takes_it_out_before_it_is_gone),
    ("a process that is killed", a_process_that_is_killed),
    ("pause, rename, restart", pause_and_restart),
    ("registrator#578: HEALTHCHECK is its status", a_health_check),
    ("a crash loop leaves nothing behind", a_crash_loop),
    ("its address follows its networks", networks),
    ("the engine restarts, its containers live on", the_engine_restarts),
    ("many churn while connections are cut", fifty_churn_while_streams_are_cut),
]

if __name__ == "__main__":
    code = tap.main(CASES)
    bench.stack.close()
    sys.exit(code)
