#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""What RFC 9110 and RFC 9112 ask of a gateway between two HTTP/1.1 connections, each case named after its section.

What is refused is in gateway_refusals.py; tunnels and large bodies are in gateway_bodies.py.
"""

import socket
import sys
import threading

from api_lib import call, instance_path, register
from gateway_lib import CLOSE, OK, Cut, Gateway, Instance, cut, main
from lib import hold_port, tap, wait_for

HOST = "Host: a\r\n"


def passed_on(gateway, line, fields="", body="", answer=OK):
    """What the client gets for a request, and what arrived of it; /P is the instance's path."""
    with Instance(gateway, answer=answer) as instance:
        got = gateway.ask(f"{line.replace('/P', instance.path)}\r\n{HOST}{fields}\r\n{body}", line.split(" ")[0])
        return got, instance.only()


def answered(gateway, text, method="GET", version="1.1", fields=""):
    """What the client gets of an instance's answer."""
    answer = text.encode("latin-1")
    return passed_on(gateway, f"{method} /P HTTP/{version}", fields, answer=lambda *_: (answer, CLOSE)[0])[0]


def empty_lines(gateway):
    with Instance(gateway) as instance:
        request = f"GET {instance.path} HTTP/1.1\r\n{HOST}"
        tap.expect(gateway.ask(f"\r\n\r\n{request}\r\n").status, 200)
        tap.expect(gateway.ask(f"GET {instance.path} HTTP/1.1\r\n {HOST}\r\n").status, 400)


def own_version(gateway):
    answer, request = passed_on(gateway, "GET /P HTTP/1.0", answer=b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok")
    tap.expect((request.version, answer.version, answer.body), ("HTTP/1.1", "HTTP/1.1", b"ok"))


def unknown_methods(gateway):
    """Any token is a method; whether it is wanted is for the instance."""
    answer, request = passed_on(gateway, "FROBNICATE /P HTTP/1.1")
    tap.expect((answer.status, request.method), (200, "FROBNICATE"))
    with Instance(gateway) as instance:
        tap.expect(gateway.ask(f"GE(T {instance.path} HTTP/1.1\r\n{HOST}\r\n").status, 400)
        tap.expect(gateway.ask(f"GET {instance.path}{'a' * 9000} HTTP/1.1\r\n{HOST}\r\n").status, 414)


def connect_is_refused(gateway):
    answer = gateway.ask("CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
    tap.expect(answer.status in (400, 404, 405, 501), True)


def options_asterisk(_):
    with Gateway("--set", "gateway.default_service=all") as gateway, Instance(gateway, service="all") as instance:
        tap.expect(gateway.ask("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n").status, 200)
        request = instance.only()
        tap.expect((request.method, request.target), ("OPTIONS", "*"))
        tap.expect(gateway.ask("GET * HTTP/1.1\r\nHost: a\r\n\r\n").status, 400)


def too_large(gateway):
    with Instance(gateway) as instance:
        request = f"GET {instance.path} HTTP/1.1\r\n{HOST}"
        tap.expect(gateway.ask(request + f"A: {'b' * 1000}\r\n" * 40 + "\r\n").status, 431)
        tap.expect(gateway.ask(request + "A: b\r\n" * 200 + "\r\n").status, 431)
        tap.expect(instance.seen(), [])
    tap.expect(answered(gateway, "HTTP/1.1 200 OK\r\nA: " + "b" * 300000 + "\r\nContent-Length: 0\r\n\r\n").status, 502)


def order_of_lines(gateway):
    fields = "X-Unknown: 1\r\nAccept: a\r\nx-unknown: 2\r\nAccept: b\r\nX-UNKNOWN: 3\r\n"
    text = "HTTP/1.1 200 OK\r\nSet-Cookie: a=1\r\nX-Odd: yes\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    answer, request = passed_on(gateway, "GET /P HTTP/1.1", fields, answer=text.encode())
    tap.expect((request.all("x-unknown"), request.all("accept")), (["1", "2", "3"], ["a", "b"]))
    tap.expect((answer.all("set-cookie"), answer.one("x-odd")), (["a=1", "b=2"], "yes"))


def hop_by_hop(gateway):
    hop = "Connection: keep-alive, X-Hop\r\nX-Hop: evil\r\nKeep-Alive: timeout=77\r\nProxy-Connection: keep-alive\r\n"
    fields = f"{hop}TE: trailers, deflate\r\nUpgrade: evil\r\n"
    text = f"HTTP/1.1 200 OK\r\n{hop}Upgrade: evil\r\nContent-Length: 0\r\n\r\n"
    answer, request = passed_on(gateway, "GET /P HTTP/1.1", fields, answer=text.encode())
    for message in answer, request:
        tap.expect(message.names() & {"x-hop", "proxy-connection", "upgrade"}, set())
        tap.expect([value for value in message.all("connection") if "x-hop" in value.lower()], [])
        tap.expect("timeout=77" in message.all("keep-alive"), False)
    tap.expect(request.all("te") in ([], ["trailers"]), True)
    if request.has("te"):
        tap.expect("te" in request.one("connection").lower(), True)


def te_without_trailers(gateway):
    _, request = passed_on(gateway, "GET /P HTTP/1.1", "TE: deflate\r\nConnection: TE\r\n")
    tap.expect(request.has("te"), False)


def via(gateway):
    _, request = passed_on(gateway, "GET /P HTTP/1.1")
    tap.expect(request.one("via").startswith("1.1 muster"), True)
    _, request = passed_on(gateway, "GET /P HTTP/1.0", "Via: 1.1 before\r\n")
    tap.expect(", ".join(request.all("via")).startswith("1.1 before, 1.0 muster"), True)


def loops(gateway):
    """The gateway's own address is registered as an instance."""
    register(gateway, "loop", "self", address=f"http@{gateway.address('gateway')}")
    wait_for(lambda: gateway.ask(f"GET /loop/ HTTP/1.1\r\n{HOST}\r\n").status == 404, False)
    tap.expect(gateway.ask(f"GET /loop/ HTTP/1.1\r\n{HOST}\r\n").status, 508)


def max_forwards(gateway):
    for method in "OPTIONS", "TRACE":
        _, request = passed_on(gateway, f"{method} /P HTTP/1.1", "Max-Forwards: 5\r\n")
        tap.expect(request.one("max-forwards"), "4")
        with Instance(gateway) as instance:
            answer = gateway.ask(f"{method} {instance.path} HTTP/1.1\r\n{HOST}Max-Forwards: 0\r\n\r\n")
            tap.expect((answer.status < 500, instance.seen()), (True, []))
    _, request = passed_on(gateway, "OPTIONS /P HTTP/1.1")
    tap.expect(request.has("max-forwards"), False)
    _, request = passed_on(gateway, "GET /P HTTP/1.1", "Max-Forwards: 0\r\n")
    tap.expect(request.one("max-forwards"), "0")


def framing_of_answers(gateway):
    chunked = "Transfer-Encoding: chunked\r\n"
    for words, text in [
        ("both lengths", f"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n{chunked}\r\n0\r\n\r\n"),
        ("not chunked", "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nhello"),
        ("chunked in 1.0", f"HTTP/1.0 200 OK\r\n{chunked}\r\n0\r\n\r\n"),
        ("a bad length", "HTTP/1.1 200 OK\r\nContent-Length: 5x\r\n\r\nhello"),
        ("two lengths", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello"),
        ("a bad status", "HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"),
        ("another version", "HTTP/2.0 200 OK\r\nContent-Length: 0\r\n\r\n"),
    ]:
        answer = answered(gateway, text)
        tap.expect((words, answer.status, "error=" in answer.one("proxy-status")), (words, 502, True))


def chunked_to_old_clients(gateway):
    text = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
    with Instance(gateway, answer=text.encode()) as instance, gateway.dial() as client:
        client.send(f"GET {instance.path} HTTP/1.0\r\n{HOST}Connection: keep-alive\r\n\r\n")
        answer = client.answer()
        tap.expect((answer.body, answer.has("transfer-encoding")), (b"hello", False))
        if not answer.has("content-length"):
            tap.expect(answer.all("connection"), ["close"])
            tap.expect(client.ends(), b"")


def until_the_end_of_the_connection(gateway):
    def to_end(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\nall of it")
        return CLOSE

    answer, _ = passed_on(gateway, "GET /P HTTP/1.1", answer=to_end)
    tap.expect((answer.body, answer.is_chunked or answer.has("content-length")), (b"all of it", True))
    answer, _ = passed_on(gateway, "GET /P HTTP/1.0", answer=to_end)
    tap.expect(answer.body, b"all of it")


def no_body(gateway):
    for status, line in (204, "204 No Content"), (304, "304 Not Modified"):
        text = f"HTTP/1.1 {line}\r\nETag: x\r\n\r\n".encode()
        with Instance(gateway, answer=text) as instance, gateway.dial() as client:
            for _ in range(2):
                client.send(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n")
                answer = client.answer()
                tap.expect((answer.status, answer.has("transfer-encoding")), (status, False))
            tap.expect(client.rest, b"")
    answer = answered(gateway, "HTTP/1.1 304 Not Modified\r\nContent-Length: 1234\r\nETag: x\r\n\r\n")
    tap.expect((answer.status, answer.all("content-length")), (304, ["1234"]))
    answer = answered(gateway, "HTTP/1.1 205 Reset Content\r\nContent-Length: 0\r\n\r\n")
    tap.expect((answer.status, answer.body), (205, b""))


def head_requests(gateway):
    for extra in "", "evil":  # some instances send a body all the same
        text = f"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n{extra}".encode()
        with Instance(gateway, answer=text) as instance, gateway.dial() as client:
            for _ in range(3):
                client.send(f"HEAD {instance.path} HTTP/1.1\r\n{HOST}\r\n")
                answer = client.answer("HEAD")
                tap.expect((answer.status, answer.one("content-length"), client.rest), (200, "4", b""))
    answer = answered(gateway, "HTTP/1.1 200 OK\r\n\r\n", method="HEAD")
    tap.expect((answer.status, answer.has("content-length")), (200, False))


def incomplete_requests(gateway):
    """A client that goes in the middle of its body: the instance never sees a whole request."""
    for fields, body in (("Content-Length: 10\r\n", "hello"), ("Transfer-Encoding: chunked\r\n", "5\r\nhello\r\n")):
        with Instance(gateway) as instance:
            with gateway.dial() as client:
                client.send(f"POST {instance.path} HTTP/1.1\r\n{HOST}{fields}\r\n{body}")
                # The instance may hear of it only when the body is whole, or never.
                client.half_close()
                client.ends()
            tap.expect(gateway.ask(f"GET {instance.path}next HTTP/1.1\r\n{HOST}\r\n").status, 200)
            tap.expect([request.target for request in instance.seen()], [instance.path + "next"])


def trailers(gateway):
    with Instance(gateway) as instance:
        body = "5\r\nhello\r\n0\r\nX-Sum: 42\r\nContent-Length: 9\r\nHost: evil\r\nAuthorization: evil\r\n\r\n"
        answer = gateway.ask(f"POST {instance.path} HTTP/1.1\r\n{HOST}Trailer: X-Sum\r\nTransfer-Encoding: chunked\r\n"
                             f"\r\n{body}")
        request = instance.only()
        tap.expect((answer.status, request.body, request.one("host")), (200, b"hello", "a"))
        tap.expect(("evil" in str(request.fields), request.has("x-sum")), (False, False))
        tap.expect(request.trailers, [("X-Sum", "42")] if request.trailers else [])
        tap.expect(bool(request.trailers), True)
    text = ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            "5\r\nhello\r\n0\r\nX-Sum: 42\r\nSet-Cookie: evil=1\r\n\r\n")
    answer = answered(gateway, text, fields="TE: trailers\r\n")
    tap.expect((answer.body, dict(answer.trailers).get("X-Sum"), answer.has("x-sum")), (b"hello", "42", False))


def date(gateway):
    answer = answered(gateway, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    tap.expect(answer.one("date").endswith("GMT"), True)
    answer = answered(gateway, "HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 0\r\n\r\n")
    tap.expect(answer.one("date"), "Sun, 06 Nov 1994 08:49:37 GMT")


def untouched(gateway):
    fields = {"Authorization": "Basic YTpi", "Proxy-Authorization": "Basic YTpi", "Cache-Control": "no-transform",
              "Accept-Encoding": "gzip;q=0.5", "Cookie": "a=1; b=2", "User-Agent": "odd/1 (x)"}
    back = {"WWW-Authenticate": 'Basic realm="x"', "Allow": "GET, FROB", "Server": "mine/1", "ETag": '"x"',
            "Content-Encoding": "gzip", "Cache-Control": "no-transform", "Location": "http://elsewhere/x"}
    text = "HTTP/1.1 401 Odd Words\r\n" + "".join(f"{name}: {value}\r\n" for name, value in back.items())
    answer, request = passed_on(gateway, "GET /P?a=%41&b=c%2Fd HTTP/1.1",
                                "".join(f"{name}: {value}\r\n" for name, value in fields.items()),
                                answer=f"{text}Content-Length: 2\r\n\r\nok".encode())
    tap.expect({name: request.one(name.lower()) for name in fields if name != "Proxy-Authorization"},
               {name: value for name, value in fields.items() if name != "Proxy-Authorization"})
    tap.expect(({name: answer.one(name.lower()) for name in back}, answer.status), (back, 401))
    tap.expect(request.target.split("?")[1], "a=%41&b=c%2Fd")


def expect_continue(gateway):
    def willing(request, connection):
        connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = request.rest
        while len(body) < 5:
            body += connection.recv(100)
        request.rest, request.body = b"", body
        return OK

    def unwilling(request, connection):
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        return CLOSE

    with Instance(gateway, answer=willing, is_whole=False) as instance, gateway.dial() as client:
        client.send(f"POST {instance.path} HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        head = b""
        while b"\r\n\r\n" not in head:
            head += client.connection.recv(1000)
        tap.expect(head.split(b" ")[1], b"100")
        client.send("hello")
        tap.expect(client.answer().status, 200)
        tap.expect(instance.only().body, b"hello")
    with Instance(gateway, answer=unwilling, is_whole=False) as instance, gateway.dial() as client:
        client.send(f"POST {instance.path} HTTP/1.1\r\n{HOST}Expect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        tap.expect(client.answer().status, 413)
    _, request = passed_on(gateway, "POST /P HTTP/1.0", "Expect: 100-continue\r\nContent-Length: 5\r\n", "hello")
    tap.expect((request.body, request.has("expect")), (b"hello", False))


def informational(gateway):
    text = ("HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n"
            "HTTP/1.1 103 Early Hints\r\nLink: </b.css>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
    answer = answered(gateway, text)
    tap.expect([inform.status for inform in answer.informs], [103, 102, 103])
    tap.expect([dict(inform.fields).get("Link") or dict(inform.fields).get("link") for inform in answer.informs],
               ["</a.css>", None, "</b.css>"])
    answer = answered(gateway, text, version="1.0")
    tap.expect(([inform.status for inform in answer.informs], answer.status), ([], 200))


def lingering_close(gateway):
    """The instance refuses a large body: the client reads the answer before it meets a reset."""
    def early(request, connection):
        connection.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno")
        return CLOSE

    with Instance(gateway, answer=early, is_whole=False) as instance, gateway.dial() as client:
        client.send(f"POST {instance.path} HTTP/1.1\r\n{HOST}Content-Length: 100000000\r\n\r\n")
        done = threading.Event()

        def pour():
            try:
                while not done.is_set():
                    client.connection.sendall(b"x" * 65536)
            except OSError:
                pass

        thread = threading.Thread(target=pour)
        thread.start()
        tap.expect(client.answer().body, b"no")
        done.set()
        cut(client.connection)
        thread.join()


def persistence(gateway):
    with Instance(gateway) as instance:
        for version, field, stays in [("1.1", "", True), ("1.1", "Connection: close\r\n", False), ("1.0", "", False),
                                      ("1.0", "Connection: keep-alive\r\n", True)]:
            with gateway.dial() as client:
                request = f"GET {instance.path} HTTP/{version}\r\n{HOST}{field}\r\n"
                client.send(request)
                tap.expect(client.answer().status, 200)
                if stays:
                    client.send(request)
                    tap.expect((version, field, client.answer().status), (version, field, 200))
                else:
                    tap.expect((version, field, client.ends()), (version, field, b""))
        # The client's wish is about its own connection: each worker has one to the instance, which stays.
        tap.expect({request.number for request in instance.seen()} <= {0, 1}, True)


def instance_says_close(gateway):
    text = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"
    with Instance(gateway, answer=text) as instance, gateway.dial() as client:
        for _ in range(3):
            client.send(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n")
            answer = client.answer()
            tap.expect((answer.body, answer.all("connection") == ["close"]), (b"ok", False))
        tap.expect([request.number for request in instance.seen()], [0, 1, 2])


def pipelining(gateway):
    """Answered in order, one by one; an instance never has the next request before it has answered."""
    def answer(request, connection):
        tap.expect(request.rest, b"")
        body = request.target.encode()
        return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    with Instance(gateway, answer=answer) as instance, gateway.dial() as client:
        targets = [f"{instance.path}{i}" for i in range(20)]
        client.send("".join(f"POST {target} HTTP/1.1\r\n{HOST}Content-Length: 5\r\n\r\nhello" for target in targets))
        tap.expect([client.answer().body.decode() for _ in targets], targets)
        tap.expect([request.target for request in instance.seen()], targets)


def half_closed_client(gateway):
    release = threading.Event()

    def late(request, connection):
        release.wait(10)
        return OK

    with Instance(gateway, answer=late) as instance, gateway.dial() as client:
        client.send(f"GET {instance.path} HTTP/1.1\r\n{HOST}\r\n")
        client.half_close()
        instance.next()
        release.set()
        tap.expect(client.answer().body, b"ok")
        tap.expect(client.ends(), b"")


def gateway_errors(gateway):
    """502, 503 and 504 say in Proxy-Status what happened."""
    def silent_end(request, connection):
        return CLOSE

    with Instance(gateway, answer=silent_end) as instance:
        answer = gateway.ask(f"POST {instance.path} HTTP/1.1\r\n{HOST}Content-Length: 0\r\n\r\n")
        tap.expect(answer.status, 502)
        tap.expect(answer.one("proxy-status").startswith("muster"), True)
        tap.expect("error=connection_terminated" in answer.one("proxy-status"), True)
        tap.expect(len(instance.seen()), 1)
    with hold_port() as nobody:
        register(gateway, "refuses", "one", address=f"http@127.0.0.1:{nobody.getsockname()[1]}")

        def outcome():
            return gateway.ask(f"GET /refuses/ HTTP/1.1\r\n{HOST}\r\n")

        wait_for(lambda: outcome().status == 404, False)
        answer = outcome()
        tap.expect((answer.status in (502, 503), "error=" in answer.one("proxy-status")), (True, True))
    tap.expect(gateway.ask(f"GET /unheard-of/ HTTP/1.1\r\n{HOST}\r\n").status, 404)


def nobody_there(gateway):
    """A service that is known, but has no instance that may be asked: 503 and Retry-After, not 404."""
    register(gateway, "empty", "one", address="http@127.0.0.1:1")
    tap.expect(call(gateway, "PUT", instance_path("empty", "one") + "/maintenance", {"reason": "test"}).status, 200)
    wait_for(lambda: gateway.ask(f"GET /empty/ HTTP/1.1\r\n{HOST}\r\n").status, 503)
    answer = gateway.ask(f"GET /empty/ HTTP/1.1\r\n{HOST}\r\n")
    tap.expect((answer.has("retry-after"), "error=" in answer.one("proxy-status")), (True, True))


def misdirected(gateway):
    tap.expect(answered(gateway, "HTTP/1.1 421 Misdirected Request\r\nContent-Length: 0\r\n\r\n").status, 421)


def forwarding_identity(gateway):
    answer, request = passed_on(gateway, "GET /P HTTP/1.1", "X-Request-ID: mine\r\n")
    tap.expect((request.one("x-forwarded-for"), request.one("x-forwarded-proto")), ("127.0.0.1", "http"))
    tap.expect(request.one("x-forwarded-host"), "a")
    tap.expect(request.one("x-request-id") not in ("", "mine"), True)  # of an untrusted client
    trace = request.one("traceparent")
    tap.expect((len(trace), trace[:3]), (55, "00-"))
    given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    _, request = passed_on(gateway, "GET /P HTTP/1.1", f"Traceparent: {given}\r\nTracestate: a=b\r\n")
    tap.expect((request.one("traceparent")[3:35], request.one("tracestate")), (given[3:35], "a=b"))


def paths(gateway):
    """Routed by their normal form, passed on as they came; what could be read in two ways is refused."""
    with Instance(gateway) as instance:
        for path in (f"{instance.path}a//b/./c?d=/../e", f"/x/..{instance.path}a", f"{instance.path}%7Ea%20b"):
            tap.expect((path, gateway.ask(f"GET {path} HTTP/1.1\r\n{HOST}\r\n").status), (path, 200))
            tap.expect(instance.only().target, path)
        for path in (f"{instance.path}a%2fb", f"{instance.path}a%5Cb", f"{instance.path}a%00", f"/..{instance.path}"):
            tap.expect((path, gateway.ask(f"GET {path} HTTP/1.1\r\n{HOST}\r\n").status), (path, 400))
        tap.expect(instance.seen(), [])


CASES = [
    ("9112 2.2: empty lines before a request, no blank before the first field", empty_lines),
    ("9112 2.3: messages are passed on in its own version", own_version),
    ("9112 3: methods, and targets that are too long", unknown_methods),
    ("9112 3.2.3: CONNECT is refused", connect_is_refused),
    ("9112 3.2.4: OPTIONS * goes to the default service", options_asterisk),
    ("9110 5.4: what is too large is refused, never cut", too_large),
    ("9110 5.1, 5.3: unknown fields and the order of lines stay", order_of_lines),
    ("9110 7.6.1: fields of one hop are removed, both ways", hop_by_hop),
    ("9110 10.1.4: of TE only trailers is passed on", te_without_trailers),
    ("9110 7.6.3: Via", via),
    ("9110 7.6.3: a loop ends with 508", loops),
    ("9110 7.6.2: Max-Forwards", max_forwards),
    ("9112 6.1, 6.3: answers with bad framing become 502", framing_of_answers),
    ("9112 6.1: an HTTP/1.0 client gets no chunks", chunked_to_old_clients),
    ("9112 6.3: an answer until the end of the connection", until_the_end_of_the_connection),
    ("9110 15: 204, 205 and 304 have no body", no_body),
    ("9110 9.3.2: HEAD", head_requests),
    ("9112 8: an incomplete request is never passed on as complete", incomplete_requests),
    ("9112 7.1.2: trailers stay apart, and never frame or route", trailers),
    ("9110 6.6.1: Date is added when there is none", date),
    ("9110 11, 7.7: what is not the gateway's is not touched", untouched),
    ("9110 10.1.1: Expect: 100-continue", expect_continue),
    ("9110 15.2: any number of answers of class 1", informational),
    ("9112 9.6: an early answer arrives although the body is not read", lingering_close),
    ("9112 9.3: connections stay or end as the client says", persistence),
    ("9112 9.6: an instance's `close` is about its own connection", instance_says_close),
    ("9112 9.3.2: pipelined requests are answered in order, one by one", pipelining),
    ("9112 9.6: a client that has closed its half gets its answer", half_closed_client),
    ("9110 15.6: 502 and 504 name their cause", gateway_errors),
    ("9110 15.6.4: 503 with Retry-After when nobody is there", nobody_there),
    ("9110 15.5.20: 421 is the instance's", misdirected),
    ("7239 and others: who forwarded what for whom", forwarding_identity),
    ("9110 7.7: paths are routed by their normal form and passed on as they came", paths),
]

if __name__ == "__main__":
    sys.exit(main(CASES))
