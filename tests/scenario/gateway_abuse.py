#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Instances and clients that mean harm, or are broken: the gateway stays up, small and in time."""

import sys
import threading

import raw_h2
from gateway_lib import OK, Gateway, Instance
from lib import SECONDS, tap

FLOOD = 64 << 20
HELD = 24 << 20  # generously: sanitizers need more
HINTS = 16 * (b"HTTP/1.1 103 Early Hints\r\nLink: " + b"x" * 8000 + b"\r\n\r\n")


def flood(taken):
    """Says what comes, again and again; tells `taken` when all of that was taken from it, then answers."""
    def answer(request, connection):
        for _ in range(FLOOD // len(HINTS)):
            connection.sendall(HINTS)
        taken.set()
        return OK

    return answer


def informs_that_nobody_reads():
    taken = threading.Event()
    with Gateway("--workers", "1") as gateway, Instance(gateway, answer=flood(taken)) as instance:
        with gateway.dial() as client:
            before = gateway.resident_bytes()
            client.send(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n")
            tap.expect(taken.wait(3 * SECONDS), True)
            tap.expect(gateway.resident_bytes() - before < HELD, True)
            answer = client.answer()
            tap.expect((answer.status, answer.informs[0].status), (200, 103))


def informs_that_nobody_reads_over_h2():
    taken = threading.Event()
    with Gateway("--workers", "1") as gateway, Instance(gateway, answer=flood(taken)) as instance:
        with raw_h2.Connection(gateway.connect("gateway")) as client:
            before = gateway.resident_bytes()
            stream = client.call(instance.path)
            client.send(stream, b"", end=True)
            tap.expect(taken.wait(3 * SECONDS), True)
            tap.expect(gateway.resident_bytes() - before < HELD, True)
            client.wait_for_ends([stream])


def many_trailers_over_h2():
    """Behind a body that is larger than the client's window."""
    trailers = b"".join(b"x-%d: v\r\n" % i for i in range(100))
    answer = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + trailers + b"\r\n"
    with Gateway("--workers", "1") as gateway, Instance(gateway, answer=answer) as instance:
        with raw_h2.Connection(gateway.connect("gateway"), window=1) as client:
            stream = client.call(instance.path)
            client.send(stream, b"", end=True)
            tap.expect(client.receive_data(stream), b"h")
            client.sock.sendall(raw_h2.frame(raw_h2.WINDOW_UPDATE, 0, stream, b"\0\0\1\0"))
            tap.expect(client.receive_data(stream), b"ello")
            last = client.receive()
            tap.expect((last.type, bool(last.flags & raw_h2.END_STREAM)), (raw_h2.HEADERS, True))
            tap.expect(len(last.payload) > 4 * 100, True)


def hanging_instances():
    """gateway.timeout counts from the end of the request, however its body comes."""
    release = threading.Event()

    def hang(request, connection):
        release.wait(SECONDS)
        return OK

    bodies = [
        ("GET", "", ""),
        ("PUT", "Content-Length: 5\r\n", "hello"),
        ("POST", "Content-Length: 5\r\n", "hello"),
        ("POST", "Content-Length: 0\r\n", ""),
        ("POST", "Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n0\r\n\r\n"),
    ]
    with Gateway("--set", "gateway.timeout=100ms") as gateway, Instance(gateway, answer=hang) as instance:
        for method, fields, body in bodies:
            answer = gateway.ask(f"{method} {instance.path} HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}")
            tap.expect((method, fields, answer.status), (method, fields, 504))
        release.set()


CASES = [
    ("answers of class 1 that nobody reads are not kept", informs_that_nobody_reads),
    ("the same over HTTP/2", informs_that_nobody_reads_over_h2),
    ("a hundred trailers, to a client of HTTP/2 with a small window", many_trailers_over_h2),
    ("an instance that hangs is given up in time, with a body or without", hanging_instances),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
