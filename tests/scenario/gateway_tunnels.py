#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Tunnels and the registry: those to an instance that is removed end, all others stay."""

import json
import sys
import threading

from api_lib import deregister, register
from gateway_bodies import UPGRADE, echo, stalls, until, upgrade
from gateway_https import both_sides
from gateway_lib import CLOSE, Client, Gateway, Instance, log_line
from lib import SECONDS, environment, folder, run, tap, wait_for

N_TUNNELS = 20


class Tunnel:
    """To an instance that gives back what it hears."""

    def __init__(self, gateway, instance):
        self.client = gateway.dial()
        self.rest = until(self.client, upgrade(self.client, instance), b"hello")

    def echoes(self, words):
        self.client.send(words)
        self.rest = until(self.client, self.rest, words.encode())

    def ends(self):
        self.client.ends()
        self.client.connection.close()


def await_cut(gateway, service, n):
    gateway.wait_for_metric(f'muster_gateway_failed_total{{service="{service}",cause="TUNNEL_CUT"}}', n)


def until_both_have(gateway, first, second):
    """Tunnels of two instances of one service, some to each."""
    tunnels = {first.name: [], second.name: []}
    while min(len(each) for each in tunnels.values()) < N_TUNNELS:
        tunnel = Tunnel(gateway, first)
        one = first if first.requests.qsize() > len(tunnels[first.name]) else second
        tunnels[one.name].append(tunnel)
    return tunnels[first.name], tunnels[second.name]


def removal_ends_its_tunnels_and_no_others():
    with Gateway("--workers", "2") as gateway, Instance(gateway, answer=echo) as first:
        with Instance(gateway, answer=echo, service=first.service) as second:
            to_first, to_second = until_both_have(gateway, first, second)
            deregister(gateway, first.service, first.name)
            await_cut(gateway, first.service, len(to_first))
            for tunnel in to_first:
                tunnel.ends()
            for tunnel in to_second:
                tunnel.echoes("still there")
            gateway.settle(first.service, len(to_second))


def why_log_and_metrics_tell():
    with folder() as place:
        path = place / "access.log"
        settings = ["--set", "gateway.access_log=json", "--set", f"gateway.access_log_file={path}"]
        with Gateway(*settings) as gateway, Instance(gateway, answer=echo) as instance:
            client = gateway.dial()
            until(client, upgrade(client, instance), b"hello")
            request_id = instance.only().one("x-request-id")
            register(gateway, instance.service, "another")
            deregister(gateway, instance.service, instance.name)
            client.ends()
            await_cut(gateway, instance.service, 1)
            gateway.settle(instance.service)
            address = ["--address", f"http://{gateway.address()}"]
            told = json.loads(run("why", request_id, "--output", "json", *address).out)
            tap.expect((told["status"], told["cause"], told["instance"]), (101, "TUNNEL_CUT", instance.name))
            tap.expect("the instance was removed" in run("why", request_id, *address).out, True)
            line = json.loads(log_line(path, "TUNNEL_CUT"))
            tap.expect((line["status"], line["instance"]), (101, instance.name))


def a_new_process_under_the_name_gets_no_old_tunnels():
    with Gateway() as gateway, Instance(gateway, answer=echo) as former:
        old = Tunnel(gateway, former)
        with Instance(None, answer=echo, service=former.service) as new:
            register(gateway, former.service, former.name, address=new.address())
            await_cut(gateway, former.service, 1)
            old.ends()
            tunnel = Tunnel(gateway, new)
            tunnel.echoes("still there")


def a_drain_leaves_them():
    with Gateway() as gateway, Instance(gateway, answer=echo) as instance:
        tunnel = Tunnel(gateway, instance)
        env = environment(MUSTER_ADDR=f"http://{gateway.address()}")
        late = run("drain", f"{instance.service}/{instance.name}", "--wait", "--timeout", "300ms", env=env)
        tap.expect((late.code, f"GET {instance.path}, tunnel" in late.err), (1, True))
        tunnel.echoes("still there")
        deregister(gateway, instance.service, instance.name)
        tunnel.ends()


def by_tls_they_end_in_order():
    """Both sides are told, and neither takes it for a cut."""
    ended = threading.Event()

    def answer(_, connection):
        connection.sendall(UPGRADE + b"hello")
        while piece := connection.recv(65536):
            connection.sendall(piece)
        ended.set()
        return CLOSE

    with both_sides() as (gateway, tls), Instance(gateway, answer=answer, tls=tls) as instance:
        tunnel = Tunnel(gateway, instance)
        tunnel.echoes("well")
        deregister(gateway, instance.service, instance.name)
        tunnel.ends()
        tap.expect(ended.wait(SECONDS), True)


def who_does_not_read_is_not_waited_for():
    """Both sides send and neither reads, until nothing goes any more."""
    stalled, removed, ended = threading.Event(), threading.Event(), threading.Event()

    def answer(_, connection):
        connection.sendall(UPGRADE + b"hello")
        stalls(connection)
        stalled.set()
        removed.wait(SECONDS)
        Client(connection).ends()
        ended.set()
        return CLOSE

    with Gateway() as gateway, Instance(gateway, answer=answer) as instance:
        client = gateway.dial()
        until(client, upgrade(client, instance), b"hello")
        stalls(client.connection)
        tap.expect(stalled.wait(SECONDS), True)
        deregister(gateway, instance.service, instance.name)
        removed.set()
        tap.expect(ended.wait(SECONDS), True)
        client.ends()


CASES = [
    ("a removal ends the tunnels to the instance, and no others", removal_ends_its_tunnels_and_no_others),
    ("why, access log and metrics tell why a tunnel ended", why_log_and_metrics_tell),
    ("a new process gets none of the former one's tunnels", a_new_process_under_the_name_gets_no_old_tunnels),
    ("a drain leaves tunnels, and waits for them", a_drain_leaves_them),
    ("by TLS they end in order", by_tls_they_end_in_order),
    ("who does not read is not waited for", who_does_not_read_is_not_waited_for),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
