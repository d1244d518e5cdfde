#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many connections: what they cost, and what happens when there is no room for more."""

import json
import resource
import sys

from lib import Muster, ask, receive_to_end, tap, unhurried, unless_closed, wait_for

REQUEST = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
IDLE_CONNECTIONS = 9000
BYTES_PER_CONNECTION = 300


def raise_own_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def idle_connections_cost_little():
    limit = raise_own_limit()
    if limit < IDLE_CONNECTIONS + 200:
        raise tap.Skip(f"this shell may open {limit} descriptors, {IDLE_CONNECTIONS + 200} are needed")
    with Muster(*unhurried(), listen=("127.0.0.1:0",)) as muster:
        warm_up = [muster.connect() for _ in range(200)]
        for connection in warm_up:
            tap.expect(ask(connection, REQUEST).status, 200)
        before = muster.resident_bytes()
        connections = [muster.connect() for _ in range(IDLE_CONNECTIONS)]
        for connection in connections:
            tap.expect(ask(connection, REQUEST).status, 200)
        cost = (muster.resident_bytes() - before) / IDLE_CONNECTIONS
        muster.wait_for_metric("muster_http_connections_open", 200 + IDLE_CONNECTIONS + 1)
        print(f"# {cost:.0f} bytes per idle connection, {before / 1e6:.1f} MB before")
        tap.expect(cost <= BYTES_PER_CONNECTION, True)
        for connection in (*warm_up, *connections):
            connection.close()


def connections_are_shared_by_the_workers():
    raise_own_limit()
    with Muster("--workers", "4", *unhurried()) as muster:
        connections = [muster.connect() for _ in range(400)]
        for connection in connections:
            tap.expect(ask(connection, REQUEST).status, 200)

        def counts():
            return [worker["connections"] for worker in json.loads(muster.get("/api/v1/status").body)["workers"]]

        wait_for(lambda: sum(counts()), 401)
        tap.expect(min(counts()) > 50, True)
        for connection in connections:
            connection.close()
        wait_for(lambda: sum(counts()), 1)


def running_out_of_descriptors_is_survived():
    def limit():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    with Muster("--workers", "1", "--set", "http.idle_timeout=1h", preexec_fn=limit) as muster:
        served, turned_away = [], 0
        for _ in range(100):
            connection = muster.connect()
            if unless_closed(lambda: ask(connection, REQUEST).status) == 200:
                served.append(connection)
            else:  # closed, not left hanging
                turned_away += 1
                connection.close()
        tap.expect((len(served) > 20, turned_away > 20), (True, True))
        for connection in served[1:]:  # those that are there go on
            tap.expect(ask(connection, REQUEST).status, 200)
            connection.close()
        # And there is room again.
        served[0].close()
        wait_for(lambda: unless_closed(lambda: muster.get("/livez").status), 200)
        muster.wait_for_log("out of descriptors")
        tap.expect(muster.metric("muster_connections_turned_away_total") >= turned_away, True)


def too_many_connections_are_told_and_closed_at_once():
    with Muster("--workers", "1", "--set", "http.worker_connections=2") as muster:
        with muster.connect() as one, muster.connect() as two:
            tap.expect([ask(one, REQUEST).status, ask(two, REQUEST).status], [200, 200])
            with muster.connect() as three:
                tap.expect(receive_to_end(three).split(b"\r\n")[0], b"HTTP/1.1 503 Service Unavailable")
            tap.expect(ask(one, REQUEST).status, 200)
        wait_for(lambda: unless_closed(lambda: muster.metric("muster_http_connections_open")), 1)
        tap.expect(muster.metric("muster_http_connections_refused_total") >= 1, True)


CASES = [
    (f"an idle connection costs at most {BYTES_PER_CONNECTION} bytes of our memory", idle_connections_cost_little),
    ("connections are shared by the workers, and counted", connections_are_shared_by_the_workers),
    ("running out of descriptors turns new clients away and leaves the others alone",
     running_out_of_descriptors_is_survived),
    ("consul#7527: connections beyond the limit are told and closed at once",
     too_many_connections_are_told_and_closed_at_once),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
