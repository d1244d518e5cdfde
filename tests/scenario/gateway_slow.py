#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Clients and instances that are slow on purpose: what is kept for all of them is bounded, and clients that do not keep
the least rate are ended."""

import contextlib
import queue
import select
import socket
import struct
import sys
import threading

import raw_h2
from gateway_lib import CLOSE, OK, Gateway, Instance, cut
from lib import SANITIZED, SECONDS, drip, tap, wait_for

CLIENTS = 10 if SANITIZED else 40
UNSENT = 1 << 20
LITTLE = 64 << 10  # for each, both sides of it; without the bound it would be 256 KB and more
HELD = (24 << 20 if SANITIZED else 2 << 20) + UNSENT + CLIENTS * LITTLE
SETTINGS = ("--workers", "1", "--set", f"http.unsent_bytes={UNSENT}")
# Streams have the gateway's time-outs and a second more; instances answer in time.
QUICK = ("http.body_timeout: 300ms", "http.rate_min: 10k", "http.linger: 60s", "gateway.timeout: 3s",
         "gateway.body_timeout: 3s")
STILL = 0.3  # who is held back is so for good; who is only slow will mostly go on within this time

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
BYTES = b"x" * 0x8000
LARGE_CHUNK = b"8000\r\n" + BYTES + b"\r\n"
SMALL_CHUNKS = 200 * (b"80\r\n" + b"x" * 0x80 + b"\r\n")


def push(connection, piece, stuck):
    """Sends that again and again until the connection ends; tells `stuck` once, when nobody takes it for a while."""
    connection.setblocking(False)
    patience, left = STILL, b""
    while True:
        left = left or memoryview(piece)
        if select.select([], [connection], [], patience)[1]:
            with contextlib.suppress(BlockingIOError):
                left = left[connection.send(left):]
        else:
            stuck.put(1)
            patience = None


def endless(head, piece, stuck):
    """An answer without end, to one who takes it; tells `stuck` when it is held back."""
    def answer(request, connection):
        if request.target.endswith("short"):
            return OK
        connection.sendall(head)
        push(connection, piece, stuck)

    return answer


def deaf(gateway):
    """A connection that takes little."""
    host, port = gateway.address("gateway").rsplit(":", 1)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    return connection


def wait_until_full(gateway):
    """What the system holds for slow peers, some MB for each, is full before."""
    wait_for(lambda: gateway.metric('muster_unsent_bytes{worker="0"}') > UNSENT, True, 3 * SECONDS)


def expect_small(gateway, instance, before):
    wait_until_full(gateway)
    growth = gateway.resident_bytes() - before
    print(f"# {growth / CLIENTS / 1024:.0f} KB for each of {CLIENTS}")
    tap.expect(growth < HELD, True)
    tap.expect(gateway.metric('muster_unsent_bytes_max{worker="0"}'), UNSENT)
    tap.expect(gateway.ask(f"GET {instance.path}short HTTP/1.1\r\nHost: a\r\n\r\n").body, b"ok")


def readers_are_held_back(head, piece):
    def case():
        stuck = queue.Queue()
        with Gateway(*SETTINGS) as gateway, Instance(gateway, answer=endless(head, piece, stuck)) as instance:
            before = gateway.resident_bytes()
            clients = [deaf(gateway) for _ in range(CLIENTS)]
            for client in clients:
                client.sendall(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
            for _ in clients:
                stuck.get(timeout=SECONDS)
            expect_small(gateway, instance, before)
            for client in clients:
                client.close()

    return case


def an_echo_goes_on():
    """While others are slow."""
    stuck = queue.Queue()
    with (Gateway(*SETTINGS) as gateway, Instance(gateway, answer=endless(CHUNKED, LARGE_CHUNK, stuck)) as instance,
          Instance(gateway, answer=echo, is_whole=False) as echoing):
        clients = [deaf(gateway) for _ in range(CLIENTS)]
        for client in clients:
            client.sendall(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        for _ in clients:
            stuck.get(timeout=SECONDS)
        wait_until_full(gateway)
        both_ways_go_on(gateway, echoing)
        for client in clients:
            client.close()


def readers_of_h2_are_held_back():
    stuck = queue.Queue()
    with Gateway(*SETTINGS) as gateway, Instance(gateway, answer=endless(CHUNKED, LARGE_CHUNK, stuck)) as instance:
        before = gateway.resident_bytes()
        with raw_h2.Connection(gateway.connect("gateway"), window=1) as client:
            for _ in range(CLIENTS):
                client.send(client.call(instance.path), b"", end=True)
            for _ in range(CLIENTS):
                stuck.get(timeout=SECONDS)
            expect_small(gateway, instance, before)


def bodies_are_held_back():
    """An instance that takes nothing."""
    done, stuck = threading.Event(), queue.Queue()

    def answer(request, connection):
        return OK if request.target.endswith("short") or done.wait() else None

    def send(client, path):
        with contextlib.suppress(ConnectionError):
            client.sendall(f"PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {1 << 30}\r\n\r\n".encode())
            push(client, BYTES, stuck)

    with Gateway(*SETTINGS) as gateway, Instance(gateway, answer=answer, is_whole=False) as instance:
        before = gateway.resident_bytes()
        clients = [gateway.connect("gateway") for _ in range(CLIENTS)]
        threads = [threading.Thread(target=send, args=[client, instance.path]) for client in clients]
        for thread in threads:
            thread.start()
        for _ in clients:
            stuck.get(timeout=SECONDS)
        expect_small(gateway, instance, before)
        for client in clients:
            cut(client)
        for thread, client in zip(threads, clients):
            thread.join()
            client.close()
        done.set()


def echo(request, connection):
    """Takes no more than it gives back."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 18)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 18)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.sendall(CHUNKED)
    piece = request.rest
    while piece := piece or connection.recv(1 << 14):
        connection.sendall(b"%x\r\n%b\r\n" % (len(piece), piece))
        piece = b""
    return CLOSE


class Echoed:
    """What goes both ways on one stream."""

    def __init__(self, client, path):
        self.client, self.stream = client, client.call(path)
        self.windows = {0: 65535, self.stream: client.receive_settings()[raw_h2.INITIAL_WINDOW_SIZE]}
        self.n_sent = self.n_back = 0

    def send(self):
        """As much as may be sent."""
        while (n := min(*self.windows.values(), 4096)) > 0:
            self.client.send(self.stream, b"x" * n)
            self.n_sent += n
            self.windows = {stream: left - n for stream, left in self.windows.items()}

    def receive(self):
        got = self.client.receive()
        if got.type == raw_h2.WINDOW_UPDATE:
            self.windows[got.stream] += int.from_bytes(got.payload, "big")
        elif got.type == raw_h2.DATA:
            self.n_back += len(got.payload)

    def open_windows(self):
        step = struct.pack(">I", 1 << 30)
        for stream in self.windows:
            self.client.sock.sendall(raw_h2.frame(raw_h2.WINDOW_UPDATE, 0, stream, step))


def both_ways_go_on(gateway, instance):
    """The client opens its window when everybody waits for that."""
    with raw_h2.Connection(gateway.connect("gateway"), window=1) as client:
        both = Echoed(client, instance.path)
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client.sock.settimeout(STILL)
        try:
            while True:
                both.send()
                both.receive()
        except TimeoutError:
            client.sock.settimeout(SECONDS)
        both.open_windows()
        while both.n_back < both.n_sent:
            both.receive()


def expect_slow(gateway, instance):
    line = f'muster_gateway_failed_total{{service="{instance.service}",cause="CLIENT_SLOW"}}'
    gateway.wait_for_metric(line, 1)


def a_body_that_drips_ends(head, drop):
    """Each byte comes in time, but they are too few."""
    def case():
        with Gateway("--workers", "1") as gateway, Instance(gateway, is_whole=False, answer=b"") as instance:
            gateway.apply(*QUICK)
            with gateway.dial() as client:
                client.send(f"PUT {instance.path} HTTP/1.1\r\nHost: a\r\n{head}\r\n\r\n")
                tap.expect(drip(client.connection, drop).startswith(b"HTTP/1.1 408 "), True)
            expect_slow(gateway, instance)

    return case


def ends_on_h2(client, stream, drop):
    """Sends that again and again until the stream is reset."""
    client.sock.settimeout(0.01)
    while True:
        client.sock.sendall(drop)
        try:
            client.await_bytes(1)  # of a frame
            client.sock.settimeout(SECONDS)
            if client.receive()[:3:2] == (raw_h2.RST_STREAM, stream):
                return
            client.sock.settimeout(0.01)
        except TimeoutError:
            pass


def a_body_that_drips_ends_on_h2():
    with Gateway("--workers", "1") as gateway, Instance(gateway, is_whole=False, answer=b"") as instance:
        gateway.apply(*QUICK)
        with raw_h2.Connection(gateway.connect("gateway")) as client:
            stream = client.call(instance.path)
            ends_on_h2(client, stream, raw_h2.frame(raw_h2.DATA, 0, stream, b"x"))
            expect_slow(gateway, instance)


def an_answer_that_is_sipped_ends_on_h2():
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + b"x" * 100000
    with Gateway("--workers", "1") as gateway, Instance(gateway, answer=answer) as instance:
        gateway.apply(*QUICK)
        with raw_h2.Connection(gateway.connect("gateway"), window=1) as client:
            stream = client.call(instance.path)
            client.send(stream, b"", end=True)
            ends_on_h2(client, stream, raw_h2.frame(raw_h2.WINDOW_UPDATE, 0, stream, b"\0\0\0\1"))
            expect_slow(gateway, instance)


CASES = [
    ("who does not read an answer in chunks", readers_are_held_back(CHUNKED, LARGE_CHUNK)),
    ("in very small ones", readers_are_held_back(CHUNKED, SMALL_CHUNKS)),
    ("one that ends with the connection", readers_are_held_back(TO_THE_END, BYTES)),
    ("many of them on one connection of HTTP/2", readers_of_h2_are_held_back),
    ("bodies that an instance does not take", bodies_are_held_back),
    ("a body that drips in", a_body_that_drips_ends("Content-Length: 100000", b"x")),
    ("in chunks", a_body_that_drips_ends("Transfer-Encoding: chunked", b"1\r\nx\r\n")),
    ("an echo over HTTP/2 goes on meanwhile", an_echo_goes_on),
    ("over HTTP/2", a_body_that_drips_ends_on_h2),
    ("an answer that is taken byte by byte, over HTTP/2", an_answer_that_is_sipped_ends_on_h2),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
