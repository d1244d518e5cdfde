#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""REST: services and instances, registering, renewing, expiry, deregistering; what is refused, and how."""

import http.client
import json
import subprocess
import sys

from api_lib import Events, address, call, deregister, get, instance_path, names, register
from lib import SECONDS, Muster, ask, tap, wait_for


def problem(answer, status, kind="about:blank"):
    tap.expect((answer.status, answer.kind, answer.json["type"]), (status, "application/problem+json", kind))
    tap.expect(answer.json["status"], status)
    return answer.json


def a_registration_lives_and_goes():
    with Muster() as muster:
        record = {"address": "http@10.0.0.7:8080", "tags": ["v2"], "needs": ["db"], "metadata": {"a": "b"}, "zone": "z"}
        new = call(muster, "PUT", instance_path("web", "one"), record)
        tap.expect((new.status, new.json["was_new"], new.json["ttl_ms"]), (201, True, 30000))
        again = call(muster, "PUT", instance_path("web", "one"), record)
        tap.expect((again.status, again.json["was_new"], again.json["revision"]), (200, False, new.json["revision"]))
        shown = get(muster, instance_path("web", "one")).json
        tap.expect({name: shown[name] for name in record}, record)
        tap.expect((shown["host"], shown["port"], shown["protocol"], shown["weight"]), ("10.0.0.7", 8080, "http", 1))
        tap.expect((shown["status"], shown["reasons"], shown["offered"], shown["origin"]), ("up", [], True, "rest"))
        changed = call(muster, "PUT", instance_path("web", "one"), {**record, "weight": 5})
        tap.expect((changed.status, changed.json["was_new"]), (200, False))
        after = get(muster, instance_path("web", "one")).json
        tap.expect((after["weight"], after["incarnation"]), (5, shown["incarnation"]))
        renewed = call(muster, "POST", instance_path("web", "one") + "/renew")
        tap.expect((renewed.status, renewed.json["ttl_ms"]), (200, 30000))
        tap.expect(deregister(muster, "web", "one").status, 200)
        problem(get(muster, instance_path("web", "one")), 404, "/problems/unknown-instance")
        problem(deregister(muster, "web", "one"), 404, "/problems/unknown-instance")
        problem(call(muster, "POST", instance_path("web", "one") + "/renew"), 404, "/problems/unknown-instance")
        empty = get(muster, "/api/v1/services/web")
        tap.expect((empty.status, empty.json["instances"]), (200, []))
        problem(get(muster, "/api/v1/services/never"), 404, "/problems/unknown-service")


def names_may_have_any_character():
    with Muster() as muster:
        for service, name in (("a/b", "x/y"), ("ü b", "tcp@[::1]:80"), ("%2F", "a%b?c")):
            register(muster, service, name)
            shown = get(muster, instance_path(service, name)).json
            tap.expect((shown["service"], shown["id"]), (service, name))


def the_list_comes_in_pages():
    with Muster() as muster:
        every = sorted(f"service-{number:03}" for number in range(150))
        for name in every:
            register(muster, name, "one", ttl_ms=0)
        listed, after = [], ""
        while True:
            page = get(muster, f"/api/v1/services?prefix=service-&limit=40&after={after}").json
            listed += [service["name"] for service in page["services"]]
            tap.expect({(service["instances"], service["offered"]) for service in page["services"]}, {(1, 1)})
            if "next" not in page:
                break
            after = page["next"]
        tap.expect(listed, every)


def curl_is_enough():
    with Muster() as muster:
        url = "http://%s:%d" % address(muster)
        words = ["curl", "-sS", "-m", "10", "-X", "PUT", "--json", '{"address": "10.1.2.3:80"}']
        words.append(url + "/api/v1/services/web/instances/one")
        done = subprocess.run(words, capture_output=True, timeout=SECONDS)
        tap.expect(json.loads(done.stdout)["was_new"], True)
        tap.expect(names(muster, "web"), ["one"])


def a_large_service_is_poured_out():
    with Muster() as muster:
        for number in range(400):
            register(muster, "web", f"{number:04}", metadata={"text": "x" * 1000}, ttl_ms=0)
        tap.expect(names(muster, "web"), [f"{number:04}" for number in range(400)])
        head = call(muster, "HEAD", "/api/v1/services/web")
        tap.expect((head.status, head.text), (200, ""))


def what_is_wrong_is_named():
    with Muster() as muster:
        path = instance_path("web", "one")
        answer = call(muster, "PUT", path, {"address": "10.0.0.7:80", "wieght": 3})
        told = problem(answer, 400, "/problems/unknown-member")
        tap.expect("weight" in told["detail"] and "weight" in told["expected"], True)
        told = problem(get(muster, "/api/v1/services?prefx=a"), 400, "/problems/unknown-parameter")
        tap.expect(('did you mean "prefix"?' in told["detail"], told["expected"]), (True, ["prefix", "after", "limit"]))
        told = problem(call(muster, "PUT", path, {"address": "nowhere"}), 400, "/problems/bad-record")
        tap.expect("HOST:PORT" in told["detail"], True)
        tap.expect(call(muster, "PUT", path, {}).status, 400)
        for members in ({"ttl_ms": -1}, {"ttl_ms": "1s"}, {"session": "s"}, {"hold": 1}, {"hold": True, "ttl_ms": 0}):
            tap.expect(call(muster, "PUT", path, {"address": "a:1", **members}).status, 400)
        for body in ("[]", "{", '{"address": 1}', '{"address":"a:1"} x', '{"a":1,"a":2}', "\xff"):
            answer = call(muster, "PUT", path, body, {"Content-Type": "application/json"})
            tap.expect((answer.status, answer.kind), (400, "application/problem+json"))
        problem(call(muster, "PUT", path, "address=a", {"Content-Type": "application/x-www-form-urlencoded"}), 415)
        problem(call(muster, "PUT", path, "{" + " " * 70000 + "}", {"Content-Type": "application/json"}), 413)
        problem(call(muster, "PUT", instance_path("s" * 300, "one"), {"address": "a:1"}), 400)
        told = problem(call(muster, "PATCH", path, "{}"), 405)
        tap.expect(told["expected"], ["GET", "HEAD", "PUT", "DELETE"])
        answer = call(muster, "HEAD", "/api/v1/watch")
        tap.expect((answer.status, answer.headers["allow"]), (405, "GET"))
        for missing in ("", "nope", "services/", "services/a/", "services//instances/b", "services/%zz"):
            problem(get(muster, "/api/v1/" + missing), 404, "/problems/unknown-path")
        for query in ("limit=0", "limit=x", "limit=5000", "limit=1&limit=2", "prefix=%zz"):
            problem(get(muster, f"/api/v1/services?{query}"), 400)


def who_does_not_renew_expires_with_a_reason():
    """etcd#5487: a watcher must be able to tell a crash from a clean exit."""
    with Muster("--set", "store.min_ttl=100ms") as muster, Events(muster) as events:
        events.until("synced")
        register(muster, "web", "crashed", ttl_ms=300)
        register(muster, "web", "clean", ttl_ms=60000)
        deregister(muster, "web", "clean")
        gone = {}
        while len(gone) < 2:
            change = events.until("change").data
            if change["after"] is None:
                gone[change["instance"]] = change
        kinds = {name: change["kind"] for name, change in gone.items()}
        tap.expect(kinds, {"crashed": "expired", "clean": "deregistered"})
        tap.expect(gone["crashed"]["silence_ms"] >= 300, True)
        tap.expect(gone["clean"]["actor"].startswith("rest 127.0.0.1:"), True)


def a_heartbeat_keeps_it():
    with Muster("--set", "store.min_ttl=100ms") as muster, Events(muster) as events:
        events.until("synced")
        register(muster, "web", "kept", ttl_ms=4000)
        register(muster, "web", "witness", ttl_ms=4000)
        beat = lambda: call(muster, "POST", instance_path("web", "kept") + "/renew").status  # noqa: E731
        wait_for(lambda: (beat(), len(names(muster, "web")))[1], 1)
        tap.expect((names(muster, "web"), beat()), (["kept"], 200))


def what_another_protocol_registered_is_here():
    with Muster() as muster:
        with muster.connect() as connection:
            ask(connection, "POST /srpc/registry HTTP/1.1\r\nHost: x\r\nSrpc-servers: tcp@127.0.0.1:9000\r\n\r\n")
        shown = get(muster, instance_path("srpc", "tcp@127.0.0.1:9000")).json
        tap.expect((shown["origin"], shown["protocol"], shown["port"]), ("srpc", "tcp", 9000))
        tap.expect(deregister(muster, "srpc", "tcp@127.0.0.1:9000").status, 200)


def who_listens_everywhere_is_found_where_it_registered_from():
    with Muster() as muster:
        for name, wanted in (("tcp@[::]:9000", "127.0.0.1"), ("0.0.0.0:9000", "127.0.0.1"), ("tcp@h:9000", "h")):
            register(muster, "web", name, name)
            shown = get(muster, instance_path("web", name)).json
            tap.expect((shown["address"], shown["host"], shown["port"]), (name, wanted, 9000))
        with muster.connect() as connection:
            ask(connection, "POST /srpc/registry HTTP/1.1\r\nHost: x\r\nSrpc-servers: tcp@[::]:9000\r\n\r\n")
        tap.expect(get(muster, instance_path("srpc", "tcp@[::]:9000")).json["host"], "127.0.0.1")


def two_who_write_by_turns_are_a_conflict():
    """Each of them with a connection of its own for each registration, as clients have it."""
    with Muster() as muster:
        for host, source in enumerate(["127.0.0.1", "127.0.0.2"] * 2):
            connection = http.client.HTTPConnection(*address(muster), timeout=SECONDS, source_address=(source, 0))
            body = json.dumps({"address": f"10.0.0.{host % 2}:80"})
            connection.request("PUT", instance_path("web", "one"), body, {"Content-Type": "application/json"})
            tap.expect(connection.getresponse().status in (200, 201), True)
            connection.close()
        kinds = lambda: [e["kind"] for e in get(muster, "/api/v1/timeline?service=web").json["entries"]]  # noqa: E731
        wait_for(kinds, ["conflict", "conflict", "replaced", "registered"])


def a_ttl_check_is_told_by_its_owner():
    with Muster() as muster:
        check = {"type": "ttl", "interval_ms": 60000}
        register(muster, "web", "one", check=check)
        register(muster, "web", "two")
        path = instance_path("web", "one") + "/check"
        status = lambda: get(muster, instance_path("web", "one")).json["status"]  # noqa: E731
        tap.expect(status(), "starting")
        tap.expect(call(muster, "POST", path, {"passing": True}).status, 202)
        wait_for(status, "up")
        tap.expect(call(muster, "POST", path, {"passing": False, "output": "disk is full"}).status, 202)
        wait_for(status, "failing")
        explained = lambda: get(muster, "/api/v1/explain?service=web&instance=one").text  # noqa: E731
        wait_for(lambda: "its check fails: disk is full" in explained(), True)
        problem(call(muster, "POST", instance_path("web", "two") + "/check", {"passing": True}), 409)
        problem(call(muster, "POST", path, {"output": "x"}), 400)
        problem(call(muster, "POST", instance_path("web", "no") + "/check", {"passing": True}), 404,
                "/problems/unknown-instance")


CASES = (
    a_registration_lives_and_goes,
    names_may_have_any_character,
    the_list_comes_in_pages,
    curl_is_enough,
    a_large_service_is_poured_out,
    what_is_wrong_is_named,
    who_does_not_renew_expires_with_a_reason,
    a_heartbeat_keeps_it,
    what_another_protocol_registered_is_here,
    who_listens_everywhere_is_found_where_it_registered_from,
    two_who_write_by_turns_are_a_conflict,
    a_ttl_check_is_told_by_its_owner,
)

if __name__ == "__main__":
    sys.exit(tap.main(tap.titled(CASES)))
