#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""What can be seen of the gateway's work: metrics, why a request went where it went, what is under way, logs, edges."""

import json
import os
import re
import signal
import ssl
import subprocess
import sys

from api_lib import deregister, get
from gateway_lib import CLOSE, Gateway, Instance, log_line, log_lines
from lib import folder, make_certificate, run, start, tap, wait_for

HEAD = "HTTP/1.1\r\nHost: a\r\n"


def labels(service, **more):
    return ",".join(f'{name}="{value}"' for name, value in {"service": service, **more}.items())


def answers(gateway, service):
    """How many answers of the 2xx class, without those of the test's own look whether it is there."""
    return gateway.metric("muster_gateway_requests_total{" + labels(service, code="2xx") + "}")


def metrics_tell_of_services_and_instances():
    with Gateway() as gateway, Instance(gateway) as instance:
        service, before = instance.service, answers(gateway, instance.service)
        for _ in range(5):
            tap.expect(gateway.ask(f"GET {instance.path} {HEAD}\r\n").status, 200)
        gateway.settle(service)
        tap.expect(answers(gateway, service), before + 5)
        both = labels(service, instance=instance.name)
        tap.expect(gateway.metric("muster_gateway_instance_answers_total{" + labels(
            service, instance=instance.name, code="2xx") + "}"), before + 5)
        tap.expect(gateway.metric("muster_gateway_instance_connections_opened_total{" + both) >= 1, True)
        tap.expect(gateway.metric("muster_gateway_first_byte_seconds_count{" + labels(service)), before + 5)
        tap.expect(gateway.ask(f"GET /nobody/x {HEAD}\r\n").status, 404)
        gateway.wait_for_count('muster_gateway_unrouted_total{cause="NO_ROUTE"}', 1)


def what_a_service_counted_stays_when_its_instances_go():
    with Gateway() as gateway, Instance(gateway) as first, Instance(gateway, service=first.service) as second:
        for _ in range(10):
            tap.expect(gateway.ask(f"GET {first.path} {HEAD}\r\n").status, 200)
        gateway.settle(first.service)
        before = answers(gateway, first.service)
        deregister(gateway, first.service, first.name)
        gone = 'muster_gateway_instance_in_flight{' + labels(first.service, instance=first.name)
        tap.expect(gateway.ask(f"GET {second.path} {HEAD}\r\n").status, 200)
        gateway.settle(first.service)
        gateway.wait_for_metric(gone, None)
        tap.expect(answers(gateway, first.service) >= before + 1, True)


def why_a_request_failed_is_counted():
    with Gateway() as gateway, Instance(gateway, answer=lambda *_: CLOSE) as instance:
        tap.expect(gateway.ask(f"POST {instance.path} {HEAD}Content-Length: 1\r\n\r\nx").status, 502)
        lines = [
            "failed_total{" + labels(instance.service, cause="TERMINATED"),
            "requests_total{" + labels(instance.service, code="5xx"),
            "instance_answers_total{" + labels(instance.service, instance=instance.name, code="none"),
        ]
        gateway.settle(instance.service)
        for line in lines:
            tap.expect(gateway.metric(f"muster_gateway_{line}}}"), 1)
        told = get(gateway, "/api/v1/traffic").json["services"][0]
        tap.expect((told["errors"], told["instances"][0]["errors"]), (1, 1))


# ---------------------------------------------------------------------------------------------------- why, top, graph


def command(gateway, *words):
    return run(*words, "--address", f"http://{gateway.address()}")


def as_json(gateway, *words):
    done = command(gateway, *words, "--output", "json")
    tap.expect(done.err, "")
    return json.loads(done.out)


def why_tells_where_a_request_went():
    with Gateway() as gateway, Instance(gateway) as first, Instance(gateway, service=first.service) as second:
        answer = gateway.ask(f"GET {first.path}q?x=1 {HEAD}\r\n")
        gateway.settle(first.service)
        names = {first.name, second.name}
        told = as_json(gateway, "why", answer.one("x-request-id"))
        tap.expect([told[name] for name in ("method", "target", "service", "status", "attempts", "client")],
                   ["GET", f"{first.path}q?x=1", first.service, 200, 1, "127.0.0.1"])
        steps = {step["step"]: step for step in told["because"]}
        tap.expect(steps[told["instance"]]["verdict"], "taken")
        tap.expect(names >= {step["step"] for step in told["because"]} - {"attempt", "answer"}, True)
        tap.expect((steps["attempt"]["verdict"], steps["answer"]["verdict"]), ("answered", "200"))
        text = command(gateway, "why", answer.one("x-request-id")).out
        tap.expect(("on a new connection" in text or "on a connection that had been idle" in text), True)


def why_tells_which_instance_failed():
    with Gateway("--set", "gateway.retry=none") as gateway, Instance(gateway, answer=lambda *_: CLOSE) as instance:
        answer = gateway.ask(f"POST {instance.path} {HEAD}Content-Length: 1\r\n\r\nx")
        tap.expect(answer.status, 502)
        gateway.settle(instance.service)
        for words in (["--status", "502"], ["--status", "5xx", "--last", "5m"], ["--status", "5xx", "--limit", "1"]):
            listed = as_json(gateway, "why", instance.service, *words)["requests"]
            tap.expect([(one["id"], one["cause"], one["instance"]) for one in listed],
                       [(answer.one("x-request-id"), "TERMINATED", instance.name)])
        tap.expect(command(gateway, "why", instance.service, "--status", "404").code, 1)
        text = command(gateway, "why", answer.one("x-request-id")).out
        tap.expect("the instance closed the connection before it answered" in text, True)
        tap.expect("the instance may have seen the request" in text, True)


def what_is_not_remembered_is_told():
    with Gateway("--set", "gateway.records=0") as gateway, Instance(gateway) as instance:
        answer = gateway.ask(f"GET {instance.path} {HEAD}\r\n")
        done = command(gateway, "why", answer.one("x-request-id"))
        tap.expect((done.code, "is remembered" in done.err), (1, True))
        tap.expect(command(gateway, "why", "a/b", "--last", "5m").code, 2)


def top_shows_services_and_instances():
    with Gateway() as gateway, Instance(gateway) as instance, gateway.dial() as client:
        def rows_under_load():
            begun = start("top", "--once", "--output", "json", "--interval", "1s", "--address",
                          f"http://{gateway.address()}", stdout=subprocess.PIPE)
            while begun.poll() is None:
                client.send(f"GET {instance.path} {HEAD}\r\n")
                tap.expect(client.answer().status, 200)
            with begun.stdout:
                return json.loads(begun.stdout.read())["traffic"]

        rows = rows_under_load()
        while not all(row["requests_s"] > 0 for row in rows):  # this machine had no time for us
            rows = rows_under_load()
        tap.expect([(row["service"], row["instance"], row["state"]) for row in rows],
                   [(instance.service, "", ""), (instance.service, instance.name, "well")])
        for row in rows:
            tap.expect((row["p99_us"] >= row["p50_us"] > 0, row["errors_s"]), (True, 0))


def the_graph_shows_who_calls():
    with Gateway() as gateway, Instance(gateway) as instance:
        tap.expect(gateway.ask(f"GET {instance.path} {HEAD}\r\n").status, 200)
        gateway.settle(instance.service)
        call, = as_json(gateway, "graph")["calls"]
        tap.expect((call["from"], call["kind"], call["calls"]), ("127.0.0.1", "address", instance.service))
        tap.expect((call["requests"] >= 1, call["per_minute"] >= 1, call["errors"]), (True, True, 0))
        tap.expect(f'"127.0.0.1" -> "{instance.service}" [style=dotted' in command(gateway, "graph", "--dot").out, True)


def a_caller_is_known_by_its_certificate():
    with folder() as place:
        ca = make_certificate(place, "ca")
        server, robot = (make_certificate(place, name, ca="ca") for name in ("server", "robot"))
        settings = [f"gateway.tls.cert={server[0]}", f"gateway.tls.key={server[1]}", f"gateway.tls.ca={ca[0]}",
                    "gateway.tls.client_auth=optional", "gateway.tls.plain=true"]
        with Gateway(*[word for setting in settings for word in ("--set", setting)]) as gateway:
            with Instance(gateway) as instance:
                context = ssl.create_default_context(cafile=ca[0])
                context.check_hostname = False
                context.load_cert_chain(*robot)
                with gateway.connect("gateway") as plain, context.wrap_socket(plain) as connection:
                    connection.sendall(f"GET {instance.path} {HEAD}\r\n".encode())
                    connection.recv(65536)
                gateway.settle(instance.service)
                calls = as_json(gateway, "graph")["calls"]
                seen = [call["calls"] for call in calls if (call["from"], call["kind"]) == ("robot", "certificate")]
                tap.expect(seen, [instance.service])


# ---------------------------------------------------------------------------------------------------- the access log

COMBINED = re.compile(r'(\S+) - (\S+) \[(\d\d/\w{3}/\d{4}:\d\d:\d\d:\d\d \+0000)\] "((?:[^"\\]|\\x..)*)" (\d+) (\d+) '
                      r'"((?:[^"\\]|\\x..)*)" "((?:[^"\\]|\\x..)*)"')


def to_file(path, kind):
    return ["--set", f"gateway.access_log={kind}", "--set", f"gateway.access_log_file={path}"]


def the_combined_log_has_a_line_for_each_request():
    with folder() as place:
        path = place / "access.log"
        with Gateway(*to_file(path, "combined")) as gateway:
            tap.expect(gateway.ask(f"GET /nobody/x?a=1 {HEAD}Referer: http://a/\r\nUser-Agent: me\r\n\r\n").status, 404)
            line = COMBINED.fullmatch(log_lines(path)[0])
            tap.expect(line.group(1, 2, 4, 5, 7, 8),
                       ("127.0.0.1", "-", "GET /nobody/x?a=1 HTTP/1.1", "404", "http://a/", "me"))


def the_json_log_says_where_it_went():
    with folder() as place:
        path = place / "access.log"
        with Gateway(*to_file(path, "json")) as gateway, Instance(gateway) as instance:
            tap.expect(gateway.ask(f"POST {instance.path}q {HEAD}Content-Length: 3\r\n\r\nabc").status, 200)
            line = json.loads(log_line(path, '"POST"'))
            tap.expect([line[name] for name in ("client", "method", "host", "target", "http", "status")],
                       ["127.0.0.1", "POST", "a", f"{instance.path}q", "1.1", 200])
            tap.expect([line[name] for name in ("received_bytes", "sent_bytes", "attempts", "service", "instance")],
                       [3, 2, 1, instance.service, instance.name])


def the_json_log_says_which_instance_failed():
    with folder() as place:
        path = place / "access.log"
        with Gateway(*to_file(path, "json")) as gateway, Instance(gateway, answer=lambda *_: CLOSE) as instance:
            tap.expect(gateway.ask(f"POST {instance.path} {HEAD}Content-Length: 1\r\n\r\nx").status, 502)
            line = json.loads(log_line(path, '"POST"'))
            tap.expect([line[name] for name in ("status", "cause", "instance")], [502, "TERMINATED", instance.name])


def the_log_says_how_much_of_an_answer_came():
    """However it was to be passed on: a large one goes from socket to socket."""
    def answer(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + bytes(300000))
        return CLOSE

    with folder() as place:
        path = place / "access.log"
        with Gateway(*to_file(path, "json")) as gateway, Instance(gateway, answer=answer) as instance:
            with gateway.dial() as client:
                client.send(f"GET {instance.path}large {HEAD}\r\n")
                client.ends()
            line = json.loads(log_line(path, "large"))
            tap.expect((line["status"], line["sent_bytes"]), (200, 300000))


def no_client_writes_a_line_of_his_own():
    with folder() as place:
        for kind in ("combined", "json"):
            path = place / kind
            with Gateway(*to_file(path, kind)) as gateway, gateway.dial() as client:
                agent = b'a"b\\c\x80\xff\te'
                client.send(b'GET /nobody/%22x HTTP/1.1\r\nHost: a\r\nUser-Agent: ' + agent + b"\r\n\r\n")
                tap.expect(client.answer().status, 404)
                line, = log_lines(path)
                if kind == "combined":
                    tap.expect(COMBINED.fullmatch(line).group(8), r"a\x22b\x5cc\x80\xff\x09e")
                else:
                    tap.expect(json.loads(line)["user_agent"], 'a"b\\c\ufffd\ufffd\te')


def sighup_opens_the_log_anew():
    with folder() as place:
        path, old = place / "access.log", place / "access.log.1"
        with Gateway(*to_file(path, "combined")) as gateway:
            gateway.ask(f"GET /first {HEAD}\r\n")
            log_lines(path)
            path.rename(old)
            gateway.signal(signal.SIGHUP)
            gateway.wait_for_log("configuration reloaded")
            gateway.ask(f"GET /second {HEAD}\r\n")
            tap.expect(["/second" in line for line in log_lines(path)], [True])
            tap.expect(["/first" in line for line in log_lines(old)], [True])


def a_pipe_that_nobody_reads_costs_lines_and_no_request():
    with folder() as place:
        path = place / "pipe"
        os.mkfifo(path)
        reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        with Gateway(*to_file(path, "combined")) as gateway, gateway.dial() as client:
            for _ in range(600):  # much more than the pipe and the lane can hold
                client.send(f"GET /{'x' * 4000} {HEAD}\r\n")
                tap.expect(client.answer().status, 404)
            gateway.wait_for_count("muster_gateway_access_log_dropped_total", 1)
        os.close(reader)


def a_log_that_cannot_be_opened_is_told_at_once():
    with folder() as place:
        done = run("serve", "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--data", str(place),
                   *to_file("/nowhere/x", "json"))
    tap.expect((done.code != 0, "/nowhere/x" in done.err), (True, True))


CASES = [
    ("metrics tell of services and instances", metrics_tell_of_services_and_instances),
    ("what a service counted stays when its instances go", what_a_service_counted_stays_when_its_instances_go),
    ("why a request failed is counted", why_a_request_failed_is_counted),
    ("why tells where a request went", why_tells_where_a_request_went),
    ("why tells which instance failed, and how", why_tells_which_instance_failed),
    ("what is not remembered is told", what_is_not_remembered_is_told),
    ("top shows services and instances", top_shows_services_and_instances),
    ("the graph shows who calls", the_graph_shows_who_calls),
    ("a caller is known by its certificate", a_caller_is_known_by_its_certificate),
    ("the combined log has a line for each request", the_combined_log_has_a_line_for_each_request),
    ("the JSON log says where it went", the_json_log_says_where_it_went),
    ("the JSON log says which instance failed", the_json_log_says_which_instance_failed),
    ("the log says how much of an answer came", the_log_says_how_much_of_an_answer_came),
    ("no client writes a line of his own", no_client_writes_a_line_of_his_own),
    ("SIGHUP opens the log anew", sighup_opens_the_log_anew),
    ("a pipe that nobody reads costs lines, and no request", a_pipe_that_nobody_reads_costs_lines_and_no_request),
    ("a log that cannot be opened is told at once", a_log_that_cannot_be_opened_is_told_at_once),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
