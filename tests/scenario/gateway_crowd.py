#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Too many of something at the gateway: requests on one connection, connections of one client, open descriptors."""

import resource
import signal
import ssl
import sys
import threading
import time

import raw_h2
from api_lib import register
from gateway_lib import OK, Gateway, Instance
from lib import SECONDS, ask, folder, make_certificate, tap, unless_closed, wait_for


def one_http2_connection_has_so_many_requests():
    release = threading.Event()

    def hold(request, connection):
        release.wait(SECONDS)
        return OK

    with Gateway("--workers", "1") as gateway, Instance(gateway, answer=hold) as instance:
        with raw_h2.Connection(gateway.connect()) as registry:
            tap.expect(registry.receive_settings()[raw_h2.MAX_CONCURRENT_STREAMS], 10000)
        with raw_h2.Connection(gateway.connect("gateway")) as client:
            tap.expect(client.receive_settings()[raw_h2.MAX_CONCURRENT_STREAMS], 128)
            streams = [client.call(instance.path) for _ in range(129)]
            while not raw_h2.is_end(got := client.receive()):
                pass
            tap.expect((got.type, got.stream), (raw_h2.RST_STREAM, streams[-1]))
            for stream in streams[:-1]:
                client.send(stream, b"", end=True)
            release.set()
            client.wait_for_ends(streams[:-1])


REQUEST = "GET /nobody HTTP/1.1\r\nHost: x\r\n\r\n"
REFUSED = "muster_gateway_connections_refused_total"


def is_taken(connection):
    return ask(connection, REQUEST).status == 404


def may_come(gateway):
    """Whether a new connection is served; else it is closed without a word, perhaps before we see it open."""
    def ask_anew():
        with gateway.connect("gateway") as connection:
            return is_taken(connection)

    return unless_closed(ask_anew) or False


def one_client_has_so_many_connections():
    limit = ("--workers", "3", "--set", "gateway.client_connections=5")
    with Gateway(*limit, gateway=("127.0.0.1:0", "127.0.0.1:0")) as gateway:
        clients = [gateway.connect("gateway", index % 2) for index in range(5)]
        tap.expect([is_taken(client) for client in clients], [True] * 5)
        for _ in range(20):
            tap.expect(may_come(gateway), False)
        tap.expect(gateway.metric(REFUSED), 20)  # connections of the registry are not counted
        told = [line for line in gateway.log().splitlines() if "too many connections" in line]
        tap.expect(("client=127.0.0.1 " in told[0], "limit=5" in told[0], len(told) <= 4), (True, True, True))
        tap.expect([ask(client, REQUEST).status for client in clients], [404] * 5)
        clients.pop().close()
        wait_for(lambda: may_come(gateway), True)
        for client in clients:
            client.close()


def tls_and_http2_are_counted_alike():
    with folder() as place:
        cert, key = make_certificate(place, "gateway")
        words = ["gateway.client_connections=2", "gateway.tls.plain=true"]
        words += [f"gateway.tls.cert={cert}", f"gateway.tls.key={key}"]
        context = ssl.create_default_context(cafile=str(cert))
        with Gateway(*(word for setting in words for word in ("--set", setting))) as gateway:
            with raw_h2.Connection(gateway.connect("gateway")) as client:
                client.receive_settings()
                with context.wrap_socket(gateway.connect("gateway"), server_hostname="localhost") as secret:
                    tap.expect(ask(secret, REQUEST).status, 404)
                    tap.expect(may_come(gateway), False)
                wait_for(lambda: may_come(gateway), True)


def who_says_nothing_is_counted_too():
    with Gateway("--set", "gateway.client_connections=1") as gateway:
        with gateway.connect("gateway"):
            gateway.wait_for_metric("muster_http_connections_open", 2)  # and the one that asks for it
            tap.expect(may_come(gateway), False)
        wait_for(lambda: may_come(gateway), True)


def trusted_proxies_and_unix_sockets_have_no_limit():
    with folder() as place:
        words = ["--set", "gateway.client_connections=1", "--set", "gateway.trusted=127.0.0.1/32"]
        with Gateway(*words, gateway=("127.0.0.1:0", f"unix:{place}/gateway")) as gateway:
            for index in range(2):
                clients = [gateway.connect("gateway", index) for _ in range(5)]
                tap.expect([is_taken(client) for client in clients], [True] * 5)
                for client in clients:
                    client.close()


def a_reload_changes_the_limit_for_those_to_come():
    with folder() as place:
        path = place / "muster.yaml"
        path.write_text("gateway:\n  client_connections: 0\n")

        def set_limit(limit):
            path.write_text(f"gateway:\n  client_connections: {limit}\n")
            since = len(gateway.log())
            gateway.signal(signal.SIGHUP)
            gateway.wait_for_log("reloaded", since)

        with Gateway("--config", str(path)) as gateway:
            clients = [gateway.connect("gateway") for _ in range(4)]
            tap.expect([is_taken(client) for client in clients], [True] * 4)
            set_limit(3)
            wait_for(lambda: may_come(gateway), False)
            tap.expect([ask(client, REQUEST).status for client in clients], [404] * 4)
            clients.pop().close()
            clients.pop().close()
            wait_for(lambda: may_come(gateway), True)  # those from before count, and leave, too
            set_limit(1)
            wait_for(lambda: may_come(gateway), False)
            set_limit(0)
            wait_for(lambda: may_come(gateway), True)
            for client in clients:
                client.close()


def set_descriptors(gateway, n):
    _, hard = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE, (n, hard))


def n_vain_accepts(registry):
    page = ask(registry, "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").body.decode()
    return float(page.split('muster_descriptor_shortages_total{for="accept"} ')[1].split()[0])


def without_descriptors_it_says_so_and_recovers():
    words = ["--workers", "2", "--set", "gateway.park=0s", "--set", "gateway.eject_failures=1"]
    with (Gateway(*words) as gateway, Instance(gateway) as instance,
          gateway.dial() as client, gateway.connect() as registry):
        request = f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n"
        tap.expect(n_vain_accepts(registry), 0)
        client.send(REQUEST)  # nothing is open to the instance
        tap.expect(client.answer().status, 404)
        was = resource.prlimit(gateway.process.pid, resource.RLIMIT_NOFILE)[0]
        began = time.monotonic()
        set_descriptors(gateway, 3)  # what is open stays
        for _ in range(20):
            client.send(request)
            answer = client.answer()
            tap.expect((answer.status, b"no descriptor left" in answer.body), (503, True))
        gateway.wait_for_log("out of descriptors: raise this process's limit (LimitNOFILE=")
        with gateway.connect("gateway") as waits:  # it cannot be accepted
            wait_for(lambda: n_vain_accepts(registry) >= 4, True)
            n_looks = n_vain_accepts(registry)
            n_rests = (time.monotonic() - began) / 0.05
            tap.expect(n_looks <= n_rests + 2, True)  # it looks now and then, and does not spin
            set_descriptors(gateway, was)
            tap.expect(is_taken(waits), True)
        client.send(request)  # nobody was ejected
        tap.expect(client.answer().status, 200)
        told = [line for line in gateway.log().splitlines() if "out of descriptors" in line]
        tap.expect(len(told) <= 4, True)
        tap.expect(gateway.metric('muster_descriptor_shortages_total{for="connect"}') >= 20, True)
        tap.expect(gateway.metric(f'muster_gateway_ejections_total{{service="{instance.service}"}}'), 0)
        line = f'muster_gateway_failed_total{{service="{instance.service}",cause="NO_DESCRIPTOR"}}'
        tap.expect(gateway.metric(line), 20)


def limit():
    resource.setrlimit(resource.RLIMIT_NOFILE, (128, 128))


def idle_connections_to_instances_give_way():
    with Gateway("--workers", "1", preexec_fn=limit) as gateway, Instance(gateway) as instance:
        for index in range(150):
            register(gateway, instance.service, f"more{index}", address=instance.address())
        with gateway.dial() as client:
            for _ in range(1000):
                client.send(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n")
                tap.expect(client.answer().status, 200)
            others = [gateway.connect("gateway") for _ in range(50)]  # the registry's clients are let in as well
            tap.expect([is_taken(other) for other in others], [True] * 50)
        tap.expect(gateway.metric('muster_descriptor_shortages_total{for="accept"}'), 0)
        tap.expect(gateway.metric('muster_descriptor_shortages_total{for="connect"}'), 0)
        for connection in others:
            connection.close()


def a_flood_leaves_descriptors_for_instances():
    with (Gateway("--workers", "1", preexec_fn=limit) as gateway, Instance(gateway) as instance,
          gateway.dial() as client):
        client.send(REQUEST)  # it is accepted, and nothing is open to the instance
        tap.expect(client.answer().status, 404)
        flood = [gateway.connect("gateway") for _ in range(200)]
        gateway.wait_for_log("out of descriptors")
        for _ in range(20):
            client.send(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\n\r\n")
            tap.expect(client.answer().status, 200)
        for connection in flood:
            connection.close()


CASES = [
    ("one HTTP/2 connection has at most gateway.streams requests", one_http2_connection_has_so_many_requests),
    ("one client has at most gateway.client_connections connections", one_client_has_so_many_connections),
    ("TLS and HTTP/2 connections are counted alike", tls_and_http2_are_counted_alike),
    ("who says nothing is counted, too", who_says_nothing_is_counted_too),
    ("trusted proxies and Unix sockets have no limit", trusted_proxies_and_unix_sockets_have_no_limit),
    ("without descriptors it says so, rests and recovers by itself", without_descriptors_it_says_so_and_recovers),
    ("idle connections to instances give way to clients", idle_connections_to_instances_give_way),
    ("a flood of clients leaves descriptors for instances", a_flood_leaves_descriptors_for_instances),
    ("a reload changes the limit for connections to come", a_reload_changes_the_limit_for_those_to_come),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
