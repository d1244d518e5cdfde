#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Registrations held by a connection: its end is told at once, its session may come back, a restart loses none."""

import signal
import subprocess
import sys
import time

from api_lib import Events, address, call, deregister, get, instance_path, names
from lib import Muster, tap, wait_for


def hold(muster, name="one", service="web", **members):
    body = {"address": "http@10.0.0.7:8080", "hold": True, **members}
    return Events(muster, instance_path(service, name), "PUT", body)


def the_death_of_its_holder_is_told_at_once():
    """etcd#11746: the death of a process is told at once, and with the reason."""
    with Muster() as muster, Events(muster) as events:
        events.until("synced")
        kill_and_watch(muster, events, "--http1.1")
        kill_and_watch(muster, events, "--http2-prior-knowledge")


def kill_and_watch(muster, events, protocol):
    url = "http://%s:%d%s" % (*address(muster), instance_path("web", "one"))
    body = '{"address": "10.0.0.7:80", "hold": true, "grace_ms": 100}'
    words = ["curl", protocol, "-sSN", "-X", "PUT", "--json", body, url]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as holder:
        tap.expect(events.until("change").data["kind"], "registered")
        tap.expect(holder.stdout.readline(), b"event: registered\n")
        killed = time.time()
        holder.send_signal(signal.SIGKILL)
        change = events.until("change").data
        tap.expect((change["kind"], change["after"]["status"]), ("disconnected", "disconnected"))
        tap.expect((change["after"]["offered"], change["after"]["last_resort"]), (False, True))
        tap.expect(change["wall_ms"] - killed * 1000 < 10000, True)  # a third of its TTL
        lost = events.until("change").data
        tap.expect((lost["kind"], lost["after"]), ("connection lost", None))
        tap.expect((lost["evidence"], lost["wall_ms"] - change["wall_ms"] >= 100),
                   ("the connection that held it ended", True))


def its_session_comes_back_within_the_grace():
    with Muster() as muster, Events(muster) as events:
        events.until("synced")
        first = hold(muster, grace_ms=60000)
        tap.expect(first.status, 201)
        session = first.next().data["session"]
        incarnation = events.until("change").data["after"]["incarnation"]
        first.close()
        tap.expect(events.until("change").data["kind"], "disconnected")
        second = hold(muster, grace_ms=60000, session=session)
        tap.expect((second.status, second.next().data["session"]), (200, session))
        back = events.until("change").data
        tap.expect((back["kind"], back["after"]["status"]), ("connection back", "up"))
        tap.expect(back["after"]["incarnation"], incarnation)
        second.close()


def the_old_connection_of_a_session_means_nothing():
    with Muster() as muster, Events(muster) as events:
        events.until("synced")
        old = hold(muster, grace_ms=0)
        session = old.next().data["session"]
        new = hold(muster, grace_ms=0, session=session)
        tap.expect(new.next().event, "registered")
        old.close()
        other = hold(muster, name="witness", grace_ms=0)
        other.next()
        other.close()
        changes = [events.until("change").data for _ in range(4)]
        told = [(change["instance"], change["kind"]) for change in changes]
        tap.expect(told, [("one", "registered"), ("witness", "registered"), ("witness", "disconnected"),
                          ("witness", "connection lost")])
        new.close()
        tap.expect([events.until("change").data["kind"] for _ in range(2)], ["disconnected", "connection lost"])


def another_session_is_another_incarnation():
    with Muster() as muster, Events(muster) as events:
        events.until("synced")
        first = hold(muster)
        first.next()
        second = hold(muster)
        second.next()
        told = first.until("gone")
        tap.expect((told.data["kind"], first.ends()), ("replaced", True))
        tap.expect([events.until("change").data["kind"] for _ in range(2)], ["registered", "replaced"])
        tap.expect(get(muster, instance_path("web", "one")).json["status"], "up")
        second.close()


def who_is_deregistered_is_told():
    """etcd#10821: no registration vanishes silently while its process is fine."""
    with Muster() as muster:
        held = hold(muster)
        held.next()
        deregister(muster, "web", "one")
        gone = held.until("gone")
        tap.expect((gone.data["kind"], gone.data["actor"].startswith("rest ")), ("deregistered", True))
        tap.expect(held.ends(), True)


def it_is_renewed_as_long_as_it_is_held():
    with Muster("--set", "store.min_ttl=100ms") as muster, Events(muster) as events:
        events.until("synced")
        held = hold(muster, ttl_ms=3000)
        tap.expect(held.next().data["ttl_ms"], 3000)
        call(muster, "PUT", instance_path("web", "witness"), {"address": "10.0.0.7:80", "ttl_ms": 4000})
        wait_for(lambda: names(muster, "web"), ["one"])
        held.close()


def a_restart_does_not_lose_it():
    with Muster() as muster:
        held = hold(muster)
        session = held.next().data["session"]
        for number in (signal.SIGTERM, signal.SIGKILL):
            muster.signal(number)
            try:
                held.ends()
            except ConnectionResetError:
                pass
            muster.end()
            muster.start_again()
            tap.expect(get(muster, instance_path("web", "one")).json["status"], "up")
            held = hold(muster, session=session)
            tap.expect((held.status, held.next().data["session"]), (200, session))
        kinds = [entry["kind"] for entry in get(muster, "/api/v1/timeline?service=web").json["entries"]]
        tap.expect(kinds, ["registered"])
        held.close()


def a_crash_does_not_bring_back_who_was_disconnected():
    with Muster() as muster, Events(muster) as events:
        events.until("synced")
        held = hold(muster, grace_ms=60000)
        session = held.next().data["session"]
        held.close()
        wait_for(lambda: [entry["kind"] for entry in get(muster, "/api/v1/timeline?service=web").json["entries"]],
                 ["disconnected", "registered"])
        muster.signal(signal.SIGKILL)
        muster.end()
        muster.start_again()
        tap.expect(get(muster, instance_path("web", "one")).json["status"], "disconnected")
        held = hold(muster, session=session)
        tap.expect((held.status, held.next().data["session"]), (200, session))
        wait_for(lambda: get(muster, instance_path("web", "one")).json["status"], "up")
        held.close()


def what_cannot_be_held():
    with Muster() as muster:
        for members in ({"ttl_ms": 0}, {"grace_ms": -1}, {"session": "s" * 200}, {"hold": "yes"}):
            body = {"address": "10.0.0.7:80", "hold": True, **members}
            tap.expect(call(muster, "PUT", instance_path("web", "one"), body).status, 400)


CASES = (
    the_death_of_its_holder_is_told_at_once,
    its_session_comes_back_within_the_grace,
    the_old_connection_of_a_session_means_nothing,
    another_session_is_another_incarnation,
    who_is_deregistered_is_told,
    it_is_renewed_as_long_as_it_is_held,
    a_restart_does_not_lose_it,
    a_crash_does_not_bring_back_who_was_disconnected,
    what_cannot_be_held,
)

if __name__ == "__main__":
    sys.exit(tap.main(tap.titled(CASES)))
