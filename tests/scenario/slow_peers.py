#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""Peers that are slow, silent or gone: each ends by its deadline, and nobody else notices."""

import socket
import sys

from lib import Muster, ask, drip, make_certificate, folder, receive_to_end, tap, unhurried, unless_closed, wait_for

def silence_ends():
    with Muster(*unhurried("http.head_timeout=50ms")) as muster, muster.connect() as silent:
        receive_to_end(silent)
        wait_for(lambda: unless_closed(lambda: muster.get("/livez").status), 200)  # we may be too slow, too


def a_head_that_drips_in_ends():
    with Muster(*unhurried("http.head_timeout=200ms")) as muster, muster.connect() as slow:
        slow.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nA: ")
        tap.expect(drip(slow, b"b").startswith(b"HTTP/1.1 408 "), True)


def a_body_that_stops_ends():
    with Muster(*unhurried("http.body_timeout=50ms")) as muster, muster.connect() as slow:
        slow.sendall(b"POST /livez HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhell")
        tap.expect(receive_to_end(slow).startswith(b"HTTP/1.1 405 "), True)


def idle_connections_end():
    with Muster(*unhurried("http.idle_timeout=50ms")) as muster, muster.connect() as idle:
        tap.expect(ask(idle, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status, 200)
        tap.expect(receive_to_end(idle), b"")


def who_reads_nothing_is_dropped():
    with Muster(*unhurried("http.send_timeout=100ms")) as muster:
        host, port = muster.address().rsplit(":", 1)
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.settimeout(20)
            deaf.connect((host, int(port)))
            try:
                while True:  # until the server gives up on us
                    deaf.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n" * 100)
            except (BrokenPipeError, ConnectionResetError):
                pass
        muster.wait_for_metric("muster_http_connections_open", 1)


def half_closed_peers_get_their_answer():
    with Muster(*unhurried()) as muster, muster.connect() as half:
        half.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n")
        half.shutdown(socket.SHUT_WR)
        tap.expect(receive_to_end(half).endswith(b"\r\n\r\nok\n"), True)


def a_half_closed_half_request_ends():
    with Muster(*unhurried()) as muster, muster.connect() as half:
        half.sendall(b"GET /livez HTTP/1.1\r\nHo")
        half.shutdown(socket.SHUT_WR)
        receive_to_end(half)


def a_handshake_that_stops_ends():
    with folder() as place:
        cert, key = make_certificate(place, "server")
        words = unhurried("http.head_timeout=50ms", f"tls.cert={cert}", f"tls.key={key}")
        with Muster(*words) as muster, muster.connect() as slow:
            slow.sendall(b"\x16\x03\x01\x02\x00\x01")
            receive_to_end(slow)


def an_http2_preface_that_stops_ends():
    with Muster(*unhurried("http.head_timeout=50ms")) as muster, muster.connect() as slow:
        slow.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n")
        receive_to_end(slow)


CASES = [
    ("who says nothing is closed", silence_ends),
    ("a head that drips in is 408", a_head_that_drips_in_ends),
    ("a body that stops ends its connection", a_body_that_stops_ends),
    ("an idle connection is closed", idle_connections_end),
    ("who reads nothing is dropped", who_reads_nothing_is_dropped),
    ("a peer that has closed its sending side gets its answer", half_closed_peers_get_their_answer),
    ("half a request and an end is the end", a_half_closed_half_request_ends),
    ("a TLS handshake that stops is closed", a_handshake_that_stops_ends),
    ("an HTTP/2 preface that stops is closed", an_http2_preface_that_stops_ends),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
