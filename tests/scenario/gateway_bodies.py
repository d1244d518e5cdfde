#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""Bodies of any size through the gateway, tunnels, and peers that are slow, on purpose or not."""

import hashlib
import queue
import select
import sys
import threading

from gateway_lib import CLOSE, OK, Gateway, Instance, end
from lib import SECONDS, tap, wait_for

HOST = "Host: a\r\n"
MANY = 64 << 20  # more than sockets and buffers hold
HELD = 24 << 20  # what the gateway may hold of it, generously: sanitizers need more
PIECE = bytes(range(256)) * 256
WHOLE = memoryview(PIECE * (MANY // len(PIECE)))
DIGEST = hashlib.sha256(WHOLE).hexdigest()
UPGRADE = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"


def pour(connection, n=MANY):
    """Sends n bytes; gives how many went before the other side had enough."""
    for sent in range(0, n, len(PIECE)):
        try:
            connection.sendall(PIECE)
        except ConnectionError:
            return sent
    return n


def stalls(connection):
    """Sends until nothing more is taken for a while, without waiting for it; gives how much was."""
    connection.setblocking(False)
    n = 0
    while n < MANY and select.select([], [connection], [], 0.5)[1]:
        try:
            n += connection.send(WHOLE[n:n + len(PIECE)])
        except BlockingIOError:
            pass
    connection.settimeout(SECONDS)
    return n


def read_digest(connection, rest, n):
    digest = hashlib.sha256(rest)
    n -= len(rest)
    while n > 0:
        piece = connection.recv(min(n, 1 << 20))
        if not piece:
            raise AssertionError(f"{n} bytes are missing")
        digest.update(piece)
        n -= len(piece)
    return digest.hexdigest()


def head_of(client):
    head = b""
    while b"\r\n\r\n" not in head:
        head += client.connection.recv(65536)
    return head.split(b"\r\n\r\n", 1)


def large_answers():
    """With a length and in chunks, to a client that reads nothing for a while: the instance is held back."""
    for is_chunked in False, True:
        taken = queue.Queue()

        def answer(request, connection, is_chunked=is_chunked, taken=taken):
            framing = "Transfer-Encoding: chunked" if is_chunked else f"Content-Length: {MANY}"
            connection.sendall(f"HTTP/1.1 200 OK\r\n{framing}\r\n\r\n".encode())
            if is_chunked:
                connection.sendall(f"{MANY:x}\r\n".encode())
            n = stalls(connection)
            taken.put(n)
            connection.sendall(WHOLE[n:])
            return b"\r\n0\r\n\r\n" if is_chunked else None

        one = Gateway("--workers", "1")
        with one as gateway, Instance(gateway, answer=answer) as instance, gateway.dial() as client:
            before = gateway.resident_bytes()
            client.send(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n")
            tap.expect(taken.get(timeout=SECONDS) < MANY, True)
            tap.expect(gateway.resident_bytes() - before < HELD, True)
            if is_chunked:
                tap.expect(hashlib.sha256(client.answer().body).hexdigest(), DIGEST)
            else:
                _, rest = head_of(client)
                tap.expect(read_digest(client.connection, rest, MANY), DIGEST)


def large_requests():
    """To an instance that reads nothing for a while: the client is held back."""
    release = threading.Event()

    def answer(request, connection):
        release.wait(SECONDS)
        digest = read_digest(connection, request.rest, MANY).encode()
        request.rest = b""
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(digest), digest)

    with Gateway("--workers", "1") as gateway, Instance(gateway, answer=answer, is_whole=False) as instance:
        with gateway.dial() as client:
            before = gateway.resident_bytes()
            client.send(f"PUT {instance.path} HTTP/1.1\r\n{HOST}Content-Length: {MANY}\r\n\r\n")
            n = stalls(client.connection)
            tap.expect(n < MANY, True)
            tap.expect(gateway.resident_bytes() - before < HELD, True)
            release.set()
            client.connection.sendall(WHOLE[n:])
            tap.expect(client.answer().body.decode(), DIGEST)


def both_ways_at_once():
    """The answer begins before the request has ended, and each piece is passed on as it comes."""
    def answer(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        rest = request.rest
        for _ in range(5):
            while b"ping" not in rest:
                rest += connection.recv(1000)
            rest = rest.split(b"ping", 1)[1]
            connection.sendall(b"4\r\npong\r\n")
        while not rest.endswith(b"0\r\n\r\n"):
            rest += connection.recv(1000)
        request.rest = b""
        return b"0\r\n\r\n"

    with Gateway() as gateway, Instance(gateway, answer=answer, is_whole=False) as instance, gateway.dial() as client:
        client.send(f"POST {instance.path} HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n")
        taken = b""
        for i in range(1, 6):
            client.send("4\r\nping\r\n")
            while taken.count(b"pong") < i:
                taken += client.connection.recv(1000)
        client.send("0\r\n\r\n")
        while not taken.endswith(b"0\r\n\r\n"):
            taken += client.connection.recv(1000)


def echo(request, connection):
    """Switches, then gives back all that comes until the client has closed its half; then says bye."""
    connection.sendall(UPGRADE + b"hello")
    rest = request.rest
    while True:
        connection.sendall(rest)
        rest = connection.recv(65536)
        if not rest:
            connection.sendall(b"bye")
            return CLOSE


def upgrade(client, instance, early=""):
    client.send(f"GET {instance.path} HTTP/1.1\r\n{HOST}Connection: Upgrade\r\nUpgrade: websocket\r\n"
                f"Sec-WebSocket-Key: x\r\n\r\n{early}")
    head, rest = head_of(client)
    tap.expect(head.split(b" ")[1], b"101")
    lines = head.lower().split(b"\r\n")
    tap.expect((b"upgrade: websocket" in lines, b"connection: upgrade" in lines), (True, True))
    return rest


def until(client, rest, text):
    while text not in rest:
        piece = client.connection.recv(65536)
        if not piece:
            raise AssertionError(f"closed before {text!r}: {rest!r}")
        rest += piece
    return rest


def websocket_echo():
    with Gateway() as gateway, Instance(gateway, answer=echo) as instance, gateway.dial() as client:
        rest = upgrade(client, instance)
        rest = until(client, rest, b"hello")
        request = instance.only()
        tap.expect((request.one("upgrade").lower(), request.one("sec-websocket-key")), ("websocket", "x"))
        tap.expect("upgrade" in request.one("connection").lower(), True)
        for i in range(100):
            client.send(f"<{i}>")
            rest = until(client, rest, f"<{i}>".encode())
        client.half_close()
        tap.expect(client.ends().endswith(b"bye"), True)


def bytes_behind_the_upgrade():
    with Gateway() as gateway, Instance(gateway, answer=echo) as instance, gateway.dial() as client:
        rest = upgrade(client, instance, early="early words")
        until(client, rest, b"early words")


def tunnel_ends_with_its_instance():
    cut = threading.Event()

    def answer(request, connection):
        connection.sendall(UPGRADE + b"hello")
        cut.wait(SECONDS)
        return CLOSE

    with Gateway() as gateway, Instance(gateway, answer=answer) as instance, gateway.dial() as client:
        until(client, upgrade(client, instance), b"hello")
        cut.set()
        tap.expect(client.ends(), b"")


def tunnel_with_a_slow_end():
    """A tunnel holds back who sends faster than the other reads, in both directions."""
    taken, release = queue.Queue(), threading.Event()

    def answer(request, connection):
        connection.sendall(UPGRADE)
        n = stalls(connection)
        taken.put(n)
        release.wait(SECONDS)
        connection.sendall(WHOLE[n:])
        digest = hashlib.sha256(request.rest)
        while piece := connection.recv(1 << 20):
            digest.update(piece)
        taken.put(digest.hexdigest())
        return CLOSE

    with Gateway("--workers", "1") as gateway, Instance(gateway, answer=answer) as instance, gateway.dial() as client:
        before = gateway.resident_bytes()
        rest = upgrade(client, instance)
        tap.expect(taken.get(timeout=SECONDS) < MANY, True)
        n = stalls(client.connection)
        tap.expect(n < MANY, True)
        tap.expect(gateway.resident_bytes() - before < HELD, True)
        release.set()
        tap.expect(read_digest(client.connection, rest, MANY), DIGEST)
        client.half_close()
        tap.expect(taken.get(timeout=SECONDS), hashlib.sha256(WHOLE[:n]).hexdigest())
        tap.expect(client.ends(), b"")


def slow_heads():
    with Gateway("--workers", "1") as gateway, Instance(gateway) as instance:
        gateway.apply("http.head_timeout: 300ms")
        with gateway.dial() as slow, gateway.dial() as silent:
            slow.send(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\nX-Slow: ")
            tap.expect(slow.answer().status, 408)
            silent.half_close()
            silent.ends()
        tap.expect(instance.seen(), [])


def slow_bodies():
    """A client that stops within its body is given up; what the instance has of it is never a whole request."""
    with Gateway("--workers", "1") as gateway, Instance(gateway) as instance:
        gateway.apply("http.body_timeout: 300ms")
        with gateway.dial() as client:
            client.send(f"POST {instance.path} HTTP/1.1\r\n{HOST}Content-Length: 10\r\n\r\nhello")
            tap.expect(client.answer().status, 408)
            client.ends()
        tap.expect(instance.seen(), [])
        tap.expect(gateway.ask(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n").status, 200)


def slow_readers():
    """A client that reads nothing any more is given up, and its instance is free again."""
    ended = queue.Queue()

    def answer(request, connection):
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {MANY}\r\n\r\n".encode())
        ended.put(pour(connection))
        return CLOSE

    with Gateway("--set", "http.send_timeout=300ms") as gateway, Instance(gateway, answer=answer) as instance:
        with gateway.dial() as client:
            client.send(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n")
            tap.expect(ended.get(timeout=SECONDS) < MANY, True)
        tap.expect(gateway.get("/livez").status, 200)


def client_that_goes():
    """An instance's work for a client that has gone is ended."""
    ended = queue.Queue()

    def answer(request, connection):
        connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Length: {MANY}\r\n\r\n".encode())
        ended.put(pour(connection))
        return CLOSE

    with Gateway() as gateway, Instance(gateway, answer=answer) as instance:
        client = gateway.dial()
        client.send(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n")
        head_of(client)
        end(client.connection)
        tap.expect(ended.get(timeout=SECONDS) < MANY, True)
        wait_for(lambda: answered(gateway, instance), True)


def answered(gateway, instance):
    instance.answer = OK
    return gateway.ask(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n").status == 200


def too_large_a_body():
    with Gateway() as gateway, Instance(gateway, metadata={"gateway.max_body": "1000"}) as instance:
        request = f"POST {instance.path} HTTP/1.1\r\n{HOST}"
        tap.expect(gateway.ask(f"{request}Content-Length: 1001\r\n\r\n" + "x" * 1001).status, 413)
        chunk = f"3e9\r\n{'x' * 1001}\r\n0\r\n\r\n"
        tap.expect(gateway.ask(f"{request}Transfer-Encoding: chunked\r\n\r\n{chunk}").status, 413)
        tap.expect(instance.seen(), [])
        tap.expect(gateway.ask(f"{request}Content-Length: 1000\r\n\r\n" + "x" * 1000).status, 200)


CASES = [
    ("large answers to a client that does not read", large_answers),
    ("large requests to an instance that does not read", large_requests),
    ("an answer that begins before the request has ended", both_ways_at_once),
    ("WebSocket: echo, and half-closed ends", websocket_echo),
    ("bytes behind an upgrade belong to the tunnel", bytes_behind_the_upgrade),
    ("a tunnel ends with its instance", tunnel_ends_with_its_instance),
    ("a tunnel between a fast and a slow end", tunnel_with_a_slow_end),
    ("slowloris: a head without end", slow_heads),
    ("a body without end", slow_bodies),
    ("an answer that nobody reads", slow_readers),
    ("a client that goes in the middle of an answer", client_that_goes),
    ("a body beyond the service's limit", too_large_a_body),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
