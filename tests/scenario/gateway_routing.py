#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""Where requests go: by routes, by names of services, to a default; in turn, with their instance, to nobody."""

import signal
import socket
import sys

from api_lib import call, instance_path, register
from gateway_lib import Client, Gateway, Instance
from lib import SECONDS, folder, tap, wait_for


def status(gateway, path, host="a", method="GET", fields=""):
    return gateway.ask(f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{fields}\r\n").status


def by_name():
    with Gateway() as gateway, Instance(gateway, service="orders") as orders, Instance(gateway, service="a b") as blank:
        for path in "/orders/42", "/orders", "/orders?id=42", "/%6frders/x":
            tap.expect((path, status(gateway, path), orders.only().target), (path, 200, path))
        tap.expect((status(gateway, "/a%20b/x"), blank.only().target), (200, "/a%20b/x"))
        for path in "/order/42", "/ordersx", "/", "/x/orders":
            tap.expect((path, status(gateway, path)), (path, 404))


def by_routes():
    routes = ("api.example.com/v1/ service=orders strip,*.example.com/ service=web,/admin/ service=admin method=GET "
              "header=x-staff:yes")
    with Gateway("--set", f"gateway.routes={routes}") as gateway, Instance(gateway, service="orders") as orders, \
            Instance(gateway, service="web") as web, Instance(gateway, service="admin") as admin:
        for path, host, instance, target in [
            ("/v1/a%20b?q", "API.example.com:80", orders, "/a%20b?q"),
            ("/v1", "api.example.com", orders, "/"),
            ("/v12", "api.example.com", web, "/v12"),
            ("/x", "a.b.example.com", web, "/x"),
        ]:
            tap.expect((path, status(gateway, path, host), instance.only().target), (path, 200, target))
        tap.expect(status(gateway, "/admin/x", fields="X-Staff: yes\r\n"), 200)
        tap.expect(admin.only().target, "/admin/x")
        tap.expect(status(gateway, "/nothing/x", "example.com"), 404)


def routes_from_metadata():
    """They come and go with the service, and change under way."""
    with Gateway() as gateway, Instance(gateway, service="shop", metadata={"gateway.route": "/buy/ strip"}) as shop:
        wait_for(lambda: status(gateway, "/buy/x"), 200)
        tap.expect({request.target for request in shop.seen()}, {"/x"})
        address, metadata = f"http@127.0.0.1:{shop.port}", {"gateway.route": "/sell/"}
        register(gateway, "shop", shop.name, address=address, metadata=metadata)
        wait_for(lambda: (status(gateway, "/buy/x"), status(gateway, "/sell/x")), (404, 200))

def plain_proxy():
    """The proxy of the older design: all to one service, each instance in turn, its words for an empty registry."""
    with Gateway("--set", "gateway.default_service=srpc", "--set", "gateway.balance=round_robin") as gateway:
        answer = gateway.ask("GET /any HTTP/1.1\r\nHost: a\r\n\r\n")
        tap.expect((answer.status, answer.has("retry-after")), (503, True))
        tap.expect(answer.body.decode().strip(), "No backend entry in the service registry")
        with Instance(gateway, service="srpc") as one, Instance(gateway, service="srpc") as two, \
                Instance(gateway, service="srpc") as three:
            wait_for(lambda: all_asked(gateway, one, two, three), True)
            for _ in range(30):
                tap.expect(status(gateway, "/any/path"), 200)
            tap.expect([len(instance.seen()) for instance in (one, two, three)], [10, 10, 10])


def all_asked(gateway, *instances):
    for _ in instances:
        status(gateway, "/any")
    return all([instance.seen() for instance in instances])


def empty_default_service():
    with Gateway("--set", "gateway.default_service=nobody") as gateway:
        tap.expect(status(gateway, "/any"), 503)


def sticky_clients():
    """A client stays with its instance by a cookie, until that is not well."""
    members = {"service": "shop", "metadata": {"gateway.sticky": "STAY"}}
    with Gateway() as gateway, Instance(gateway, **members) as one, Instance(gateway, **members) as two:
        answer = gateway.ask("GET /shop/ HTTP/1.1\r\nHost: a\r\n\r\n")
        cookie = answer.one("set-cookie").split(";")[0]
        tap.expect(cookie.startswith("STAY="), True)
        mine, other = (one, two) if one.seen() else (two, one)
        two.seen()
        for _ in range(20):
            tap.expect(status(gateway, "/shop/", fields=f"Cookie: a=b; {cookie}\r\n"), 200)
        tap.expect((len(mine.seen()), len(other.seen())), (20, 0))
        call(gateway, "PUT", instance_path("shop", mine.name) + "/drain", {"reason": "test"})
        wait_for(lambda: status(gateway, "/shop/") == 200 and not mine.seen(), True)
        tap.expect(status(gateway, "/shop/", fields=f"Cookie: {cookie}\r\n"), 200)
        tap.expect(bool(other.seen()), True)


def hashed_clients():
    members = {"service": "cache", "metadata": {"gateway.hash": "header:X-Key"}}
    with Gateway() as gateway, Instance(gateway, **members) as one, Instance(gateway, **members) as two:
        for key in range(20):
            for _ in range(3):
                tap.expect(status(gateway, "/cache/", fields=f"X-Key: key{key}\r\n"), 200)
            tap.expect(sorted([len(one.seen()), len(two.seen())]), [0, 3])


def hashed_behind_a_proxy():
    """Clients are told apart by the address that a trusted proxy names."""
    settings = ["--set", "gateway.trusted=127.0.0.0/8", "--set", "gateway.balance=hash"]
    with Gateway(*settings) as gateway, Instance(None) as one, Instance(None) as two:
        for instance in (one, two):
            register(gateway, "cache", instance.name, address=instance.address())

        def ask_as_many():
            for number in range(1, 41):
                status(gateway, "/cache/", fields=f"X-Forwarded-For: 192.0.2.{number}\r\n")
            return all([instance.seen() for instance in (one, two)])

        wait_for(ask_as_many, True)


def drained_instances():
    """What is drained gets no new request; when the drain is withdrawn it does again."""
    with Gateway() as gateway, Instance(gateway) as one, Instance(gateway, service=one.service) as two:
        path = instance_path(one.service, two.name) + "/drain"
        tap.expect(call(gateway, "PUT", path, {"reason": "test"}).status, 200)
        told = instance_path(one.service, two.name) + "/holders"
        wait_for(lambda: call(gateway, "GET", told).json["picked"], False)
        one.seen()
        for _ in range(20):
            tap.expect(status(gateway, one.path), 200)
        tap.expect((len(one.seen()), two.seen()), (20, []))
        call(gateway, "DELETE", path)
        wait_for(lambda: status(gateway, one.path) == 200 and bool(two.seen()), True)


def failing_checks():
    """An instance is asked for nothing before its check has passed."""
    with Gateway() as gateway, Instance(gateway) as well:
        with Instance(None, service=well.service) as ill:
            register(gateway, well.service, "ill", address=f"http@127.0.0.1:{ill.port}",
                     check={"type": "ttl", "interval_ms": 60000})
            for _ in range(20):
                tap.expect(status(gateway, well.path), 200)
            tap.expect(ill.seen(), [])
            path = instance_path(well.service, "ill") + "/check"
            tap.expect(call(gateway, "POST", path, {"passing": True}).status, 202)
            wait_for(lambda: status(gateway, well.path) == 200 and bool(ill.seen()), True)


def exposure():
    """What other machines can reach is only what was exposed or routed to."""
    listeners = {"gateway": ("127.0.0.1:0", "0.0.0.0:0")}
    routes = ("--set", "gateway.routes=/routed/ service=inner")
    with Gateway(*routes, **listeners) as gateway, Instance(gateway, service="inner"), \
            Instance(gateway, service="open", metadata={"expose": "true"}):
        def both(path):
            return [outside(gateway, index, path) for index in (0, 1)]
        wait_for(lambda: both("/open/x"), [200, 200])
        tap.expect(both("/inner/x"), [200, 404])
        tap.expect(both("/routed/x"), [200, 200])
        hidden, missing = (answer_from(gateway, 1, path) for path in ("/inner/x", "/nobody/x"))
        tap.expect((hidden.body, hidden.names()), (missing.body, missing.names()))
        gateway.wait_for_count('muster_gateway_unrouted_total{cause="NOT_EXPOSED"}', 2)


def outside(gateway, index, path):
    return answer_from(gateway, index, path).status


def answer_from(gateway, index, path):
    port = gateway.address("gateway", index).rsplit(":", 1)[1]
    with Client(socket.create_connection(("127.0.0.1", int(port)), SECONDS)) as client:
        client.send(f"GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
        return client.answer()


def odd_addresses():
    """Nobody can make the gateway ask the link's own services, such as those of a cloud."""
    with Gateway() as gateway:
        for i, host in enumerate(("169.254.169.254", "224.0.0.1")):  # 0.0.0.0 stands for whoever registers
            register(gateway, f"odd{i}", "one", address=f"http@{host}:80")
            wait_for(lambda i=i: status(gateway, f"/odd{i}/"), 503)


def changed_routes():
    with folder() as name:
        path = name / "muster.yaml"
        path.write_text("gateway:\n  routes: [/one/ service=here]\n")
        with Gateway("--config", str(path)) as gateway, Instance(gateway, service="here"), gateway.dial() as client:
            tap.expect((status(gateway, "/one/x"), status(gateway, "/two/x")), (200, 404))
            client.send("GET /here/ HTTP/1.1\r\nHost: a\r\n\r\n")
            tap.expect(client.answer().status, 200)
            path.write_text("gateway:\n  routes: [/two/ service=here]\n")
            gateway.signal(signal.SIGHUP)
            wait_for(lambda: (status(gateway, "/one/x"), status(gateway, "/two/x")), (404, 200))
            path.write_text("gateway:\n  routes: [/three service=]\n")
            gateway.signal(signal.SIGHUP)
            gateway.wait_for_log("configuration not reloaded")
            tap.expect((status(gateway, "/one/x"), status(gateway, "/two/x")), (404, 200))
            client.send("GET /here/ HTTP/1.1\r\nHost: a\r\n\r\n")
            tap.expect(client.answer().status, 200)


CASES = [
    ("by the first element of the path", by_name),
    ("by routes of the configuration", by_routes),
    ("by routes of a service's metadata", routes_from_metadata),
    ("routes change on SIGHUP, bad ones do not; connections stay", changed_routes),
    ("the plain proxy: a default service, each instance in turn", plain_proxy),
    ("a default service that nobody ever was in", empty_default_service),
    ("a client stays with its instance", sticky_clients),
    ("the same key goes to the same instance", hashed_clients),
    ("clients behind a proxy are hashed by their own address", hashed_behind_a_proxy),
    ("a drained instance gets nothing new", drained_instances),
    ("an instance whose check has not passed gets nothing", failing_checks),
    ("what is not exposed is there for this machine only", exposure),
    ("instances at odd addresses are not asked", odd_addresses),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
