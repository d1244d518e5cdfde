#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Membership that changes all the time, while clients ask: nobody notices."""

import collections
import json
import sys
import threading

from gateway_failures import HOST, Load, doubled, processes
from gateway_lib import Message
from lib import SANITIZED, tap, wait_for

ROUNDS, EACH = 40 if SANITIZED else 100, 40  # changes: registrations and deregistrations in turn


class Churn:
    """Registers and deregisters by REST as fast as one connection can, for so many rounds."""

    def __init__(self, gateway, ports, request):
        self.gateway, self.ports, self.statuses = gateway, ports, collections.Counter()
        self.request = request
        self.thread = threading.Thread(target=self.run)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.thread.join()

    def run(self):
        with self.gateway.connect() as connection:
            rest = b""
            for number in range(ROUNDS):
                requests = [self.request(number * EACH + i, self.ports) for i in range(EACH)]
                connection.sendall("".join(requests).encode())
                for _ in requests:
                    answer = Message(connection, rest, is_answer_to="PUT")
                    rest = answer.rest
                    self.statuses[answer.status] += 1


def put(path, **record):
    body = json.dumps(record)
    return (f"PUT {path} HTTP/1.1\r\n{HOST}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            f"{body}")


def instance_request(i, ports):
    """Each name comes, with another address each time, and goes with the next request."""
    path = f"/api/v1/services/web/instances/churn{i // 2 % 7}"
    if i % 2:
        return f"DELETE {path} HTTP/1.1\r\n{HOST}\r\n"
    return put(path, address=f"http@127.0.0.1:{ports[i // 2 % len(ports)]}")


def service_request(i, ports):
    """Each service comes with a route, weighs more, says another one, and goes; its name never comes again."""
    path, address = f"/api/v1/services/new{i // 4}/instances/one", f"http@127.0.0.1:{ports[0]}"
    return (put(path, address=address, metadata={"gateway.route": f"/new{i // 4}/first/"}),
            put(path, address=address, weight=3),
            put(path, address=address, weight=3, metadata={"gateway.route": "/last/"}),
            f"DELETE {path} HTTP/1.1\r\n{HOST}\r\n")[i % 4]


def change_under(gateway, instances, method, request):
    with Load(gateway, "/web/", method) as load, Churn(gateway, [each.port for each in instances], request) as churn:
        while churn.thread.is_alive():
            load.more(5)
    tap.expect(load.failures, [])
    tap.expect((sum(churn.statuses.values()), set(churn.statuses) <= {200, 201, 204}), (ROUNDS * EACH, True))


def changes_under(method):
    def case():
        with processes(3, "late") as (gateway, instances, posts):
            change_under(gateway, instances, method, instance_request)
            if method == "POST":
                tap.expect(doubled(posts), [])
    return case


def services_come_and_go():
    def planned(name):
        return gateway.metric(f"muster_gateway_planner_{name}_total ")

    with processes(3, "late") as (gateway, instances, _):
        before, plans_before = planned("changes"), planned("plans")
        change_under(gateway, instances, "GET", service_request)
        wait_for(lambda: planned("changes") >= before + ROUNDS * EACH, True)
        tap.expect(planned("services") > ROUNDS * EACH / 4, True)
        tap.expect(planned("plans") > plans_before, True)
        wait_for(lambda: gateway.ask(f"GET /last/ HTTP/1.1\r\n{HOST}\r\n").status, 503)  # its service may come again


CASES = [
    ("thousands of changes under load: no GET fails", changes_under("GET")),
    ("thousands of changes under load: no POST fails, none comes twice", changes_under("POST")),
    ("services and routes come and go under load: no GET fails", services_come_and_go),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
