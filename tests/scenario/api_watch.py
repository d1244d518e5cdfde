#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Watches as Server-Sent Events: what they show first, how they resume, and that a slow one harms nobody."""

import re
import select
import signal
import socket
import sys
import time

from api_lib import Events, address, call, deregister, get, instance_path, register
from lib import SANITIZED, SECONDS, Muster, tap

PATIENT = ("--set", "http.send_timeout=1h")  # who takes nothing is not cut off, however long we are busy


def shows_what_is_there_then_what_changes():
    with Muster() as muster:
        register(muster, "web", "one")
        revision = register(muster, "db", "one")["revision"]
        with Events(muster) as events:
            tap.expect((events.status, "content-type: text/event-stream" in events.head.lower()), (200, True))
            shown = [events.next() for _ in range(2)]
            tap.expect([(s.event, s.id, s.data["name"]) for s in shown],
                       [("snapshot", None, "db"), ("snapshot", None, "web")])
            tap.expect(shown[1].data, get(muster, "/api/v1/services/web").json)
            synced = events.next()
            tap.expect((synced.event, synced.id, synced.data), ("synced", str(revision), {"revision": revision}))
            made = register(muster, "web", "two")["revision"]
            change = events.next()
            tap.expect((change.event, change.id, change.data["kind"]), ("change", str(made), "registered"))
            tap.expect((change.data["before"], change.data["after"]["id"]), (None, "two"))
            tap.expect(change.data["after"], get(muster, instance_path("web", "two")).json)


def named_services_and_prefixes():
    """consul#3890: a watcher is woken by what it asked for and by nothing else."""
    with Muster() as muster:
        register(muster, "db", "one")
        with Events(muster, "/api/v1/watch?service=web&service=db&service=web") as named, \
                Events(muster, "/api/v1/watch?prefix=w") as wide:
            tap.expect([named.next().data["name"] for _ in range(2)], ["db", "web"])
            named.until("synced")
            wide.until("synced")
            for number in range(20):
                register(muster, f"other-{number}", "one")
            register(muster, "web", "one")
            register(muster, "worker", "one")
            register(muster, "db", "two")
            tap.expect([named.next().data["service"] for _ in range(2)], ["web", "db"])
            tap.expect([wide.next().data["service"] for _ in range(2)], ["web", "worker"])
        tap.expect(get(muster, "/api/v1/watch?service=a&prefix=b").status, 400)


def resumes_across_a_lost_connection():
    with Muster() as muster:
        with Events(muster) as events:
            last = events.until("synced").id
        revisions = [register(muster, "web", str(number))["revision"] for number in range(5)]
        for resume in ({"headers": {"Last-Event-ID": last}}, {"path": f"/api/v1/watch?after={last}"}):
            with Events(muster, **resume) as events:
                tap.expect([int(events.next().id) for _ in range(5)], revisions)
        with Events(muster, headers={"Last-Event-ID": str(revisions[-1])}) as events:
            made = register(muster, "web", "later")["revision"]
            tap.expect(int(events.next().id), made)


def what_is_not_known_begins_with_a_reset():
    """etcd#8668: lost history is told, and followed by all there is."""
    with Muster() as muster:
        register(muster, "web", "one")
        for last in ("999999", "abc", "-1"):
            with Events(muster, headers={"Last-Event-ID": last}) as events:
                tap.expect([events.next().event for _ in range(3)], ["reset", "snapshot", "synced"])


def a_restart_is_a_reset():
    """Nothing is missed over a restart, and nothing that is there is told as gone."""
    with Muster() as muster:
        register(muster, "web", "one", ttl_ms=0)
        with Events(muster) as events:
            last = events.until("synced").id
            muster.signal(signal.SIGTERM)
            tap.expect((events.ends(), muster.end()), (True, 0))
        muster.start_again()
        with Events(muster, headers={"Last-Event-ID": last}) as events:
            tap.expect(events.next().event, "reset")
            snapshot = events.next()
            tap.expect([instance["id"] for instance in snapshot.data["instances"]], ["one"])
            synced = events.next()
            tap.expect((synced.event, int(synced.id) > int(last)), ("synced", True))
            register(muster, "web", "two", ttl_ms=0)
            last = events.until("change").id
        muster.signal(signal.SIGKILL)
        muster.end()
        muster.start_again()
        with Events(muster, headers={"Last-Event-ID": last}) as events:
            tap.expect([events.next().event for _ in range(3)], ["reset", "snapshot", "synced"])


def silence_is_never_long():
    """etcd#8980: a stream on which nothing happens still says something every five seconds."""
    with Muster() as muster, Events(muster) as events:
        events.until("synced")
        took = []
        while not took or min(took) >= 11 and len(took) < 4:  # a machine that stands still makes one late, and not each
            start = time.monotonic()
            events.comment()
            events.comment()
            took.append(time.monotonic() - start)
        tap.expect(min(took) < 11, True)


def slow_stream(muster):
    """A watch whose client takes nothing once it has begun; its buffer is small."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(SECONDS)
    connection.connect(address(muster))
    connection.sendall(b"GET /api/v1/watch HTTP/1.0\r\nHost: x\r\n\r\n")
    begun = b""
    while not re.search(b"event: synced\n.*\n\n", begun, re.DOTALL):
        piece = connection.recv(4096)
        tap.expect(bool(piece), True)
        begun += piece
    return connection


def a_slow_reader_harms_nobody_and_misses_nothing():
    """etcd#17529: what a client does not read costs no memory, and delays nobody."""
    with Muster(*PATIENT) as muster:
        slow = slow_stream(muster)
        text = {"text": "x" * 20000}
        with Events(muster) as quick:
            quick.until("synced")
            before = muster.resident_bytes()
            revisions = []
            for number in range(600):
                made = register(muster, "web", "one", metadata={**text, "number": str(number)})
                revisions.append(made["revision"])
                tap.expect(int(quick.until("change").id), made["revision"])
            if not SANITIZED:
                tap.expect(muster.resident_bytes() - before < 60 * 1024 * 1024, True)
        seen, taken = [], b""
        while not seen or seen[-1] != revisions[-1]:
            tap.expect(bool(select.select([slow], [], [], SECONDS)[0]), True)
            taken += slow.recv(1 << 20)
            while b"\n\n" in taken:
                block, taken = taken.split(b"\n\n", 1)
                if b"event: change" in block:
                    seen.append(int(block.split(b"id: ", 1)[1].split(b"\n")[0]))
        tap.expect(seen, revisions)
        slow.close()


def one_that_is_too_slow_is_reset():
    """etcd#16839: what is remembered for slow readers has a limit; behind it they get what is there now."""
    with Muster(*PATIENT) as muster:
        slow = slow_stream(muster)
        for number in range(700):
            register(muster, "web", "one", metadata={"text": "x" * 60000, "number": str(number)})
        with slow.makefile("rb") as lines:
            tap.expect(b"event: reset\n" in lines, True)  # reads as far as there
            last = b""
            while (line := next(lines)) != b"event: synced\n":
                last = line if line.startswith(b"data: ") else last
            tap.expect(b'"number":"699"' in last, True)
        slow.close()


def many_watchers_hear_at_once():
    with Muster() as muster:
        watchers = [Events(muster, "/api/v1/watch?service=web") for _ in range(300)]
        for events in watchers:
            events.until("synced")
        made = register(muster, "web", "one")["revision"]
        tap.expect({int(events.next().id) for events in watchers}, {made})
        deregister(muster, "web", "one")
        tap.expect({events.next().data["kind"] for events in watchers}, {"deregistered"})
        for events in watchers:
            events.close()


def a_wait_is_answered_when_they_are_ready():
    with Muster() as muster:
        register(muster, "db", "one")
        waiting = Events.__new__(Events)
        waiting.connection = socket.create_connection(address(muster), SECONDS)
        waiting.connection.sendall(b"GET /api/v1/wait?service=db&service=web&min=1 HTTP/1.0\r\nHost: x\r\n\r\n")
        register(muster, "other", "one")
        tap.expect(select.select([waiting.connection], [], [], 0)[0], [])
        made = register(muster, "web", "one")["revision"]
        answer = b""
        while piece := waiting.connection.recv(65536):
            answer += piece
        tap.expect(b'{"ready":true,"revision":%d}' % made in answer, True)
        waiting.close()
        tap.expect(get(muster, "/api/v1/wait?service=db&service=web").json["ready"], True)
        late = get(muster, "/api/v1/wait?service=db&service=web&min=2&timeout_ms=50")
        tap.expect((late.status, late.json["type"], late.json["missing"]), (504, "/problems/not-ready", ["db", "web"]))
        call(muster, "PUT", instance_path("web", "one") + "/drain")
        late = get(muster, "/api/v1/wait?service=db&service=web&timeout_ms=0")
        tap.expect((late.status, late.json["missing"]), (504, ["web"]))
        tap.expect(get(muster, "/api/v1/wait").status, 400)


CASES = (
    shows_what_is_there_then_what_changes,
    named_services_and_prefixes,
    resumes_across_a_lost_connection,
    what_is_not_known_begins_with_a_reset,
    a_restart_is_a_reset,
    silence_is_never_long,
    a_slow_reader_harms_nobody_and_misses_nothing,
    one_that_is_too_slow_is_reset,
    many_watchers_hear_at_once,
    a_wait_is_answered_when_they_are_ready,
)

if __name__ == "__main__":
    sys.exit(tap.main(tap.titled(CASES)))
