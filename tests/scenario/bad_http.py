#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""Malformed requests over a real socket: each gets its status and a closed connection.

The table is that of docs/http1.md, as a client would send it: mistakes that smuggle, hide or confuse. The parser's own
tests have every row; here it matters that the answer arrives and that nothing behind the mistake is taken as a request.
"""

import re
import sys

from lib import Muster, receive_to_end, tap

HOST = "Host: x\r\n"
CHUNKED = "Transfer-Encoding: chunked\r\n"

HEADS = [
    ("both lengths", f"POST / HTTP/1.1\r\n{HOST}Content-Length: 5\r\n{CHUNKED}\r\n", 400),
    ("both lengths, the other way round", f"POST / HTTP/1.1\r\n{HOST}{CHUNKED}Content-Length: 5\r\n\r\n", 400),
    ("an obscured coding", f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: xchunked\r\n\r\n", 400),
    ("another coding before chunked", f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip, chunked\r\n\r\n", 501),
    ("a coding behind a comma", f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: ,chunked\r\n\r\n", 400),
    ("chunked twice", f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, chunked\r\n\r\n", 400),
    ("two codings", f"POST / HTTP/1.1\r\n{HOST}{CHUNKED}{CHUNKED}\r\n", 400),
    ("a coding behind a vertical tab", f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: \x0bchunked\r\n\r\n", 400),
    ("identity behind chunked", f"POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked, identity\r\n\r\n", 400),
    ("chunked in HTTP/1.0", f"POST / HTTP/1.0\r\n{HOST}{CHUNKED}\r\n", 400),
    ("a signed length", f"POST / HTTP/1.1\r\n{HOST}Content-Length: +5\r\n\r\nhello", 400),
    ("a hexadecimal length", f"POST / HTTP/1.1\r\n{HOST}Content-Length: 0x5\r\n\r\nhello", 400),
    ("a list of lengths", f"POST / HTTP/1.1\r\n{HOST}Content-Length: 5, 5\r\n\r\nhello", 400),
    ("an empty length", f"POST / HTTP/1.1\r\n{HOST}Content-Length:\r\n\r\n", 400),
    ("a negative length", f"POST / HTTP/1.1\r\n{HOST}Content-Length: -1\r\n\r\n", 400),
    ("a length beyond 63 bits", f"POST / HTTP/1.1\r\n{HOST}Content-Length: 9223372036854775808\r\n\r\n", 400),
    ("two equal lengths", f"POST / HTTP/1.1\r\n{HOST}Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello", 400),
    ("bare LF behind the request line", f"GET / HTTP/1.1\n{HOST}\r\n", 400),
    ("bare LF behind a field", "GET / HTTP/1.1\r\nHost: x\n\r\n", 400),
    ("bare CR in a value", f"GET / HTTP/1.1\r\n{HOST}A: b\rc\r\n\r\n", 400),
    ("NUL in a value", f"GET / HTTP/1.1\r\n{HOST}A: b\0c\r\n\r\n", 400),
    ("a control in a value", f"GET / HTTP/1.1\r\n{HOST}A: b\x01c\r\n\r\n", 400),
    ("a folded field", f"GET / HTTP/1.1\r\n{HOST}A: b\r\n c\r\n\r\n", 400),
    ("a blank before the first field", f"GET / HTTP/1.1\r\n {HOST}\r\n", 400),
    ("a blank before the colon", f"POST / HTTP/1.1\r\n{HOST}Content-Length : 5\r\n\r\nhello", 400),
    ("an empty name", f"GET / HTTP/1.1\r\n{HOST}: b\r\n\r\n", 400),
    ("a field without colon", f"GET / HTTP/1.1\r\n{HOST}garbage\r\n\r\n", 400),
    ("a bad name", f"GET / HTTP/1.1\r\n{HOST}A(b): c\r\n\r\n", 400),
    ("no Host", "GET / HTTP/1.1\r\n\r\n", 400),
    ("two Hosts", f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n", 400),
    ("a list of Hosts", "GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400),
    ("a Host with a blank", "GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400),
    ("a fragment", f"GET /a#b HTTP/1.1\r\n{HOST}\r\n", 400),
    ("two blanks", f"GET  / HTTP/1.1\r\n{HOST}\r\n", 400),
    ("HTTP/1.2", f"GET / HTTP/1.2\r\n{HOST}\r\n", 505),
    ("HTTP/0.9", "GET /\r\n", 400),
    ("a version in small letters", f"GET / http/1.1\r\n{HOST}\r\n", 400),
    ("upgrade with a body",
     f"GET / HTTP/1.1\r\n{HOST}Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 5\r\n\r\n", 400),
    ("an unknown expectation", f"POST / HTTP/1.1\r\n{HOST}Expect: miracles\r\nContent-Length: 5\r\n\r\n", 417),
    ("a long target", f"GET /{'a' * 9000} HTTP/1.1\r\n{HOST}\r\n", 414),
    ("a large head", f"GET / HTTP/1.1\r\n{HOST}" + f"A: {'b' * 1000}\r\n" * 40 + "\r\n", 431),
    ("a head without end", "GET / HTTP/1.1\r\nA: " + "b" * 40000, 431),
    ("many fields", f"GET / HTTP/1.1\r\n{HOST}" + "A: b\r\n" * 200 + "\r\n", 431),
]

# Behind a good head: the answer may be given before the body is read, but then the connection must end.
BODIES = [
    ("a chunk size with a prefix", "0x5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size behind a blank", " 5\r\nhello\r\n0\r\n\r\n"),
    ("a chunk size before a blank", "5 \r\nhello\r\n0\r\n\r\n"),
    ("a chunk size beyond 64 bits", "10000000000000005\r\nhello\r\n0\r\n\r\n"),
    ("bare LF behind a chunk size", "5\nhello\r\n0\r\n\r\n"),
    ("bare LF in an extension", "5;a=b\nhello\r\n0\r\n\r\n"),
    ("bare CR in an extension", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
    ("extensions without end", "5;" + "a" * 70000),
    ("a chunk longer than its size", "5\r\nhello!\r\n0\r\n\r\n"),
    ("a bad trailer", "5\r\nhello\r\n0\r\nA b\r\n\r\n"),
]

SMUGGLED = "GET /livez HTTP/1.1\r\nHost: smuggled\r\n\r\n"


def statuses(received):
    """Of all answers in the bytes; the bodies do not look like one."""
    return [int(status) for status in re.findall(rb"^HTTP/1\.1 (\d{3}) ", received, re.MULTILINE)]


def bad_heads_are_refused():
    with Muster() as muster:
        for words, request, status in HEADS:
            with muster.connect() as connection:
                connection.sendall((request + SMUGGLED).encode("latin-1"))
                received = receive_to_end(connection)
            tap.expect((words, statuses(received)), (words, [status]))
            tap.expect((words, b"connection: close" in received.lower()), (words, True))
        tap.expect(muster.metric("muster_http_requests_malformed_total"), len(HEADS))
        muster.wait_for_metric("muster_http_connections_open", 1)


def nothing_behind_a_bad_body_is_a_request():
    with Muster() as muster:
        for words, body in BODIES:
            with muster.connect() as connection:
                connection.sendall(f"POST /livez HTTP/1.1\r\n{HOST}{CHUNKED}\r\n{body}{SMUGGLED}".encode("latin-1"))
                received = receive_to_end(connection)
            tap.expect((words, 200 in statuses(received), len(statuses(received))), (words, False, 1))


def one_byte_at_a_time_is_the_same():
    with Muster() as muster:
        for words, request, status in HEADS[:10]:
            with muster.connect() as connection:
                try:
                    for byte in request.encode("latin-1"):
                        connection.sendall(bytes([byte]))
                except (BrokenPipeError, ConnectionResetError):
                    pass  # refused before its end
                tap.expect((words, statuses(receive_to_end(connection))), (words, [status]))


def noise_is_refused():
    with Muster() as muster:
        greetings = (b"SSH-2.0-OpenSSH_9.2\r\n", b"PRI * HTTP/2.0\r\n")
        for noise in (b"\0" * 100, b"\xff" * 5000, b"\r\n" * 20, b"GET", *greetings):
            with muster.connect() as connection:
                connection.sendall(noise)
                connection.shutdown(1)
                receive_to_end(connection)
        tap.expect(muster.get("/livez").status, 200)
        muster.wait_for_metric("muster_http_connections_open", 1)


CASES = [
    ("each malformed head gets its status and a closed connection", bad_heads_are_refused),
    ("nothing behind a malformed body is taken for a request", nothing_behind_a_bad_body_is_a_request),
    ("it is the same when bytes come one at a time", one_byte_at_a_time_is_the_same),
    ("noise ends its connection and nothing else", noise_is_refused),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
