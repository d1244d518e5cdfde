#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""What people ask: drain and maintenance, the timeline, who was there when, who needs whom, and why."""

import signal
import sys
import time

from api_lib import Events, call, deregister, get, instance_path, names, register
from lib import Muster, tap, wait_for


def kinds(muster, query):
    return [entry["kind"] for entry in get(muster, f"/api/v1/timeline?{query}").json["entries"]]


def last_of(muster, name):
    """What happened last to the instance of web, if that is known yet: its kind, and who did it but for his port."""
    entries = get(muster, f"/api/v1/timeline?service=web&instance={name}&limit=1").json["entries"]
    return [(entry["kind"], entry["actor"].rpartition(":")[0]) for entry in entries]


def explain(muster, service, name):
    return get(muster, f"/api/v1/explain?service={service}&instance={name}").json


def orders_have_owner_reason_and_end_and_survive_a_restart():
    """consul#3268: maintenance with an end and an owner; drain as a status of its own."""
    with Muster() as muster:
        register(muster, "web", "one", ttl_ms=0)
        path = instance_path("web", "one")
        tap.expect(call(muster, "PUT", path + "/drain", {"reason": "new kernel", "for_ms": 3600000}).status, 200)
        tap.expect(call(muster, "PUT", path + "/maintenance", {"reason": "disk"}).status, 200)
        for _ in range(2):
            shown = get(muster, path).json
            tap.expect((shown["status"], shown["reasons"]), ("maintenance", ["maintenance", "draining"]))
            drain = shown["drain"]
            tap.expect((drain["reason"], drain["owner"].startswith("rest 127.0.0.1:")), ("new kernel", True))
            tap.expect(drain["until_ms"] - drain["since_ms"], 3600000)
            tap.expect("until_ms" in shown["maintenance"], False)
            tap.expect((names(muster, "web"), names(muster, "web", "?offered=true")), (["one"], []))
            muster.signal(signal.SIGKILL)
            muster.end()
            muster.start_again()
        deregister(muster, "web", "one")
        register(muster, "web", "one")
        tap.expect(get(muster, path).json["reasons"], ["maintenance", "draining"])
        for order in ("drain", "maintenance"):
            tap.expect(call(muster, "DELETE", f"{path}/{order}").status, 200)
        tap.expect((get(muster, path).json["status"], names(muster, "web", "?offered=true")), ("up", ["one"]))


def an_order_ends_by_itself():
    with Muster() as muster, Events(muster) as events:
        events.until("synced")
        register(muster, "web", "one")
        call(muster, "PUT", instance_path("web", "one") + "/drain", {"for_ms": 200})
        told = [events.until("change").data for _ in range(3)]
        tap.expect([change["kind"] for change in told], ["registered", "draining", "drain ended"])
        tap.expect(told[2]["wall_ms"] >= told[1]["after"]["drain"]["until_ms"], True)


def a_whole_service_is_drained():
    with Muster() as muster:
        for name in ("one", "two"):
            register(muster, "web", name)
        tap.expect(call(muster, "PUT", "/api/v1/services/web/drain", {"reason": "move"}).status, 200)
        wait_for(lambda: names(muster, "web", "?offered=true"), [])
        register(muster, "web", "three")
        tap.expect(get(muster, instance_path("web", "three")).json["status"], "draining")
        tap.expect(call(muster, "DELETE", "/api/v1/services/web/drain").status, 200)
        wait_for(lambda: names(muster, "web", "?offered=true"), ["one", "three", "two"])


def bad_orders_are_refused():
    with Muster() as muster:
        register(muster, "web", "one")
        path = instance_path("web", "one") + "/drain"
        for body in ({"for_ms": 1, "until_ms": 2}, {"until_ms": 5}, {"for_ms": 0}, {"reason": 1}, {"reson": "x"}):
            tap.expect(call(muster, "PUT", path, body).status, 400)
        tap.expect(call(muster, "PUT", instance_path("web", "no") + "/drain").status, 404)
        tap.expect(call(muster, "PUT", "/api/v1/services/no/maintenance").status, 404)


def the_timeline_says_who_and_why():
    """consul#1489: no service is deregistered for no apparent reason."""
    with Muster("--set", "store.min_ttl=100ms") as muster:
        register(muster, "db", "one", ttl_ms=0)
        register(muster, "web", "one", ttl_ms=200)
        wait_for(lambda: kinds(muster, "service=web"), ["expired", "registered"])
        entry = get(muster, "/api/v1/timeline?service=web&instance=one&limit=1").json["entries"][0]
        tap.expect((entry["kind"], entry["service"], entry["instance"]), ("expired", "web", "one"))
        tap.expect(entry["silence_ms"] >= 200, True)
        tap.expect(kinds(muster, "limit=2"), ["expired", "registered"])
        tap.expect(kinds(muster, f"since_ms={entry['wall_ms'] + 1}"), [])
        tap.expect(get(muster, "/api/v1/timeline?instance=one").status, 400)
        muster.signal(signal.SIGTERM)
        muster.end()
        muster.start_again()
        tap.expect(kinds(muster, "service=web"), ["expired", "registered"])


def who_was_there_then():
    with Muster() as muster:
        first = register(muster, "web", "one", "10.0.0.1:80")["revision"]
        second = register(muster, "web", "two", "10.0.0.2:80")["revision"]
        deregister(muster, "web", "one")
        wait_for(lambda: len(kinds(muster, "service=web")), 3)
        entries = get(muster, "/api/v1/timeline?service=web").json["entries"]
        at = lambda moment: get(muster, f"/api/v1/services/web?at={moment}")  # noqa: E731
        there = lambda moment: [(i["id"], i["address"]) for i in at(moment).json["instances"]]  # noqa: E731
        tap.expect(there(f"r{first}"), [("one", "10.0.0.1:80")])
        tap.expect(there(f"r{second}"), [("one", "10.0.0.1:80"), ("two", "10.0.0.2:80")])
        tap.expect(there(f"r{entries[0]['revision']}"), [("two", "10.0.0.2:80")])
        now = time.time()
        tap.expect([name for name, _ in there(int(now * 1000) + 1000)], ["two"])
        tap.expect([name for name, _ in there(time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(now + 2)))], ["two"])
        forgotten = at("2001-01-01T00:00:00Z")
        tap.expect((forgotten.status, forgotten.json["type"]), (410, "/problems/forgotten"))
        tap.expect(forgotten.json["oldest_ms"], entries[-1]["wall_ms"])
        for moment in ("r99", "r0", "yesterday", "2026-13-01T00:00:00Z", ""):
            tap.expect(at(moment).status, 400)


def the_timeline_survives_a_crash():
    """consul#1489: what a crash keeps from the timeline is found out at the start."""
    with Muster("--set", "store.min_ttl=100ms") as muster:
        began_ms = int(time.time() * 1000)
        for name in ("stays", "goes"):
            register(muster, "web", name)
        wait_for(lambda: len(kinds(muster, "service=web")), 2)
        registered_ms = time.time() * 1000
        deregister(muster, "web", "goes")
        muster.start_again(signal.SIGKILL)
        wait_for(lambda: last_of(muster, "goes"), [("deregistered", "rest 127.0.0.1")])
        register(muster, "web", "goes")
        muster.start_again(signal.SIGKILL)
        wait_for(lambda: [kind for kind, _ in last_of(muster, "goes")], ["registered"])
        tap.expect(kinds(muster, "service=web&instance=stays"), ["registered"])
        again = get(muster, instance_path("web", "stays")).json
        tap.expect(began_ms <= again["registered_ms"] <= registered_ms, True)

        for name in ("one", "two", "three"):
            register(muster, "batch", name, ttl_ms=200)
        wait_for(lambda: explain(muster, "batch", "one")["because"][-1]["step"], "held")
        muster.start_again(signal.SIGTERM)
        wait_for(lambda: kinds(muster, "service=batch&instance=one")[:2], ["released", "held"])


def the_graph_shows_needs_and_circles():
    with Muster() as muster:
        register(muster, "a", "1", needs=["b", "log"])
        register(muster, "a", "2", needs=["b"])
        register(muster, "b", "1", needs=["c"])
        register(muster, "c", "1", needs=["a"])
        register(muster, "self", "1", needs=["self"])
        register(muster, "d", "1", needs=["a"])
        graph = get(muster, "/api/v1/graph").json
        known = [(service["name"], service["instances"]) for service in graph["services"] if service["known"]]
        tap.expect(known, [("a", 2), ("b", 1), ("c", 1), ("d", 1), ("self", 1)])
        tap.expect([service["name"] for service in graph["services"] if not service["known"]], ["log"])
        edges = [(edge["from"], edge["to"]) for edge in graph["edges"]]
        tap.expect(edges, [("a", "b"), ("a", "log"), ("b", "c"), ("c", "a"), ("d", "a"), ("self", "self")])
        tap.expect(graph["cycles"], [["a", "b", "c"], ["self"]])


def why_it_is_or_is_not_in_the_answer():
    """consul#1489: nobody has to read a debug log to find out why."""
    with Muster("--set", "store.min_ttl=100ms", "--set", "catalog.loss_min=2") as muster:
        register(muster, "web", "up")
        register(muster, "web", "drained")
        call(muster, "PUT", instance_path("web", "drained") + "/drain", {"reason": "new kernel"})
        register(muster, "web", "failing", check={"type": "ttl", "interval_ms": 60000})
        call(muster, "POST", instance_path("web", "failing") + "/check", {"passing": False, "output": "no disk"})
        register(muster, "batch", "kept", ttl_ms=0)
        for name in ("lost-1", "lost-2", "lost-3"):
            register(muster, "batch", name, ttl_ms=200)
        wait_for(lambda: explain(muster, "batch", "lost-3")["in_answer"], False)
        told = explain(muster, "web", "up")
        tap.expect((told["in_answer"], told["because"][-1]["verdict"]), (True, "yes"))
        told = explain(muster, "web", "drained")
        last = told["because"][-1]
        tap.expect((told["in_answer"], last["step"], last["verdict"]), (False, "draining", "no"))
        tap.expect(("new kernel" in last["why"], "rest 127.0.0.1" in last["why"]), (True, True))
        because = lambda: [step["why"] for step in explain(muster, "web", "failing")["because"]]  # noqa: E731
        wait_for(lambda: "its check fails: no disk" in because(), True)
        told = explain(muster, "batch", "lost-3")
        tap.expect((told["because"][-1]["step"], told["because"][-1]["verdict"]), ("held", "last_resort"))
        told = explain(muster, "web", "never")
        tap.expect((told["in_answer"], told["because"][-1]["step"]), (False, "registered"))
        deregister(muster, "web", "up")
        wait_for(lambda: "deregistered by rest" in explain(muster, "web", "up")["because"][-1]["why"], True)
        tap.expect(explain(muster, "nope", "x")["because"][0]["verdict"], "no")
        tap.expect(get(muster, "/api/v1/explain?service=web").status, 400)


CASES = (
    orders_have_owner_reason_and_end_and_survive_a_restart,
    an_order_ends_by_itself,
    a_whole_service_is_drained,
    bad_orders_are_refused,
    the_timeline_says_who_and_why,
    who_was_there_then,
    the_timeline_survives_a_crash,
    the_graph_shows_needs_and_circles,
    why_it_is_or_is_not_in_the_answer,
)

if __name__ == "__main__":
    sys.exit(tap.main(tap.titled(CASES)))
