#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Stopping while clients are busy: what is running may finish, within a deadline."""

import contextlib
import json
import signal
import socket
import sys

from lib import Muster, ask, receive_to_end, run, tap

REQUEST = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def connect_slowly(muster):
    """A client that asked for more than the sockets' buffers hold and reads nothing: the server has unsent bytes."""
    host, port = muster.address().rsplit(":", 1)
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.settimeout(20)
    connection.connect((host, int(port)))
    one = ask(connection, REQUEST)
    n = 8 * 1024 * 1024 // len(one.body)
    connection.setblocking(False)
    sent = 0
    backlog = REQUEST * n
    try:  # until the server, which cannot send, does not take more requests either
        while sent < len(backlog):
            sent += connection.send(backlog[sent:])
    except BlockingIOError:
        pass
    connection.settimeout(20)
    connection.recv(1, socket.MSG_PEEK)  # it has begun to answer: before that it may count as idle
    return connection


def running_answers_are_finished():
    with Muster("--set", "drain.timeout=1h", "--set", "http.send_timeout=1h") as muster:
        with connect_slowly(muster) as slow, muster.connect() as idle:
            tap.expect(ask(idle, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status, 200)
            muster.signal(signal.SIGTERM)
            tap.expect(receive_to_end(idle), b"")  # idle connections go at once
            answers = receive_to_end(slow)
            head, _, body = answers.rpartition(b"HTTP/1.1 200 OK")[2].partition(b"\r\n\r\n")
            tap.expect(b"connection: close" in head.lower(), True)
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            tap.expect(len(body), length)
        tap.expect(muster.end(), 0)
        tap.expect("every request has been answered" in muster.log(), True)


def new_connections_are_refused():
    with Muster("--set", "drain.timeout=1h", "--set", "http.send_timeout=1h") as muster:
        with connect_slowly(muster), muster.connect() as idle:
            tap.expect(ask(idle, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status, 200)
            muster.signal(signal.SIGTERM)
            tap.expect(receive_to_end(idle), b"")
            # Refused, or reset when the listener has not quite been closed; perhaps before connect has returned.
            with contextlib.suppress(ConnectionRefusedError, ConnectionResetError), muster.connect() as late:
                tap.expect(receive_to_end(late), b"")
        tap.expect(muster.end(), 0)


def the_deadline_ends_it():
    with Muster("--set", "drain.timeout=100ms", "--set", "http.send_timeout=1h") as muster:
        with connect_slowly(muster) as slow:
            client = "%s:%d" % slow.getsockname()
            muster.signal(signal.SIGTERM)
            tap.expect(muster.end(), 0)
        told, cut = (line for line in muster.log().splitlines() if "not drained in time" in line or client in line)
        tap.expect("connections=1" in told, True)
        tap.expect("cut off" in cut, True)


def a_second_signal_ends_it_at_once():
    with Muster("--set", "drain.timeout=1h", "--set", "http.send_timeout=1h") as muster:
        with connect_slowly(muster), muster.connect() as idle:
            tap.expect(ask(idle, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status, 200)
            muster.signal(signal.SIGTERM)
            tap.expect(receive_to_end(idle), b"")
            muster.signal(signal.SIGTERM)
            tap.expect(muster.end(), 0)
        tap.expect("not drained in time" in muster.log(), True)


def load_balancers_are_told_first():
    with Muster("--set", "drain.delay=1h") as muster:
        muster.signal(signal.SIGTERM)
        muster.wait_for_log("asked to stop")
        answer = muster.get("/readyz")
        tap.expect((answer.status, answer.body), (503, b"not ready: shutting down\n"))
        tap.expect(json.loads(muster.get("/health").body), {"health": "false", "reason": "shutting down"})
        tap.expect(muster.get("/livez").status, 200)
        status = run("status", "--address", muster.address(), "--output", "json")
        tap.expect((status.code, json.loads(status.out)["reason"]), (1, "shutting down"))
        muster.signal(signal.SIGTERM)
        tap.expect(muster.end(), 0)


def http2_is_told_to_go_away():
    with Muster() as muster, muster.connect() as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        tap.expect(connection.recv(9)[3], 4)
        muster.signal(signal.SIGTERM)
        rest = receive_to_end(connection)
        types = []
        # What recv(9) left of the settings comes first; frames are found from the first whole one on.
        rest = rest[rest.find(b"\0\0\0\4\1") if b"\0\0\0\4\1" in rest else 0 :]
        while len(rest) >= 9:
            types.append(rest[3])
            rest = rest[9 + int.from_bytes(rest[:3], "big") :]
        tap.expect(7 in types, True)
        tap.expect(muster.end(), 0)


CASES = [
    ("answers that are under way are finished, and say that the connection ends", running_answers_are_finished),
    ("new connections are refused", new_connections_are_refused),
    ("the deadline ends what is not finished", the_deadline_ends_it),
    ("a second signal ends it at once", a_second_signal_ends_it_at_once),
    ("with drain.delay, load balancers are told before anything ends", load_balancers_are_told_first),
    ("HTTP/2 connections get GOAWAY", http2_is_told_to_go_away),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
