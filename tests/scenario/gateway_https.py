#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""Requests that come by TLS, and instances that want it."""

import contextlib
import hashlib
import signal
import ssl
import sys

from api_lib import register
from gateway_lib import CLOSE, OK, Client, Gateway, Instance
from lib import folder, make_certificate, tap, wait_for

HOST = "Host: a\r\n"
MANY = 8 << 20


def server_side(cert, key):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


@contextlib.contextmanager
def both_sides(*words):
    """A gateway whose clients and instances speak TLS; each side trusts the other's certificate."""
    with folder() as place:
        cert, key = make_certificate(place, "gateway")
        its_cert, its_key = make_certificate(place, "instance")
        settings = {"gateway.tls.cert": cert, "gateway.tls.key": key, "gateway.instance_ca": its_cert}
        with TlsGateway(*(word for name, value in settings.items() for word in ("--set", f"{name}={value}")),
                        *words) as gateway:
            gateway.trusted = cert
            yield gateway, server_side(its_cert, its_key)


class TlsGateway(Gateway):
    def dial(self):
        context = ssl.create_default_context(cafile=str(self.trusted))
        return Client(context.wrap_socket(self.connect("gateway"), server_hostname="localhost"))


def there_and_back():
    with both_sides() as (gateway, tls), Instance(gateway, tls=tls) as instance, gateway.dial() as client:
        for i in range(20):
            client.send(f"PUT {instance.path}{i} HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello")
            tap.expect(client.answer().body, b"ok")
        requests = instance.seen()
        tap.expect([request.target for request in requests], [f"{instance.path}{i}" for i in range(20)])
        tap.expect({request.one("x-forwarded-proto") for request in requests}, {"https"})
        tap.expect({request.number for request in requests}, {0})


def large_bodies():
    body = bytes(range(256)) * (MANY // 256)

    def answer(request, connection):
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(request.body), request.body)

    with both_sides() as (gateway, tls), Instance(gateway, answer=answer, tls=tls) as instance:
        with gateway.dial() as client:
            client.send(f"PUT {instance.path} HTTP/1.1\r\n{HOST}Content-Length: {MANY}\r\n\r\n".encode() + body)
            tap.expect(hashlib.sha256(client.answer().body).hexdigest(), hashlib.sha256(body).hexdigest())


def tunnels():
    def echo(request, connection):
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        while piece := connection.recv(65536):
            connection.sendall(piece)
        return CLOSE

    with both_sides() as (gateway, tls), Instance(gateway, answer=echo, tls=tls) as instance, gateway.dial() as client:
        client.send(f"GET {instance.path} HTTP/1.1\r\n{HOST}Connection: upgrade\r\nUpgrade: x\r\n\r\n")
        answer = client.answer()
        tap.expect(answer.status, 101)
        taken = client.rest
        for i in range(20):
            client.send(f"<{i}>")
            while f"<{i}>".encode() not in taken:
                taken += client.connection.recv(1000)


def certificates_are_checked():
    """An instance whose certificate is not to be trusted is not asked, and the answer says so."""
    with folder() as place, both_sides() as (gateway, _):
        evil = server_side(*make_certificate(place, "evil"))
        with Instance(None, tls=evil) as instance:
            register(gateway, instance.service, "evil", address=instance.address())
            request = f"POST {instance.path} HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n"
            wait_for(lambda: gateway.ask(request).status == 404, False)
            answer = gateway.ask(request)
            tap.expect((answer.status, "error=tls_certificate_error" in answer.one("proxy-status")), (502, True))
            tap.expect(instance.seen(), [])
    with both_sides("--set", "gateway.instance_verify=false") as (gateway, _), folder() as place:
        evil = server_side(*make_certificate(place, "evil"))
        with Instance(gateway, tls=evil) as instance:
            tap.expect(gateway.ask(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n").status, 200)


def authorities_change():
    """SIGHUP: whom instances are to be vouched for by, also those that were asked before."""
    with folder() as place:
        cert, key = make_certificate(place, "instance")
        path = place / "muster.yaml"
        path.write_text("gateway:\n  park: 0s\n")
        with Gateway("--config", str(path), "--workers", "1") as gateway, \
                Instance(None, tls=server_side(cert, key)) as instance:
            register(gateway, instance.service, "i", address=instance.address())

            def status():
                return gateway.ask(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n").status

            wait_for(status, 502)
            path.write_text(f"gateway:\n  park: 0s\n  instance_ca: {cert}\n")
            gateway.signal(signal.SIGHUP)
            wait_for(status, 200)


def closing_instances():
    """Without a close_notify, between two requests: the next request notices nothing."""
    def rude(request, connection):
        connection.sendall(OK)
        return CLOSE

    with both_sides() as (gateway, tls), Instance(gateway, answer=rude, tls=tls) as instance, gateway.dial() as client:
        for _ in range(20):
            client.send(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n")
            tap.expect(client.answer().status, 200)


CASES = [
    ("requests by TLS, there and back", there_and_back),
    ("large bodies by TLS", large_bodies),
    ("tunnels by TLS", tunnels),
    ("certificates of instances are checked", certificates_are_checked),
    ("the authorities of instances change", authorities_change),
    ("instances that close without a word", closing_instances),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
