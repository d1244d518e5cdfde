#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""What a gateway must refuse, or never pass on, so that no two programs read a message differently.

Each case is a class of mistakes by which requests were smuggled past some gateway or another. It looks at both sides:
what the client gets, and what arrived at the instance.
"""

import sys

from gateway_lib import CLOSE, OK, Cut, Instance, main
from lib import tap

CHUNKED = "Transfer-Encoding: chunked\r\n"
SMUGGLED = "GET /smuggled HTTP/1.1\r\nHost: smuggled\r\n\r\n"


def refused(gateway, requests):
    """Each (words, line and fields, body, status): answered so, closed, and nothing arrives."""
    with Instance(gateway) as instance:
        for words, first, fields, body, status in requests:
            with gateway.dial() as client:
                try:
                    client.send(f"{first.replace('/P', instance.path)}\r\n{fields}\r\n{body}{SMUGGLED}")
                    answer = client.answer()
                    rest = client.ends()
                except (BrokenPipeError, ConnectionResetError):
                    raise AssertionError(f"{words}: reset before the answer could be read") from None
            tap.expect((words, answer.status, b"HTTP/1." in rest), (words, status, False))
        tap.expect([request.head for request in instance.seen()], [])
        tap.expect(gateway.ask(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n").status, 200)


def post(words, fields, body="", status=400, version="1.1"):
    return words, f"POST /P HTTP/{version}", f"Host: a\r\n{fields}", body, status


def get(words, fields, status=400, first="GET /P HTTP/1.1"):
    return words, first, fields, "", status


def both_lengths(gateway):
    refused(gateway, [
        post("CL.TE", f"Content-Length: 6\r\n{CHUNKED}", "0\r\n\r\nG"),
        post("TE.CL", f"{CHUNKED}Content-Length: 4\r\n", "5c\r\nG\r\n0\r\n\r\n"),
        post("CL.TE in another case", f"content-length: 6\r\nTRANSFER-ENCODING: chunked\r\n", "0\r\n\r\nG"),
    ])


def obscured_codings(gateway):
    refused(gateway, [
        post("xchunked", "Transfer-Encoding: xchunked\r\n"),
        post("behind a comma", "Transfer-Encoding: ,chunked\r\n"),
        post("twice", f"{CHUNKED}{CHUNKED}"),
        post("twice in one", "Transfer-Encoding: chunked, chunked\r\n"),
        post("behind a vertical tab", "Transfer-Encoding: \x0bchunked\r\n"),
        post("not the last", "Transfer-Encoding: chunked, identity\r\n"),
        post("identity", "Transfer-Encoding: identity\r\n"),
        post("another before it", "Transfer-Encoding: gzip, chunked\r\n", status=501),
        post("in quotes", 'Transfer-Encoding: "chunked"\r\n'),
    ])


def chunked_in_http_1_0(gateway):
    refused(gateway, [post("chunked in 1.0", CHUNKED, "0\r\n\r\n", version="1.0")])


def odd_lengths(gateway):
    values = ["+5", "0x5", "5, 5", "5,", "", "-5", "5 5", "9223372036854775808", "18446744073709551617", "5a", "five"]
    requests = [post(f"length {value!r}", f"Content-Length: {value}\r\n", "hello") for value in values]
    refused(gateway, [
        *requests,
        post("two equal ones", "Content-Length: 5\r\nContent-Length: 5\r\n", "hello"),
        post("two different ones", "Content-Length: 5\r\nContent-Length: 6\r\n", "hello"),
    ])


def bare_line_feeds(gateway):
    refused(gateway, [
        get("behind the request line", "Host: a\r\n", first="GET /P HTTP/1.1\nA: b"),
        get("behind a field", "Host: a\nB: c\r\n"),
        get("at the end of the head", "Host: a\n"),
        get("bare CR", "Host: a\r\nA: b\rC: d\r\n"),
    ])


def bodies(gateway, chunks, is_good):
    """What becomes of a request with these chunks: as a whole at the instance with "hello", or never."""
    for words, text in chunks:
        with Instance(gateway) as instance, gateway.dial() as client:
            try:
                client.send(f"POST {instance.path} HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n{text}")
                if not is_good:
                    client.send(SMUGGLED)
                answer = client.answer()
                status, rest = answer.status, b"" if is_good else client.ends()
            except (BrokenPipeError, ConnectionResetError, Cut):
                status, rest = 400, b""
            seen = [(request.body, request.trailers) for request in instance.seen()]
            if is_good:
                tap.expect((words, status, seen), (words, 200, [(b"hello", [])]))
            else:
                tap.expect((words, status, rest.count(b"HTTP/1."), seen), (words, 400, 0, []))


def chunk_extensions(gateway):
    with Instance(gateway) as instance:
        request = f"POST {instance.path} HTTP/1.1\r\nHost: a\r\n{CHUNKED}\r\n5;a=b;c=\"d e\";f\r\nhello\r\n0;g\r\n\r\n"
        tap.expect(gateway.ask(request).status, 200)
        request = instance.only()
        tap.expect((request.body, [line for line in request.chunk_lines if b";" in line]), (b"hello", []))
    bodies(gateway, [
        ("bare LF in one", "5;a=b\nhello\r\n0\r\n\r\n"),
        ("bare CR in one", "5;a\rb\r\nhello\r\n0\r\n\r\n"),
        ("bare LF as the end of a chunk", "5\r\nhello\n0\r\n\r\n"),
        ("without end", "5;" + "a" * 70000 + "\r\nhello\r\n0\r\n\r\n"),
        ("many", "".join(f"1;{'a' * 100}\r\nx\r\n" for _ in range(100)) + "0\r\n\r\n"),
        ("no token", "5;=b\r\nhello\r\n0\r\n\r\n"),
    ], is_good=False)


def chunk_sizes(gateway):
    bodies(gateway, [
        ("leading zeros", "000005\r\nhello\r\n0\r\n\r\n"),
        ("two chunks", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"),
    ], is_good=True)
    bodies(gateway, [
        ("0x5", "0x5\r\nhello\r\n0\r\n\r\n"),
        ("behind a blank", " 5\r\nhello\r\n0\r\n\r\n"),
        ("before a blank", "5 \r\nhello\r\n0\r\n\r\n"),
        ("17 digits", "00000000000000005\r\nhello\r\n0\r\n\r\n"),
        ("overflow", "FFFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n"),
        ("negative", "-5\r\nhello\r\n0\r\n\r\n"),
        ("none", "\r\nhello\r\n0\r\n\r\n"),
        ("too small", "4\r\nhello\r\n0\r\n\r\n"),
    ], is_good=False)


def bad_answers(gateway, answers):
    """Each of these answers becomes a 502, and nothing of it reaches the client."""
    for words, text in answers:
        with Instance(gateway, answer=text.encode("latin-1")) as instance:
            answer = gateway.ask(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n")
            tap.expect((words, answer.status, b"evil" in answer.head + answer.body), (words, 502, False))
            tap.expect((words, "error=http_protocol_error" in answer.one("proxy-status")), (words, True))


def folded_fields(gateway):
    refused(gateway, [
        get("folded by a blank", "Host: a\r\nA: b\r\n c\r\n"),
        get("folded by a tab", "Host: a\r\nA: b\r\n\tc\r\n"),
        get("the first one", " Host: a\r\nHost: b\r\n"),
    ])
    bad_answers(gateway, [("folded", "HTTP/1.1 200 OK\r\nA: evil\r\n b\r\nContent-Length: 0\r\n\r\n")])


def controls(gateway):
    refused(gateway, [
        get("NUL", "Host: a\r\nA: b\0c\r\n"),
        get("a control", "Host: a\r\nA: b\x01c\r\n"),
        get("DEL", "Host: a\r\nA: b\x7fc\r\n"),
        get("NUL in a name", "Host: a\r\nA\0: b\r\n"),
        get("NUL in the target", "Host: a\r\n", first="GET /P\0 HTTP/1.1"),
    ])
    bad_answers(gateway, [
        ("NUL", "HTTP/1.1 200 OK\r\nA: evil\0\r\nContent-Length: 0\r\n\r\n"),
        ("bare CR", "HTTP/1.1 200 OK\r\nA: evil\rB: c\r\nContent-Length: 0\r\n\r\n"),
        ("bare LF", "HTTP/1.1 200 OK\nA: evil\r\nContent-Length: 0\r\n\r\n"),
    ])


def names_and_colons(gateway):
    refused(gateway, [
        post("a blank before the colon", "Content-Length : 5\r\n", "hello"),
        get("an empty name", "Host: a\r\n: b\r\n"),
        get("no colon", "Host: a\r\ngarbage\r\n"),
        get("a name that is no token", "Host: a\r\nA(b): c\r\n"),
    ])
    bad_answers(gateway, [
        ("a blank before the colon", "HTTP/1.1 200 OK\r\nA : evil\r\nContent-Length: 0\r\n\r\n"),
        ("no colon", "HTTP/1.1 200 OK\r\nevil\r\nContent-Length: 0\r\n\r\n"),
        ("no status line", "evil\r\n\r\n"),
    ])


def underscore_aliases(gateway):
    with Instance(gateway) as instance:
        answer = gateway.ask(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\nX_Forwarded_For: evil\r\nx_real_ip: evil\r\n"
                             "X-Forwarded_Proto: evil\r\nX_Forwarded_User: evil\r\n"
                             f"X-Forwarded_{'A' * 80}: evil\r\nMy_Own: kept\r\n\r\n")
        if answer.status == 400:
            return
        request = instance.only()
        tap.expect("evil" in str(request.fields), False)


def connection_lists_away(gateway):
    listed = "X-Forwarded-For, X-Forwarded-Proto, Host, Authorization, Traceparent, Content-Length, Mine, Via"
    with Instance(gateway) as instance:
        trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        gateway.ask(f"POST {instance.path} HTTP/1.1\r\nHost: a\r\nConnection: {listed}\r\nAuthorization: secret\r\n"
                    f"Traceparent: {trace}\r\nMine: gone\r\nX-Forwarded-For: evil\r\nContent-Length: 5\r\n\r\nhello")
        request = instance.only()
        tap.expect((request.one("host"), request.one("authorization"), request.body), ("a", "secret", b"hello"))
        tap.expect(trace[3:35] in request.one("traceparent"), True)
        tap.expect((request.has("mine"), "evil" in str(request.fields)), (False, False))
        tap.expect((request.has("x-forwarded-for"), request.has("via")), (True, True))
        tap.expect([value for value in request.all("connection") if "mine" in value.lower()], [])


def hosts(gateway):
    refused(gateway, [
        get("none", ""),
        get("two", "Host: a\r\nHost: b\r\n"),
        get("two equal ones", "Host: a\r\nHost: a\r\n"),
        get("a list", "Host: a,b\r\n"),
        get("a blank", "Host: a b\r\n"),
        get("a user", "Host: a@b\r\n"),
        get("a path", "Host: a/b\r\n"),
        get("a bad port", "Host: a:b\r\n"),
    ])


def absolute_targets(gateway):
    with Instance(gateway) as instance:
        gateway.ask(f"GET http://good.example{instance.path}?q HTTP/1.1\r\nHost: evil.example\r\n\r\n")
        request = instance.only()
        tap.expect((request.target, request.one("host")), (instance.path + "?q", "good.example"))


def request_lines(gateway):
    refused(gateway, [
        get("a fragment", "Host: a\r\n", first="GET /P#x HTTP/1.1"),
        get("two blanks", "Host: a\r\n", first="GET  /P HTTP/1.1"),
        get("a blank at the end", "Host: a\r\n", first="GET /P HTTP/1.1 "),
        get("HTTP/1.2", "Host: a\r\n", first="GET /P HTTP/1.2", status=505),
        get("HTTP/3.0", "Host: a\r\n", first="GET /P HTTP/3.0", status=505),
        get("small letters", "Host: a\r\n", first="GET /P http/1.1"),
        get("HTTP/0.9", "", first="GET /P"),
    ])


def upgrades_with_a_body(gateway):
    upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n"
    refused(gateway, [
        post("with a length", f"{upgrade}Content-Length: 5\r\n", "hello"),
        post("in chunks", f"{upgrade}{CHUNKED}", "0\r\n\r\n"),
    ])


def no_tunnel_before_101(gateway):
    """What follows an upgrade that the instance declines is a request like any other."""
    with Instance(gateway) as instance, gateway.dial() as client:
        client.send(f"GET {instance.path}up HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n"
                    f"GET {instance.path}next HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: evil\r\n\r\n")
        tap.expect((client.answer().status, client.answer().status), (200, 200))
        first, second = instance.next(), instance.next()
        tap.expect((first.target, second.target), (instance.path + "up", instance.path + "next"))
        tap.expect("evil" in str(second.fields), False)
    unasked = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
    with Instance(gateway, answer=unasked) as instance:
        answer = gateway.ask(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n")
        tap.expect(answer.status, 502)  # nobody had asked for it


def h2c_is_never_passed_on(gateway):
    with Instance(gateway) as instance:
        for protocols in "h2c", "websocket, h2c", "H2C, websocket":
            answer = gateway.ask(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\n"
                                 f"Upgrade: {protocols}\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n")
            request = instance.only()
            tap.expect((answer.status, request.has("upgrade"), request.has("http2-settings")), (200, False, False))


def an_unread_body_is_no_request(gateway):
    """The instance answers without reading the body, which looks like a request."""
    def early(request, connection):
        connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        return CLOSE

    refused(gateway, [post("an unknown expectation", "Expect: miracles\r\nContent-Length: 5\r\n", "hello", 417)])
    with Instance(gateway, answer=early, is_whole=False) as instance, gateway.dial() as client:
        hidden = f"GET {instance.path}hidden HTTP/1.1\r\nHost: a\r\n\r\n"
        client.send(f"POST {instance.path} HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
                    f"Content-Length: {len(hidden)}\r\n\r\n{hidden}")
        tap.expect(client.answer().status, 403)
        client.half_close()
        tap.expect(b"HTTP/1." in client.ends(), False)
        tap.expect([request.target for request in instance.seen()], [instance.path])


def short_and_long_answers(gateway):
    """An answer that is shorter than it says is cut off for the client too; its connection is never used again."""
    def short(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello")
        return CLOSE

    def unfinished(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")
        return CLOSE

    for answer in short, unfinished:
        with Instance(gateway, answer=answer) as instance:
            try:
                whole = gateway.ask(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n")
            except Cut:
                whole = None
            tap.expect(whole, None)
    with Instance(gateway, answer=OK + b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil") as instance:
        with gateway.dial() as client:
            for _ in range(3):
                client.send(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n")
                tap.expect(client.answer().body, b"ok")
            tap.expect(client.rest, b"")
        tap.expect([request.number for request in instance.seen()], [0, 1, 2])


def bytes_on_an_idle_connection(gateway):
    """What an instance says unasked, between two answers, is never taken for the next one."""
    idle = []

    def remember(request, connection):
        idle.append(connection)
        return OK

    with Instance(gateway, answer=remember) as instance, gateway.dial() as client:
        request = f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n"
        client.send(request)
        tap.expect(client.answer().body, b"ok")
        idle[0].sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil")
        client.send(request)
        tap.expect(client.answer().body, b"ok")


def forged_forwarding(gateway):
    names = ["X-Forwarded-For", "X-Forwarded-Proto", "X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix",
             "X-Forwarded-User", "Forwarded", "X-Real-IP"]
    with Instance(gateway) as instance:
        forged = "".join(f"{name}: evil\r\n" for name in names)
        gateway.ask(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n{forged}\r\n")
        request = instance.only()
        tap.expect([field for field in request.fields if "evil" in field[1]], [])
        tap.expect(request.one("x-forwarded-for"), "127.0.0.1")


CASES = [
    ("CL.TE, TE.CL: both lengths are refused", both_lengths),
    ("obscured transfer codings are refused", obscured_codings),
    ("chunked in HTTP/1.0 is refused", chunked_in_http_1_0),
    ("odd values of Content-Length are refused", odd_lengths),
    ("bare LF and CR as line ends are refused", bare_line_feeds),
    ("chunk extensions are never passed on, and bounded", chunk_extensions),
    ("odd chunk sizes are refused", chunk_sizes),
    ("folded fields: 400 in requests, 502 in answers", folded_fields),
    ("NUL and controls: 400 in requests, 502 in answers", controls),
    ("a blank before the colon, no name, no colon", names_and_colons),
    ("X_Forwarded_For does not pass for X-Forwarded-For", underscore_aliases),
    ("Connection cannot list away what matters", connection_lists_away),
    ("there is exactly one valid Host", hosts),
    ("an absolute target counts, not the Host beside it", absolute_targets),
    ("odd request lines and versions are refused", request_lines),
    ("an upgrade with a body is refused", upgrades_with_a_body),
    ("there is no tunnel before the instance's 101", no_tunnel_before_101),
    ("h2c is never passed on", h2c_is_never_passed_on),
    ("an unread body is never taken for a request", an_unread_body_is_no_request),
    ("answers that are shorter or longer than they say", short_and_long_answers),
    ("bytes on an idle connection are no answer", bytes_on_an_idle_connection),
    ("forwarding fields of an untrusted client are dropped", forged_forwarding),
]

if __name__ == "__main__":
    sys.exit(main(CASES))
