#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Membership that changes all the time, while clients ask: nobody notices."""

import collections
import sys
import threading

from gateway_failures import HOST, Load, doubled, processes
from gateway_lib import Message
from lib import SANITIZED, tap

ROUNDS, EACH = 40 if SANITIZED else 100, 40  # changes: registrations and deregistrations in turn


class Churn:
    """Registers and deregisters instances by REST as fast as one connection can, for so many rounds."""

    def __init__(self, gateway, ports):
        self.gateway, self.ports, self.statuses = gateway, ports, collections.Counter()
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
                requests = [self.request(number * EACH + i) for i in range(EACH)]
                connection.sendall("".join(requests).encode())
                for _ in requests:
                    answer = Message(connection, rest, is_answer_to="PUT")
                    rest = answer.rest
                    self.statuses[answer.status] += 1

    def request(self, i):
        """Each name comes, with another address each time, and goes with the next request."""
        path = f"/api/v1/services/web/instances/churn{i // 2 % 7}"
        if i % 2:
            return f"DELETE {path} HTTP/1.1\r\n{HOST}\r\n"
        body = f'{{"address":"http@127.0.0.1:{self.ports[i // 2 % len(self.ports)]}"}}'
        return (f"PUT {path} HTTP/1.1\r\n{HOST}Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                f"{body}")


def changes_under(method):
    def case():
        with processes(3, "late") as (gateway, instances, posts):
            with Load(gateway, "/web/", method) as load, Churn(gateway, [each.port for each in instances]) as churn:
                while churn.thread.is_alive():
                    load.more(5)
            tap.expect(load.failures, [])
            tap.expect((sum(churn.statuses.values()), set(churn.statuses) <= {200, 201, 204}), (ROUNDS * EACH, True))
            if method == "POST":
                tap.expect(doubled(posts), [])
    return case


CASES = [
    ("thousands of changes under load: no GET fails", changes_under("GET")),
    ("thousands of changes under load: no POST fails, none comes twice", changes_under("POST")),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
