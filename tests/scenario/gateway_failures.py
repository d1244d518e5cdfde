#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""Instances that die, freeze, lie about their connections, come and go, while clients ask through the gateway.

What is waited for is that each client gets so many answers more, never a time.
"""

import collections
import contextlib
import itertools
import re
import select
import signal
import subprocess
import sys
import threading
import time

from api_lib import deregister, register
from gateway_lib import CLOSE, OK, Cut, Gateway, Instance
from lib import ROOT, SECONDS, folder, free_port, hold_port, tap, wait_for

HOST = "Host: a\r\n"
CLIENTS = 12
SOME = 25  # requests of each client
FREEZING = ("--set", "gateway.stall_min=100ms")


class Process:
    """An instance in a process of its own; the port stays over restarts, and nobody else's meanwhile."""

    def __init__(self, gateway, service, name, manner, path):
        self.manner, self.path, self.port = manner, path, free_port()
        self.start()
        register(gateway, service, name, address=f"http@127.0.0.1:{self.port}")

    def start(self):
        script = ROOT / "tests/scenario/gateway_instance.py"
        self.process = subprocess.Popen([sys.executable, script, str(self.port), self.manner, self.path],
                                        stdout=subprocess.PIPE)
        tap.expect(self.process.stdout.readline(), b"ready\n")

    def signal(self, number):
        self.process.send_signal(number)
        if number == signal.SIGKILL:
            self.process.wait(SECONDS)
            self.process.stdout.close()

    def end(self):
        if self.process.returncode is None:
            self.process.kill()
            self.process.wait(SECONDS)
            self.process.stdout.close()


class Load:
    """Clients that ask again and again on connections of their own, until the end of the `with`."""

    numbers = itertools.count()

    def __init__(self, gateway, path, method="GET"):
        self.gateway, self.path, self.method = gateway, path, method
        self.counts, self.failures, self.slowest = collections.Counter(), [], 0
        self.is_over = False
        self.threads = [threading.Thread(target=self.run, args=[i]) for i in range(CLIENTS)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        self.more()
        return self

    def __exit__(self, *_):
        self.is_over = True
        for thread in self.threads:
            thread.join()

    def more(self, n=SOME):
        """Waits until each client has so many answers more."""
        wanted = {i: self.counts[i] + n for i in range(CLIENTS)}
        deadline = time.monotonic() + 2 * SECONDS
        while late := [i for i in wanted if self.counts[i] < wanted[i]]:
            if time.monotonic() > deadline:
                raise AssertionError(f"{len(late)} of {CLIENTS} clients are stuck; failures: {self.failures[:5]}")
            select.select([], [], [], 0.01)

    def run(self, i):
        client = None
        while not self.is_over:
            began = time.monotonic()
            try:
                client = client or self.gateway.dial()
                client.send(self.request())
                answer = client.answer()
                if answer.status != 200:
                    self.failures.append((answer.status, ", ".join(answer.all("proxy-status"))))
                if answer.all("connection") == ["close"]:
                    client.connection.close()
                    client = None
            except (Cut, OSError) as error:
                self.failures.append((0, repr(error)))
                client = None
            self.slowest = max(self.slowest, time.monotonic() - began)
            self.counts[i] += 1
        if client:
            client.connection.close()

    def request(self):
        if self.method == "GET":
            return f"GET {self.path} HTTP/1.1\r\n{HOST}\r\n"
        body = f"number {next(self.numbers)}"
        return f"POST {self.path} HTTP/1.1\r\n{HOST}Content-Length: {len(body)}\r\n\r\n{body}"


@contextlib.contextmanager
def processes(n, manner, service="web"):
    """A gateway with one worker or more, and so many instances; and the file in which POSTs are."""
    with folder() as path, Gateway(*FREEZING) as gateway, contextlib.ExitStack() as stack:
        all_of_them = []
        for i in range(n):
            process = Process(gateway, service, f"i{i}", manner, path / "posts")
            stack.callback(process.end)
            all_of_them.append(process)
        wait_for(lambda: gateway.ask(f"GET /{service}/ HTTP/1.1\r\n{HOST}\r\n").status, 200)
        yield gateway, all_of_them, path / "posts"


def doubled(posts):
    counts = collections.Counter(posts.read_text().splitlines())
    return [line for line, n in counts.items() if n > 1]


def kill_and_restart(load, instance):
    load.more()
    instance.signal(signal.SIGKILL)
    load.more()
    instance.start()
    load.more()


def killed_under_gets():
    with processes(3, "late") as (gateway, instances, _), Load(gateway, "/web/") as load:
        kill_and_restart(load, instances[0])
        tap.expect(load.failures, [])


def killed_under_posts():
    with processes(3, "late") as (gateway, instances, posts), Load(gateway, "/web/", "POST") as load:
        kill_and_restart(load, instances[0])
        for status, cause in load.failures:
            tap.expect((status, bool(re.search("error=connection_(terminated|refused|read_timeout)", cause)), cause),
                       (502, True, cause))
        tap.expect(len(load.failures) <= CLIENTS, True)
        tap.expect(doubled(posts), [])


def frozen_under_gets():
    """As long as the instance is frozen no client is stuck with it."""
    with processes(3, "late") as (gateway, instances, _), Load(gateway, "/web/") as load:
        instances[0].signal(signal.SIGSTOP)
        load.more(4 * SOME)
        frozen = load.slowest
        instances[0].signal(signal.SIGCONT)
        load.more()
        tap.expect(load.failures, [])
        tap.expect(frozen < 10, True)  # far below any time-out, far above what it takes


def closing(manner):
    def case():
        with processes(2, manner) as (gateway, _, posts):
            for method in "GET", "POST":
                with Load(gateway, "/web/", method) as load:
                    load.more()
                    tap.expect(load.failures, [])
            tap.expect(doubled(posts), [])
    return case


def refused_is_tried_elsewhere():
    """Nothing was sent, so even a POST may go to another one; no client notices an instance that never listens."""
    with Gateway() as gateway, Instance(gateway) as instance, hold_port() as nobody:
        register(gateway, instance.service, "nobody", address=f"http@127.0.0.1:{nobody.getsockname()[1]}")
        for i in range(30):
            request = f"POST {instance.path} HTTP/1.1\r\n{HOST}Content-Length: 2\r\n\r\n{i:02}"
            tap.expect(gateway.ask(request).status, 200)
        tap.expect([request.body for request in instance.seen()], [b"%02d" % i for i in range(30)])


def post_is_sent_once():
    """An instance that takes the whole request and closes: a GET is asked elsewhere, a POST fails and says why."""
    for method, statuses in ("GET", {200}), ("POST", {200, 502}):
        with Gateway() as gateway, Instance(gateway) as well, gateway.dial() as client:
            with Instance(gateway, answer=lambda *_: CLOSE, service=well.service) as ill:
                outcomes = []
                while ill.requests.empty():
                    client.send(f"{method} {well.path} HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n")
                    outcomes.append(client.answer())
                tap.expect({answer.status for answer in outcomes} <= statuses, True)
                failed = [answer.one("proxy-status") for answer in outcomes if answer.status != 200]
                tap.expect(all("error=connection_terminated" in cause for cause in failed), True)
                tap.expect(len(ill.seen()), 1)
                tap.expect(len(well.seen()), len(outcomes) - len(failed))


def never_after_the_answer_began():
    def half(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")
        return CLOSE

    with Gateway() as gateway, Instance(gateway, answer=half) as one:
        with Instance(gateway, answer=half, service=one.service) as other:
            try:
                gateway.ask(f"GET {one.path} HTTP/1.1\r\n{HOST}\r\n")
                raise AssertionError("half an answer was taken for a whole one")
            except Cut as cut:
                tap.expect((cut.taken, len(one.seen() + other.seen())), (b"half", 1))


def parked_over_a_restart():
    """The only instance goes and comes back: who asks meanwhile waits, and no one is turned away."""
    with Gateway("--set", "gateway.park=15s") as gateway, Instance(gateway) as instance:
        deregister(gateway, instance.service, instance.name)
        with gateway.dial() as client:
            request = f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n"
            client.send(request)
            while select.select([client.connection], [], [], 0.3)[0]:  # until the gateway knows
                tap.expect(client.answer().status, 200)
                client.send(request)
            register(gateway, instance.service, "again", address=instance.address())
            tap.expect(client.answer().status, 200)


def gone_for_good():
    with Gateway() as gateway, Instance(gateway) as instance:
        deregister(gateway, instance.service, instance.name)
        request = f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n"
        wait_for(lambda: gateway.ask(request).status, 503)
        tap.expect(gateway.ask(request).has("retry-after"), True)


def idle_connections_of_who_was_removed():
    """They are closed at once, not at the next request."""
    with Gateway() as gateway, Instance(gateway) as instance:
        tap.expect(gateway.ask(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n").status, 200)
        tap.expect(instance.ended.empty(), True)
        deregister(gateway, instance.service, instance.name)
        tap.expect(instance.ended.get(timeout=SECONDS), 0)


def posts_reuse_connections():
    """Whatever is not known of an instance at first, it does not get a connection more for each request."""
    with Gateway() as gateway, Instance(gateway) as instance, gateway.dial() as client:
        def connections_of_some():
            before = instance.n_connections
            for _ in range(SOME):
                client.send(f"POST {instance.path} HTTP/1.1\r\n{HOST}Content-Length: 2\r\n\r\nhi")
                tap.expect(client.answer().status, 200)
            return instance.n_connections - before

        wait_for(lambda: connections_of_some() < SOME / 10, True)


def removed_under_load():
    """Instances are deregistered and registered again all the time; what they had begun is finished."""
    with processes(3, "late") as (gateway, instances, posts), Load(gateway, "/web/", "POST") as load:
        for round_number in range(6):
            name = f"i{round_number % 3}"
            deregister(gateway, "web", name)
            load.more(5)
            register(gateway, "web", name, address=f"http@127.0.0.1:{instances[round_number % 3].port}")
        tap.expect(load.failures, [])
        tap.expect(doubled(posts), [])


def shutdown_under_way():
    """SIGTERM: what is under way is finished, and its connection ends."""
    release = threading.Event()

    def late(request, connection):
        release.wait(SECONDS)
        return OK

    with Gateway("--set", "drain.timeout=10s", "--workers", "1") as gateway, Instance(gateway, answer=late) as instance:
        with gateway.dial() as client, gateway.dial() as idle:
            client.send(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n")
            instance.next()
            gateway.signal(signal.SIGTERM)
            tap.expect(idle.ends(), b"")  # the worker has heard of it
            release.set()
            answer = client.answer()
            tap.expect((answer.status, answer.all("connection")), (200, ["close"]))
            tap.expect(client.ends(), b"")
        tap.expect(gateway.end(), 0)


def failures_in_a_row():
    """They are counted over all workers: no more requests fail than the setting says."""
    never = ("--workers", "2", "--set", "gateway.prove=false", "--set", "gateway.eject_time=1h",
             "--set", "gateway.balance=round_robin", "--set", "gateway.eject_failures=6")
    with Gateway(*never) as gateway, Instance(gateway) as well, Instance(None, answer=CLOSE) as ill:
        register(gateway, well.service, ill.name, address=ill.address())
        request = f"POST {well.path} HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n"
        wait_for(lambda: gateway.ask(request).status, 502)
        statuses = [gateway.ask(request).status for _ in range(60)]
        tap.expect((statuses.count(502), len(ill.seen())), (5, 6))


def reloaded_under_load():
    """SIGHUP closes no connection and fails no request."""
    with processes(2, "late") as (gateway, _, _), Load(gateway, "/web/") as load, gateway.dial() as idle:
        request = f"GET /web/ HTTP/1.1\r\n{HOST}\r\n"
        idle.send(request)
        tap.expect(idle.answer().status, 200)
        for _ in range(5):
            since = len(gateway.log())
            gateway.signal(signal.SIGHUP)
            gateway.wait_for_log("configuration", since)
            load.more(5)
        idle.send(request)
        tap.expect(idle.answer().status, 200)
        tap.expect(load.failures, [])


CASES = [
    ("kill -9 of one of three: no GET fails", killed_under_gets),
    ("kill -9 of one of three: only the POSTs under way fail, each with its cause", killed_under_posts),
    ("SIGSTOP of one of three: no GET fails or is stuck", frozen_under_gets),
    ("instances that close after each answer, and say so", closing("close")),
    ("instances that close after each answer without a word", closing("rude")),
    ("instances that close when the next request comes", closing("liar")),
    ("a refused connection costs nobody anything", refused_is_tried_elsewhere),
    ("a POST that may have been seen is never sent again", post_is_sent_once),
    ("nothing is tried again once the answer has begun", never_after_the_answer_began),
    ("requests wait for the only instance's restart", parked_over_a_restart),
    ("a service whose instances are gone for good: 503 and Retry-After", gone_for_good),
    ("idle connections of who was removed are closed at once", idle_connections_of_who_was_removed),
    ("POSTs alone do not pile up connections", posts_reuse_connections),
    ("instances come and go under load: no POST fails", removed_under_load),
    ("failures in a row are counted over all workers", failures_in_a_row),
    ("SIGTERM: what is under way is finished", shutdown_under_way),
    ("SIGHUP: no connection is closed, no request fails", reloaded_under_load),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
