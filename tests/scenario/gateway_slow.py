#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Clients and instances that are slow on purpose: what is kept for them is bounded, all of them together."""

import queue
import socket
import sys
import threading

import raw_h2
from gateway_lib import OK, Gateway, Instance
from lib import SANITIZED, SECONDS, tap

CLIENTS = 10 if SANITIZED else 40
UNSENT = 1 << 20
LITTLE = 64 << 10  # for each, both sides of it; without the bound it would be 256 KB and more
HELD = (24 << 20 if SANITIZED else 2 << 20) + UNSENT + CLIENTS * LITTLE
SETTINGS = ("--workers", "1", "--set", f"http.unsent_bytes={UNSENT}")
STILL = 0.3  # who is held back is so for good; who is only slow would go on within this time

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
TO_THE_END = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
BYTES = b"x" * 0x8000
LARGE_CHUNK = b"8000\r\n" + BYTES + b"\r\n"
SMALL_CHUNKS = 200 * (b"80\r\n" + b"x" * 0x80 + b"\r\n")


def push(connection, piece):
    """Sends that again and again until nobody takes it."""
    connection.settimeout(STILL)
    try:
        while True:
            connection.sendall(piece)
    except TimeoutError:
        connection.settimeout(SECONDS)


def endless(head, piece, stuck):
    """An answer without end, to one who takes it; tells `stuck` when it is held back."""
    def answer(request, connection):
        if request.target.endswith("short"):
            return OK
        connection.sendall(head)
        push(connection, piece)
        stuck.put(1)
        push(connection, piece)
        return None

    return answer


def deaf(gateway):
    """A connection that takes little."""
    host, port = gateway.address("gateway").rsplit(":", 1)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((host, int(port)))
    return connection


def expect_small(gateway, instance, before):
    growth = gateway.resident_bytes() - before
    print(f"# {growth / CLIENTS / 1024:.0f} KB for each of {CLIENTS}")
    tap.expect(growth < HELD, True)
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
    done = threading.Event()

    def answer(request, connection):
        return OK if request.target.endswith("short") or done.wait(SECONDS) else None

    def send(client, path):
        client.sendall(f"PUT {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {1 << 30}\r\n\r\n".encode())
        push(client, BYTES)

    with Gateway(*SETTINGS) as gateway, Instance(gateway, answer=answer, is_whole=False) as instance:
        before = gateway.resident_bytes()
        clients = [gateway.connect("gateway") for _ in range(CLIENTS)]
        threads = [threading.Thread(target=send, args=[client, instance.path]) for client in clients]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        expect_small(gateway, instance, before)
        for client in clients:
            client.close()
        done.set()


CASES = [
    ("who does not read an answer in chunks", readers_are_held_back(CHUNKED, LARGE_CHUNK)),
    ("in very small ones", readers_are_held_back(CHUNKED, SMALL_CHUNKS)),
    ("one that ends with the connection", readers_are_held_back(TO_THE_END, BYTES)),
    ("many of them on one connection of HTTP/2", readers_of_h2_are_held_back),
    ("bodies that an instance does not take", bodies_are_held_back),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
