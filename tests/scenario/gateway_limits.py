#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""What the gateway takes from one client: so many requests, at a pace that lets others be served, too."""

import contextlib
import socket
import sys
import threading
import time

from gateway_lib import OK, Gateway, Instance
from lib import SECONDS, drip, tap, unhurried, wait_for

HEAD = "HTTP/1.1\r\nHost: a\r\n"
BURST = 20
RATE = ["--set", "gateway.client_rate=1", "--set", f"gateway.client_burst={BURST}"]
MANY = 40


def ask_many(gateway, path, fields=""):
    """The statuses of many requests on one connection, counted."""
    with gateway.dial() as client:
        answers = []
        for _ in range(MANY):
            client.send(f"GET {path} {HEAD}{fields}\r\n")
            answers.append(client.answer())
    return answers


def n_served(answers):
    return sum(answer.status == 200 for answer in answers)


def n_earned(began):
    """How many more a client may ask, at most, for the time since then."""
    return time.monotonic() - began + 1


def who_asks_too_often_is_told_so():
    with Gateway(*RATE) as gateway, Instance(gateway) as instance:
        began = time.monotonic()
        answers = ask_many(gateway, instance.path)
        tap.expect(n_served(answers) <= BURST + n_earned(began), True)
        refused = [answer for answer in answers if answer.status != 200]
        tap.expect({answer.status for answer in refused}, {429})
        tap.expect(refused[0].one("retry-after"), "1")
        tap.expect("http_request_denied" in refused[0].one("proxy-status"), True)
        gateway.wait_for_count('muster_gateway_unrouted_total{cause="TOO_MANY_REQUESTS"}', len(refused))


def a_trusted_proxy_s_clients_have_limits_of_their_own():
    with Gateway(*RATE, "--set", "gateway.trusted=127.0.0.0/8") as gateway, Instance(gateway) as instance:
        began = time.monotonic()
        first = ask_many(gateway, instance.path, "X-Forwarded-For: 192.0.2.1\r\n")
        second = ask_many(gateway, instance.path, "X-Forwarded-For: 203.0.113.5, 192.0.2.2\r\n")
        again = ask_many(gateway, instance.path, "X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\n")
        most = BURST + n_earned(began)
        tap.expect(all(BURST <= n_served(answers) <= most for answers in (first, second)), True)
        tap.expect(n_served(first) + n_served(again) <= most, True)


def a_stranger_cannot_take_another_one_s_name():
    with Gateway(*RATE) as gateway, Instance(gateway) as instance:
        began = time.monotonic()
        first = ask_many(gateway, instance.path, "X-Forwarded-For: 192.0.2.1\r\n")
        second = ask_many(gateway, instance.path, "X-Forwarded-For: 192.0.2.2\r\n")
        tap.expect(n_served(first) + n_served(second) <= BURST + n_earned(began), True)


def a_queue_is_one_for_all_workers():
    full = ["--workers", "2", "--set", "gateway.max_in_flight=1", "--set", "gateway.queue=3"]
    release = threading.Event()

    def late(*_):
        tap.expect(release.wait(SECONDS), True)
        return OK

    with Gateway(*full) as gateway, Instance(gateway, answer=late) as instance, contextlib.ExitStack() as stack:
        clients = [stack.enter_context(gateway.dial()) for _ in range(MANY)]  # at both workers, surely
        for client in clients:
            client.send(f"GET {instance.path} {HEAD}\r\n")
        refused = 'muster_gateway_requests_total{service="' + instance.service + '",code="5xx"}'
        gateway.wait_for_metric(refused, MANY - 1 - 3)
        release.set()
        tap.expect(n_served([client.answer() for client in clients]), 1 + 3)


def in_flight(gateway, instance):
    both = f'service="{instance.service}",instance="{instance.name}"'
    return gateway.metric("muster_gateway_instance_in_flight{" + both)


def a_head_that_drips_in_is_cut_off():
    with Gateway(*unhurried("http.head_timeout=200ms")) as gateway, gateway.connect("gateway") as slow:
        slow.sendall(b"GET /x HTTP/1.1\r\nHost: x\r\nA: ")
        tap.expect(drip(slow, b"b").startswith(b"HTTP/1.1 408 "), True)


def a_body_that_stops_frees_its_instance():
    with Gateway("--workers", "1") as gateway, Instance(gateway) as instance:
        gateway.apply("http.body_timeout: 100ms")
        with gateway.dial() as slow:
            slow.send(f"POST {instance.path} {HEAD}Content-Length: 10\r\n\r\nhell")
            slow.ends()
        wait_for(lambda: in_flight(gateway, instance), 0)
        tap.expect(gateway.ask(f"GET {instance.path} {HEAD}\r\n").status, 200)


def who_reads_nothing_frees_the_instance():
    huge = b"HTTP/1.1 200 OK\r\nContent-Length: 64000000\r\n\r\n" + b"x" * 64_000_000
    with Gateway(*unhurried("http.send_timeout=200ms")) as gateway, Instance(gateway, answer=huge) as instance:
        host, port = gateway.address("gateway").rsplit(":", 1)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(SECONDS)
            deaf.connect((host, int(port)))
            deaf.sendall(f"GET {instance.path} {HEAD}\r\n".encode())
            instance.requests.get(timeout=SECONDS)
            wait_for(lambda: in_flight(gateway, instance), 0)


CASES = [
    ("who asks too often is told so", who_asks_too_often_is_told_so),
    ("a trusted proxy's clients have limits of their own", a_trusted_proxy_s_clients_have_limits_of_their_own),
    ("a stranger cannot take another one's name", a_stranger_cannot_take_another_one_s_name),
    ("a queue is one for all workers", a_queue_is_one_for_all_workers),
    ("a head that drips in is cut off", a_head_that_drips_in_is_cut_off),
    ("a body that stops frees its instance", a_body_that_stops_frees_its_instance),
    ("who reads nothing frees the instance", who_reads_nothing_frees_the_instance),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
