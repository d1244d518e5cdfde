#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The hub as its clients know it: they post, are answered, and are told."""

import contextlib
import http.server
import json
import queue
import socket
import signal
import sys
import threading
import types

from api_lib import get, instance_path, register
from lib import SECONDS, Muster, ask, free_port, tap, wait_for


class Dependant:
    """A program of the hub: it listens, remembers what it is told, and answers heartbeats while it is well."""

    def __init__(self, muster, name, required=None, listens=True):
        self.muster = muster
        self.told = queue.Queue()
        self.is_well = True
        self.gate = threading.Event()  # notices are answered while it is set
        self.gate.set()
        self.server = None
        self.port = free_port()
        if listens:
            self.listen()
        self.object = {"Name": name, "Addr": f"127.0.0.1:{self.port}", "RequiredServices": required or []}

    def listen(self):
        dependant = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status):
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def notice(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                dependant.told.put((self.command, self.path, body["Name"], body["Addr"]))
                dependant.gate.wait(SECONDS)
                self.answer(200)

            do_POST = do_DELETE = notice

            def do_GET(self):
                dependant.told_beat = self.path
                self.answer(200 if dependant.is_well else 500)

            def log_message(self, *words):
                pass

        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def close(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def register(self):
        """What it is answered."""
        answer = request(self.muster, "POST", json.dumps(self.object))
        tap.expect(answer.status, 200)
        return json.loads(answer.body)

    def deregister(self):
        tap.expect(request(self.muster, "DELETE", json.dumps(self.object)).status, 200)

    def expect_told(self, *expected):
        """Exactly these notices, in this order: (method, whom about)."""
        for method, other in expected:
            notice = self.told.get(timeout=SECONDS)
            tap.expect(notice, (method, "/services", other.object["Name"], other.object["Addr"]))

    def expect_silence(self, messenger):
        """Nothing was told before what the messenger causes: notices come in order."""
        messenger.register()
        self.expect_told(("POST", messenger))
        tap.expect(self.told.empty(), True)


def request(muster, method, body):
    with muster.connect() as connection:
        head = f"{method} /services HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
        return ask(connection, head + body)


@contextlib.contextmanager
def programs(muster, *descriptions):
    made = [Dependant(muster, *description) for description in descriptions]
    try:
        yield made
    finally:
        for program in made:
            program.gate.set()
            program.close()


def answers_have_what_is_required():
    with Muster() as muster, programs(muster, ("log",), ("log",), ("web", ["log", "db"])) as (log1, log2, web):
        tap.expect(log1.register(), {})
        log2.register()
        logs = sorted((log1.object, log2.object), key=lambda o: o["Addr"])
        tap.expect(web.register(), {"log": logs, "db": []})
        tap.expect(web.register(), {"log": logs, "db": []})


def changes_are_told_to_those_who_require_them():
    with Muster() as muster, programs(
        muster, ("log",), ("web", ["log"]), ("cron", ["log", "web"]), ("alone",)
    ) as (log, web, cron, alone):
        for program in web, cron, alone, log:
            program.register()
        web.expect_told(("POST", log))
        cron.expect_told(("POST", log))
        log.deregister()
        log.register()
        web.expect_told(("DELETE", log), ("POST", log))
        cron.expect_told(("DELETE", log), ("POST", log))
        tap.expect(alone.told.empty(), True)


def the_same_again_tells_nobody():
    with Muster() as muster, programs(muster, ("log",), ("log",), ("web", ["log"])) as (log, messenger, web):
        log.register()
        web.register()
        log.register()
        web.register()
        web.expect_silence(messenger)


def its_own_name_is_told_once():
    with Muster() as muster, programs(muster, ("peer", ["peer"]), ("peer", ["peer"])) as (first, second):
        tap.expect(first.register(), {"peer": []})
        first.expect_told(("POST", first))
        tap.expect(second.register(), {"peer": [first.object]})
        first.expect_told(("POST", second))
        second.expect_told(("POST", second))
        second.deregister()
        first.expect_told(("DELETE", second))


def they_register_before_they_listen():
    with Muster() as muster:
        web = Dependant(muster, "web", ["log"], listens=False)
        with programs(muster, ("log",), ("log",)) as (log1, log2):
            web.register()
            log1.register()
            log2.register()
            web.listen()
            try:
                web.expect_told(("POST", log1), ("POST", log2))
            finally:
                web.close()


def an_unsure_notice_leaves_one_entry():
    with Muster() as muster, programs(muster, ("log",), ("log",)) as (log, messenger):
        with socket.create_server(("127.0.0.1", 0)) as listener:
            address = f"127.0.0.1:{listener.getsockname()[1]}"
            web = {"Name": "web", "Addr": address, "RequiredServices": ["log"]}
            tap.expect(request(muster, "POST", json.dumps(web)).status, 200)
            log.register()
            methods = []
            while methods[-4:] != ["POST", "DELETE", "DELETE", "POST"]:
                connection = listener.accept()[0]
                connection.settimeout(SECONDS)
                with connection:
                    text = connection.recv(65536)
                    method = text.split(b" ", 1)[0].decode()
                    while method != "GET" and not text.endswith(b"}"):
                        text += connection.recv(65536)
                    if method != "GET":
                        methods.append(method)
                    if method == "GET" or methods != ["POST"]:  # the first is taken without an answer
                        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            tap.expect(methods, ["POST", "DELETE", "DELETE", "POST"])


def what_is_required_may_change():
    with Muster() as muster, programs(muster, ("log",), ("web", ["log", "log"])) as (log, web):
        answer = request(muster, "POST", json.dumps(web.object))
        tap.expect(answer.body, b'{"log":[]}')
        for required in ["db"], ["log"]:
            web.object["RequiredServices"] = required
            tap.expect(web.register(), {required[0]: []})
        log.register()
        web.expect_told(("POST", log))
        log.deregister()
        web.expect_told(("DELETE", log))


def another_address_is_told():
    with Muster() as muster, programs(muster, ("web", ["db"])) as (web,):
        web.register()
        before, after = (types.SimpleNamespace(object={"Name": "db", "Addr": f"10.0.0.{n}:5432"}) for n in (1, 2))
        register(muster, "db", "one", before.object["Addr"])
        web.expect_told(("POST", before))
        register(muster, "db", "one", after.object["Addr"])
        web.expect_told(("DELETE", before), ("POST", after))
        tap.expect([found["Addr"] for found in web.register()["db"]], [after.object["Addr"]])


def answers_have_the_object_that_was_posted_last():
    with Muster() as muster, programs(muster, ("log",), ("log",), ("web", ["log"])) as (log, messenger, web):
        log.register()
        web.register()
        log.object["RequiredServices"] = ["db"]
        log.register()
        tap.expect(web.register(), {"log": [log.object]})
        web.expect_silence(messenger)


def an_address_without_a_host_is_where_it_was_posted():
    with Muster() as muster, programs(muster, ("log",), ("web", ["log"])) as (log, web):
        web.object["Addr"] = f":{web.port}"
        web.register()
        log.object["Addr"] = f"[::]:{log.port}"
        log.register()
        web.expect_told(("POST", log))
        shown = get(muster, instance_path("web", web.object["Addr"])).json
        tap.expect((shown["address"], shown["host"], shown["port"]), (web.object["Addr"], "127.0.0.1", web.port))
        register(muster, "log", "rest", "http@10.0.0.9:80")
        web.expect_told(("POST", types.SimpleNamespace(object={"Name": "log", "Addr": "10.0.0.9:80"})))
        tap.expect([found["Addr"] for found in web.register()["log"]], [log.object["Addr"], "10.0.0.9:80"])
        web.object["Addr"] = "10.0.0.8"
        web.register()
        shown = get(muster, instance_path("web", "10.0.0.8")).json
        tap.expect((shown["host"], shown["port"]), ("10.0.0.8", 80))


def a_slow_one_delays_nobody():
    with Muster() as muster, programs(muster, ("log",), ("slow", ["log"]), ("quick", ["log"])) as (log, slow, quick):
        slow.register()
        quick.register()
        slow.gate.clear()
        log.register()
        for _ in range(8):
            log.deregister()
            log.register()
        quick.expect_told(("POST", log), *[("DELETE", log), ("POST", log)] * 8)
        slow.expect_told(("POST", log))
        tap.expect(slow.told.empty(), True)  # one at a time: it has not answered the first
        slow.gate.set()
        slow.expect_told(*[("DELETE", log), ("POST", log)] * 8)


def a_failing_heartbeat_removes():
    with Muster("--set", "hub.beat_interval=100ms", "--set", "hub.beat_gap=50ms") as muster, programs(
        muster, ("log",), ("web", ["log"])
    ) as (log, web):
        web.register()
        log.register()
        web.expect_told(("POST", log))
        log.is_well = False
        web.expect_told(("DELETE", log))
        tap.expect(log.told_beat, "/heart-beat")
        log.is_well = True
        tap.expect(web.register(), {"log": []})


def a_dead_program_is_removed():
    with Muster("--set", "hub.beat_interval=100ms", "--set", "hub.beat_gap=50ms") as muster, programs(
        muster, ("log",), ("web", ["log"])
    ) as (log, web):
        web.register()
        log.register()
        web.expect_told(("POST", log))
        log.close()
        web.expect_told(("DELETE", log))


def registrations_survive_a_restart():
    with Muster() as muster, programs(muster, ("log",), ("log",), ("web", ["log"])) as (log1, log2, web):
        log1.register()
        web.register()
        muster.start_again(signal.SIGKILL)
        log2.register()
        web.expect_told(("POST", log2))
        log1.deregister()
        web.expect_told(("DELETE", log1))


def bad_requests_get_400_with_words():
    with Muster() as muster:
        for body, words in (
            ("{", b"line 1"),
            ("[]", b"object"),
            ('{"Addr":"127.0.0.1:1"}', b'"Name" is missing'),
            ('{"Name":"a"}', b'"Addr" is missing'),
            ('{"Name":7,"Addr":"127.0.0.1:1"}', b'"Name" must be'),
            ('{"Name":"a","Addr":"127.0.0.1:1","RequiredServices":"b"}', b'"RequiredServices" must be'),
            ('{"Name":"a","Addr":"127.0.0.1:1","RequiredServices":[""]}', b"not empty"),
        ):
            for method in "POST", "DELETE":
                answer = request(muster, method, body)
                tap.expect((answer.status, words in answer.body), (400, True))
        tap.expect(request(muster, "PUT", "{}").status, 405)


def null_and_other_cases_are_taken():
    with Muster() as muster:
        answer = request(muster, "POST", '{"name":"a","ADDR":"127.0.0.1:1","requiredservices":null,"Extra":1}')
        tap.expect((answer.status, answer.body), (200, b"{}"))
        wait_for(lambda: muster.get("/srpc/registry/a").headers["srpc-servers"], "http@127.0.0.1:1")


CASES = [
    ("answers have what is required", answers_have_what_is_required),
    ("changes are told to those who require them", changes_are_told_to_those_who_require_them),
    ("the same again tells nobody", the_same_again_tells_nobody),
    ("its own name is told once", its_own_name_is_told_once),
    ("they register before they listen", they_register_before_they_listen),
    ("an unsure notice leaves one entry", an_unsure_notice_leaves_one_entry),
    ("what is required may change, and may be said twice", what_is_required_may_change),
    ("another address of an instance is told", another_address_is_told),
    ("answers have the object that was posted last", answers_have_the_object_that_was_posted_last),
    ("an address without a host is where it was posted", an_address_without_a_host_is_where_it_was_posted),
    ("a slow one delays nobody", a_slow_one_delays_nobody),
    ("a failing heartbeat removes", a_failing_heartbeat_removes),
    ("a dead program is removed", a_dead_program_is_removed),
    ("registrations survive a restart", registrations_survive_a_restart),
    ("bad requests get 400 with words", bad_requests_get_400_with_words),
    ("null and other cases are taken", null_and_other_cases_are_taken),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
