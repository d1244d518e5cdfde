#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Checks of real servers: they pass, fail and recover, and nobody is called dead whom the registry could not hear."""

import concurrent.futures
import contextlib
import http.server
import signal
import socket
import sys
import threading
import time

try:
    import grpc
except ImportError:
    grpc = None

from api_lib import Events, call, get, instance_path, names, register
from etcd_curl import b64, plain, post
from lib import Muster, ask, free_port, receive_answer, tap, wait_for
from types import SimpleNamespace

GOOD_LOOKS = 'muster_health_looks_total{result="good"}'
OFTEN = {"interval_ms": 100, "timeout_ms": 5000, "to_fail": 2, "to_pass": 2}


# ---- who is checked


@contextlib.contextmanager
def web_server(host="127.0.0.1"):
    """An HTTP server whose /health answers with server.status."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(self.server.status if self.path == "/health" else 404)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer((host, 0), Handler)
    server.status = 200
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


@contextlib.contextmanager
def grpc_server():
    """A gRPC server with a health service; `answers`: by service, a status, or None for NOT_FOUND."""
    if grpc is None:
        raise tap.Skip("there is no grpcio for Python")
    answers = {}

    def check(message, context):
        status = answers.get(message[2:].decode())
        if status is None:
            context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return b"\x08" + bytes([status])

    methods = {"Check": grpc.unary_unary_rpc_method_handler(check)}
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("grpc.health.v1.Health", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield SimpleNamespace(answers=answers, port=port, server=server)
    finally:
        server.stop(None).wait()


def listener(port=None):
    """Takes connections, however many; nobody else does when it is closed."""
    return socket.create_server(("127.0.0.1", port or free_port()), backlog=4096)


def port_of(server):
    return server.getsockname()[1]


# ---- what is seen


@contextlib.contextmanager
def watched(*arguments):
    """A muster and its changes from now on."""
    with Muster(*arguments) as muster, Events(muster) as events:
        events.until("synced")
        yield muster, events


def expect_change(events, kind, status, words):
    """The next change is of that kind, and its evidence has these words."""
    change = events.until("change").data
    tap.expect((change["kind"], (change["after"] or {"status": "gone"})["status"]), (kind, status))
    if words not in change.get("evidence", ""):
        tap.expect(change.get("evidence", ""), words)
    return change


def kinds(muster, service="web"):
    entries = get(muster, f"/api/v1/timeline?service={service}").json["entries"]
    return [(entry["instance"], entry["kind"]) for entry in reversed(entries)]


def instance(muster, name, service="web"):
    answer = get(muster, instance_path(service, name))
    return answer.json["status"] if answer.status == 200 else "gone"


# ---- checks


def an_http_check():
    with watched() as (muster, events), web_server() as server:
        port = server.server_address[1]
        register(muster, "web", "one", f"127.0.0.1:{port}", check={"type": "http", "target": "/health", **OFTEN})
        expect_change(events, "registered", "starting", "")
        expect_change(events, "check passed", "up", f"HTTP 200 from 127.0.0.1:{port}/health")
        server.status = 503
        failed = expect_change(events, "check failed", "failing", f"HTTP 503 from 127.0.0.1:{port}/health")
        tap.expect((failed["actor"], failed["after"]["offered"]), ("health", False))
        server.status = 204
        expect_change(events, "check passed", "up", "HTTP 204")


def a_tcp_check():
    with watched() as (muster, events):
        server = listener()
        port = port_of(server)
        register(muster, "web", "one", f"tcp@127.0.0.1:{port}", check={"type": "tcp", **OFTEN})
        expect_change(events, "registered", "starting", "")
        expect_change(events, "check passed", "up", f"connected to 127.0.0.1:{port}")
        server.close()
        expect_change(events, "check failed", "failing", f"connection refused: 127.0.0.1:{port}")
        with listener(port):
            expect_change(events, "check passed", "up", "connected")


def a_grpc_check():
    with watched() as (muster, events), grpc_server() as server:
        where = f"127.0.0.1:{server.port}"
        server.answers["web"] = 1
        register(muster, "web", "one", where, check={"type": "grpc", "target": "web", **OFTEN})
        expect_change(events, "registered", "starting", "")
        expect_change(events, "check passed", "up", f"SERVING from {where}")
        server.answers["web"] = 2
        expect_change(events, "check failed", "failing", f"NOT_SERVING from {where}")
        server.answers["web"] = 1
        expect_change(events, "check passed", "up", "SERVING")
        del server.answers["web"]
        expect_change(events, "check failed", "failing", f"gRPC status 5 NOT_FOUND from {where}")
        server.answers["web"] = 1
        expect_change(events, "check passed", "up", "SERVING")
        server.server.stop(None).wait()
        expect_change(events, "check failed", "failing", f"connection refused: {where}")


def a_muster_checks_another_one():
    with watched() as (muster, events), Muster() as other:
        register(muster, "muster", "other", other.address(), check={"type": "grpc", **OFTEN})
        expect_change(events, "registered", "starting", "")
        expect_change(events, "check passed", "up", f"SERVING from {other.address()}")
        other.process.kill()
        other.process.wait()
        expect_change(events, "check failed", "failing", "refused")


def who_does_not_speak_the_protocol_fails():
    with watched() as (muster, events), web_server() as server:
        register(muster, "web", "one", f"127.0.0.1:{server.server_address[1]}", check={"type": "grpc", **OFTEN})
        expect_change(events, "registered", "starting", "")
        expect_change(events, "check failed", "failing", "")


def a_ttl_check():
    with watched() as (muster, events):
        check = f"{instance_path('web', 'one')}/check"
        register(muster, "web", "one", "127.0.0.1:80", check={"type": "ttl", "interval_ms": 60000})
        expect_change(events, "registered", "starting", "")
        tap.expect(call(muster, "POST", check, {"passing": True, "output": "fine"}).status, 202)
        expect_change(events, "check passed", "up", "fine")
        tap.expect(call(muster, "POST", check, {"passing": False, "output": "disk full"}).status, 202)
        expect_change(events, "check failed", "failing", "disk full")
        tap.expect(call(muster, "POST", check, {"passing": True}).status, 202)
        expect_change(events, "check passed", "up", "")
        register(muster, "web", "one", "127.0.0.1:80", check={"type": "ttl", "interval_ms": 500})
        silent = events.until("change", "check failed").data
        tap.expect((silent["after"]["status"], silent["evidence"].startswith("no report for ")), ("failing", True))
        tap.expect(1000 <= int(silent["evidence"].split()[3]) < 100000, True)


def who_fails_for_too_long_is_removed():
    """consul#1489: deregistered for its check, and everybody can see that."""
    with watched() as (muster, events):
        port = free_port()
        register(muster, "web", "one", f"127.0.0.1:{port}", check={"type": "tcp", **OFTEN, "remove_after_ms": 300})
        expect_change(events, "registered", "starting", "")
        expect_change(events, "check failed", "failing", "refused")
        expect_change(events, "removed by its check", "gone", f"connection refused: 127.0.0.1:{port}")
        wait_for(lambda: post_range(muster), [])


# ---- losses


def post_range(muster):
    """What a client of etcd sees: the ids of the keys."""
    server = SimpleNamespace(port=muster.address().rsplit(":", 1)[1])
    prefix = "/muster/services/web/"
    answer = post(server, "kv/range", {"key": b64(prefix), "range_end": b64(prefix[:-1] + "0")})
    return [plain(kv["key"]).removeprefix(prefix) for kv in answer.get("kvs", [])]


LEASES = ("--set", "store.min_ttl=100ms", "--set", "catalog.hold=2s")


def after_a_mass_loss_who_listens_stays():
    """eureka#1247: what stops all at once is held; those who are dead still go."""
    with watched(*LEASES) as (muster, events), contextlib.ExitStack() as stack:
        alive = [stack.enter_context(listener()) for _ in range(3)]
        dead = [listener() for _ in range(2)]
        for number, server in enumerate([*alive, *dead]):
            register(muster, "web", str(number), f"127.0.0.1:{port_of(server)}", ttl_ms=1500)
        for server in dead:
            server.close()
        wait_for(lambda: post_range(muster), [])  # clients of keys see the keys
        wait_for(lambda: names(muster, "web"), ["0", "1", "2"])
        wait_for(lambda: sorted(entry for entry, kind in kinds(muster) if kind == "released"), ["3", "4"])
        tap.expect([instance(muster, name) for name in "012"], ["held"] * 3)
        why = [entry for entry in get(muster, "/api/v1/timeline?service=web&instance=3").json["entries"]][0]
        tap.expect((why["kind"], why["actor"], "connection refused" in why["evidence"]), ("released", "health", True))
        looks = muster.metric(GOOD_LOOKS) + 9
        wait_for(lambda: muster.metric(GOOD_LOOKS) >= looks, True)
        tap.expect(names(muster, "web"), ["0", "1", "2"])  # longer than catalog.hold: they are seen to live
        alive[0].close()
        wait_for(lambda: names(muster, "web"), ["1", "2"])
        register(muster, "web", "1", f"127.0.0.1:{port_of(alive[1])}", ttl_ms=60000)
        tap.expect(instance(muster, "1"), "up")
        tap.expect(post_range(muster), ["1"])


def one_that_dies_alone_goes_at_once():
    with watched(*LEASES) as (muster, events), listener() as server:
        for number in range(5):
            ttl_ms = 500 if number == 0 else 60000
            register(muster, "web", str(number), f"127.0.0.1:{port_of(server)}", ttl_ms=ttl_ms)
        while (change := events.until("change").data)["kind"] == "registered":
            continue
        tap.expect((change["kind"], change["instance"], change["after"]), ("expired", "0", None))


# ---- ourselves


def a_registry_that_was_stopped_fails_nobody():
    """consul#4742: a registry that stood still does not take its own silence for that of others."""
    with watched() as (muster, events), web_server() as server:
        check = {"type": "http", "target": "/health", "interval_ms": 200, "timeout_ms": 4000, "to_fail": 1}
        where = f"127.0.0.1:{server.server_address[1]}"
        for number in range(5):
            register(muster, "web", str(number), where, check=check)
        register(muster, "web", "ttl", where, check={"type": "ttl", "interval_ms": 4000})
        report = f"POST {instance_path('web', 'ttl')}/check HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        report += 'Content-Length: 16\r\n\r\n{"passing":true}'
        with muster.connect() as connection:
            tap.expect(ask(connection, report).status, 202)
            wait_for(lambda: {instance["status"] for instance in instances(muster)}, {"up"})
            muster.freeze()
            connection.sendall(report.encode())
            time.sleep(5)  # this is what is tested
            muster.signal(signal.SIGCONT)
            tap.expect(receive_answer(connection).status, 202)
            looks = muster.metric(GOOD_LOOKS) + 25
            wait_for(lambda: (ask(connection, report).status, muster.metric(GOOD_LOOKS) >= looks), (202, True))
        entries = get(muster, "/api/v1/timeline?service=web").json["entries"]
        tap.expect([entry for entry in entries if entry["kind"] not in ("registered", "check passed")], [])
        tap.expect(muster.metric('muster_health_looks_total{result="bad"}'), 0)


def instances(muster):
    return get(muster, "/api/v1/services/web").json["instances"]


CASES = (
    an_http_check,
    a_tcp_check,
    a_grpc_check,
    a_muster_checks_another_one,
    who_does_not_speak_the_protocol_fails,
    a_ttl_check,
    who_fails_for_too_long_is_removed,
    after_a_mass_loss_who_listens_stays,
    one_that_dies_alone_goes_at_once,
    a_registry_that_was_stopped_fails_nobody,
)

if __name__ == "__main__":
    sys.exit(tap.main(tap.titled(CASES)))
