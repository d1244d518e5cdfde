#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Containers become instances: with an engine that is made up, so that it can fail in every way."""

import contextlib
import random
import signal
import sys

from docker_lib import FakeEngine, catalogue, server_tls, source, timeline
from lib import Muster, folder, make_certificate, run, tap, wait_for

QUICK = ("--set", "sources.docker.mode=on", "--set", "sources.docker.address=host")
QUICK += ("--set", "sources.docker.list_interval=500ms", "--set", "sources.docker.poll_interval=100ms")
QUICK += ("--set", "catalog.flap_suppress=0")


@contextlib.contextmanager
def followed(*arguments):
    """An engine, and a muster that follows it."""
    with folder() as path, FakeEngine(path / "docker.sock") as engine:
        where = ("--set", f"sources.docker.host=unix://{engine.path}")
        with Muster(*QUICK, *where, *arguments) as muster:
            wait_for(lambda: source(muster)["state"], "following")
            yield engine, muster


def missing_in_status(muster, *words):
    """Those that `muster status` does not show now: between two tries it says that it connects."""
    shown = run("status", "--address", f"http://{muster.address()}").out
    return [word for word in words if word not in shown]


def containers_come_and_go():
    with followed() as (engine, muster):
        one = engine.run(1, 1001)
        two = engine.run(2, 1002, labels={"muster.service": "shop", "muster.weight": "3"})
        wait_for(lambda: catalogue(muster), {one: "up"})
        wait_for(lambda: catalogue(muster, "shop"), {two: "up"})
        engine.signal(one, signal.SIGTERM)
        wait_for(lambda: catalogue(muster), {one: "stopped"})
        engine.die(one, 143)
        wait_for(lambda: catalogue(muster), {})
        engine.run(1, 1003)
        wait_for(lambda: catalogue(muster), {one: "up"})
        told = ["registered: c1: start", "stopped: c1: kill signal=15", "deregistered: c1: die exitCode=143"]
        wait_for(lambda: timeline(muster), [*told, "registered: c1: start"])
        tap.expect(source(muster)["drifts"], 0)


def a_stream_that_is_cut_goes_on_where_it_was():
    with followed("--set", "sources.docker.list_interval=1h") as (engine, muster):
        one = engine.run(1, 1001)
        wait_for(lambda: catalogue(muster), {one: "up"})
        for number in range(2, 12):
            engine.cut()
            engine.run(number, 1000 + number)
            wait_for(lambda: sorted(catalogue(muster)), engine.ids())
        tap.expect(any("since=" in path for path in engine.asked), True)
        wait_for(lambda: timeline(muster).count("registered: c7: start"), 1)


def what_happens_before_the_engine_listens():
    with folder() as path, FakeEngine(path / "docker.sock") as engine:
        engine.listens.clear()
        where = ("--set", f"sources.docker.host=unix://{engine.path}", "--set", "sources.docker.list_interval=1h")
        with Muster(*QUICK, *where) as muster:
            muster.wait_for_log("the Docker engine is followed")  # its list was empty
            one = engine.run(1, 1001)
            engine.listens.set()
            wait_for(lambda: catalogue(muster), {one: "up"})
            wait_for(lambda: timeline(muster), ["registered: c1: start"])


def a_lost_engine_is_waited_for():
    with followed() as (engine, muster):
        one, two = engine.run(1, 1), engine.run(2, 1)  # where nobody is: so suspicion stays
        wait_for(lambda: catalogue(muster), {one: "up", two: "up"})
        engine.stop()
        wait_for(lambda: catalogue(muster), {one: "suspect", two: "suspect"})
        wait_for(lambda: (source(muster)["state"], source(muster)["trouble"]), ("waiting", "no such socket"))
        tap.expect(source(muster)["next_try_ms"] > source(muster)["last_success_ms"] > 0, True)
        wait_for(lambda: missing_in_status(muster, "docker", "waiting", "no such socket"), [])
        engine.die(two, 1, quietly=True)
        engine.start()
        wait_for(lambda: sorted(catalogue(muster)), [one])
        wait_for(lambda: source(muster)["state"], "following")


def an_engine_that_comes_later_is_found():
    with folder() as path:
        where = ("--set", "sources.docker.mode=auto", "--set", f"sources.docker.host=unix://{path}/docker.sock")
        with Muster(*QUICK, *where) as muster:
            wait_for(lambda: source(muster)["state"], "waiting")
            tap.expect("cannot be reached" in muster.log(), False)
            with FakeEngine(path / "docker.sock") as engine:
                one = engine.run(1, 1001)
                wait_for(lambda: catalogue(muster), {one: "up"})


def where_events_are_refused_it_is_polled():
    with followed() as (engine, muster):
        engine.events_status = 403
        engine.cut()
        wait_for(lambda: source(muster)["state"], "polling")
        one = engine.run(1, 1001)
        wait_for(lambda: catalogue(muster), {one: "up"})
        engine.die(one, 0)
        wait_for(lambda: catalogue(muster), {})
        engine.events_status = 200
        wait_for(lambda: source(muster)["state"], "following")


def a_slow_engine():
    with followed("--set", "sources.docker.list_interval=1h") as (engine, muster):
        engine.delay = 0.2
        one = engine.run(1, 1001)
        engine.die(one, 1)
        engine.run(1, 1001)  # while it is asked how the one before is
        two = engine.run(2, 1002)
        wait_for(lambda: catalogue(muster), {one: "up", two: "up"})
        engine.die(two, 1)
        wait_for(lambda: catalogue(muster), {one: "up"})


def garbage_removes_nobody():
    kinds = [lambda text: text[: len(text) // 2], lambda text: b"\xff\x00garbage", lambda text: b"[" * 100000]
    kinds += [lambda text: b"{}", lambda text: b"null", lambda text: b'[{"Id":7}]']
    with followed() as (engine, muster):
        one = engine.run(1, 1001)
        wait_for(lambda: catalogue(muster), {one: "up"})
        for kind in kinds:
            engine.garbage = kind
            wait_for(lambda: source(muster)["trouble"] != "", True)
            tap.expect(list(catalogue(muster)), [one])
            engine.garbage = None
            wait_for(lambda: source(muster)["state"], "following")
        two = engine.run(2, 1002)
        wait_for(lambda: sorted(catalogue(muster)), sorted([one, two]))


def what_no_event_told_is_mended_and_told():
    with followed() as (engine, muster):
        one = engine.run(1, 1001)
        wait_for(lambda: catalogue(muster), {one: "up"})
        engine.die(one, 1, quietly=True)
        wait_for(lambda: (catalogue(muster), source(muster)["drifts"]), ({}, 1))
        muster.wait_for_log("drift")
        tap.expect(muster.metric("muster_docker_drift_total"), 1)


def what_a_muster_that_was_killed_left():
    with followed() as (engine, muster):
        one, two, three = engine.run(1, 1001), engine.run(2, 1002), engine.run(3, 1003)
        wait_for(lambda: sorted(catalogue(muster)), [one, two, three])
        muster.signal(signal.SIGKILL)
        muster.end()
        engine.die(one, 1)
        engine.remove(one)
        engine.die(two, 1)
        engine.run(2, 1002)
        engine.ahead_s = 2  # later: the events of a second ago would be told
        muster.start_again()
        wait_for(lambda: sorted(catalogue(muster)), [two, three])
        told = {"deregistered: that run of its container has ended", "registered: c2: found running"}
        wait_for(lambda: told <= set(timeline(muster)), True)


@contextlib.contextmanager
def engine_by_tls(is_vouched_for):
    """An engine that wants to know who asks, and the environment in which Docker's own clients find it."""
    with folder() as path:
        signed = (("ca", None), ("engine", "ca" if is_vouched_for else None), ("cert", "ca"))
        certs = {name: make_certificate(path, name, ca=ca) for name, ca in signed}
        for name in ("ca", "cert", "key"):
            kind = "key" if name == "key" else "crt"
            (path / f"{'cert' if name == 'key' else name}.{kind}").rename(path / f"{name}.pem")
        with FakeEngine(tls=server_tls(*certs["engine"], path / "ca.pem")) as engine:
            env = {"DOCKER_HOST": f"tcp://localhost:{engine.server.server_address[1]}"}
            yield engine, {**env, "DOCKER_TLS_VERIFY": "1", "DOCKER_CERT_PATH": str(path)}


def an_engine_by_tls():
    with engine_by_tls(True) as (engine, env), Muster(*QUICK, env=env) as muster:
        one = engine.run(1, 1001)
        wait_for(lambda: catalogue(muster), {one: "up"})


def an_engine_that_nobody_vouches_for():
    with engine_by_tls(False) as (engine, env), Muster(*QUICK, env=env) as muster:
        wait_for(lambda: source(muster)["trouble"], "its certificate was refused")
        tap.expect(engine.asked, [])


def a_host_that_is_none_is_told():
    wrong = run("serve", "--set", "sources.docker.host=ssh://there", "--set", "sources.docker.mode=on")
    tap.expect((wrong.code != 0, "expected unix:///PATH or tcp://HOST:PORT" in wrong.err), (True, True))
    with Muster("--set", "sources.docker.mode=auto", env={"DOCKER_HOST": "ssh://there"}) as muster:
        muster.wait_for_log("what the environment says of Docker is passed over")


def many_come_and_go_at_random():
    seed = random.randrange(1 << 32)
    print(f"# seed {seed}")
    chance = random.Random(seed)
    with followed() as (engine, muster):
        for _ in range(10):
            for _ in range(40):
                number = chance.randrange(1, 50)
                short = f"{number:012x}"
                what = chance.random()
                if short not in engine.ids():
                    engine.run(number, 1000 + number)
                elif what < 0.6:
                    engine.die(short, 1, quietly=what < 0.05)
                elif what < 0.7:
                    engine.signal(short, signal.SIGHUP)
                elif what < 0.75:
                    engine.cut()
            wait_for(lambda: sorted(catalogue(muster)), engine.ids())


CASES = [
    ("containers come and go, each change in the engine's words", containers_come_and_go),
    ("a stream of events that is cut goes on where it was", a_stream_that_is_cut_goes_on_where_it_was),
    ("what happens before the engine listens is told, too", what_happens_before_the_engine_listens),
    ("traefik#13549: a lost engine is waited for, its containers are suspects", a_lost_engine_is_waited_for),
    ("an engine that comes later is found", an_engine_that_comes_later_is_found),
    ("where events are refused the list is read often", where_events_are_refused_it_is_polled),
    ("a slow engine's answers are not taken for news", a_slow_engine),
    ("garbage removes nobody", garbage_removes_nobody),
    ("registrator#325: what no event told is mended, and told as drift", what_no_event_told_is_mended_and_told),
    ("what a muster that was killed left is brought in line", what_a_muster_that_was_killed_left),
    ("an engine by TLS, as Docker's own variables say", an_engine_by_tls),
    ("an engine that nobody vouches for is told", an_engine_that_nobody_vouches_for),
    ("a host that is none is told", a_host_that_is_none_is_told),
    ("many come and go at random", many_come_and_go_at_random),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
