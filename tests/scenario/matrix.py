#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Who registers by one protocol is found by every other one, as the same instance with the same history.

Each way of registering is a case. All observers are there before it: etcd's range and watch, the header registry, a
program of the hub that requires the service, REST and its stream of events, Prometheus.
"""

import base64
import contextlib
import http.client
import json
import sys
import types

from api_lib import Events, address, call, get, instance_path, quote, register
from hub import Dependant
from lib import SECONDS, Muster, tap, wait_for
from srpc import request as srpc_request
from srpc import servers


def b64(text):
    return base64.b64encode(text.encode()).decode()


def text_of(b64_text):
    return base64.b64decode(b64_text).decode()


def etcd(muster, path, **request):
    answer = call(muster, "POST", f"/v3/{path}", request)
    tap.expect(answer.status, 200)
    return answer.json


def put(muster, key, value, lease=0):
    etcd(muster, "kv/put", key=b64(key), value=b64(value), lease=lease)


def grant(muster):
    return int(etcd(muster, "lease/grant", TTL="60")["ID"])


def delete(muster, key):
    tap.expect(etcd(muster, "kv/deleterange", key=b64(key))["deleted"], "1")


def all_pairs(muster):
    """Every key with its value, as etcd's clients see them."""
    found = etcd(muster, "kv/range", key=b64("\0"), range_end=b64("\0"))
    return {text_of(pair["key"]): text_of(pair.get("value", "")) for pair in found.get("kvs", [])}


class Watch:
    """A watch of all keys by etcd's JSON."""

    def __init__(self, muster):
        self.connection = http.client.HTTPConnection(*address(muster), timeout=SECONDS)
        create = {"create_request": {"key": b64("\0"), "range_end": b64("\0")}}
        self.connection.request("POST", "/v3/watch", json.dumps(create))
        self.answer = self.connection.getresponse()
        tap.expect(json.loads(self.answer.readline())["result"]["created"], True)
        self.events = []

    def next(self):
        """Type and key of the next event."""
        while not self.events:
            self.events = json.loads(self.answer.readline())["result"].get("events", [])
        event = self.events.pop(0)
        return event.get("type", "PUT"), text_of(event["kv"]["key"])

    def close(self):
        self.connection.close()


# ---------------------------------------------------------------------------------------------------- registering
#
# Each gives service, id, address in full, host and port, the key, the protocol in the timeline, and how it ends.


def by_native_key(muster):
    key = "/muster/services/native/n1"
    put(muster, key, json.dumps({"address": "http@10.0.0.1:8001"}), grant(muster))
    return "native", "n1", "http@10.0.0.1:8001", "10.0.0.1:8001", key, "etcd", lambda: delete(muster, key)


def by_foreign_key(muster):
    put(muster, "server/001", "127.0.0.1:1212", grant(muster))
    end = lambda: delete(muster, "server/001")  # noqa: E731
    return "server", "001", "tcp@127.0.0.1:1212", "127.0.0.1:1212", "server/001", "etcd", end


def by_naming(muster):
    key = "naming/10.0.0.3:8003"
    put(muster, key, json.dumps({"Op": 0, "Addr": "10.0.0.3:8003", "Metadata": None}), grant(muster))
    return "naming", "10.0.0.3:8003", "tcp@10.0.0.3:8003", "10.0.0.3:8003", key, "etcd", lambda: delete(muster, key)


def by_header(muster):
    name = "tcp@10.0.0.4:8004"
    tap.expect(srpc_request(muster, "POST", "/srpc/registry/header", Srpc_Servers=name).status, 200)
    end = lambda: tap.expect(call(muster, "DELETE", instance_path("header", name)).status, 200)  # noqa: E731
    return "header", name, name, "10.0.0.4:8004", f"/muster/services/header/{name}", "srpc", end


def by_hub(muster):
    program = Dependant(muster, "hubbed")  # it answers heartbeats
    tap.expect(program.register(), {})
    name = program.object["Addr"]

    def end():
        program.deregister()
        program.close()

    return "hubbed", name, f"http@{name}", name, f"/muster/services/hubbed/{name}", "hub", end


def by_rest(muster):
    register(muster, "rested", "r 1/a", "http@10.0.0.6:8006")
    end = lambda: tap.expect(call(muster, "DELETE", instance_path("rested", "r 1/a")).status, 200)  # noqa: E731
    return "rested", "r 1/a", "http@10.0.0.6:8006", "10.0.0.6:8006", "/muster/services/rested/r 1%2Fa", "rest", end


# ---------------------------------------------------------------------------------------------------- discovering


def targets(muster, service):
    """Prometheus' targets with the instances that they are."""
    groups = get(muster, f"/sd/prometheus?service={quote(service)}").json
    return [(*group["targets"], group["labels"]["__meta_muster_instance"]) for group in groups]


def kinds(muster, who):
    """The instance's history, the oldest entry first: what happened, and by which protocol."""
    query = f"/api/v1/timeline?service={quote(who.service)}&instance={quote(who.name)}"
    entries = get(muster, query).json["entries"]
    found = [(entry["kind"], entry["actor"].split(" ")[0]) for entry in reversed(entries)]
    return [pair for pair in found if pair[0] != "check passed"]  # of the hub's heartbeat


def expect_there(muster, who):
    shown = lambda: get(muster, instance_path(who.service, who.name)).json  # noqa: E731
    wait_for(lambda: (shown()["status"], shown()["offered"]), ("up", True))
    shown = shown()
    tap.expect((shown["service"], shown["id"]), (who.service, who.name))
    tap.expect(f"{shown['host']}:{shown['port']}", who.target)
    tap.expect(list(all_pairs(muster)).count(who.key), 1)
    tap.expect(who.target in all_pairs(muster)[who.key], True)
    tap.expect(servers(muster, f"/srpc/registry/{quote(who.service)}"), who.address)
    tap.expect(targets(muster, who.service), [(who.target, who.name)])
    wait_for(lambda: kinds(muster, who), [("registered", who.protocol)])


def expect_gone(muster, who):
    tap.expect(call(muster, "GET", instance_path(who.service, who.name)).status, 404)
    tap.expect(who.key in all_pairs(muster), False)
    tap.expect(servers(muster, f"/srpc/registry/{quote(who.service)}"), "")
    tap.expect(targets(muster, who.service), [])
    wait_for(lambda: [kind for kind, _ in kinds(muster, who)], ["registered", "deregistered"])


def expect_change(events, who, kind):
    change = events.until("change", kind).data
    tap.expect((change["service"], change["instance"]), (who.service, who.name))


def found_by_all(service, registers):
    with contextlib.ExitStack() as stack:
        muster = stack.enter_context(Muster())
        dependant = Dependant(muster, "dependant", [service])
        stack.callback(dependant.close)
        tap.expect(dependant.register(), {service: []})
        watch = Watch(muster)
        stack.callback(watch.close)
        events = stack.enter_context(Events(muster, f"/api/v1/watch?service={service}"))
        events.until("synced")

        names = ("service", "name", "address", "target", "key", "protocol", "end")
        who = types.SimpleNamespace(**dict(zip(names, registers(muster))))
        as_told = types.SimpleNamespace(object={"Name": service, "Addr": who.target})
        expect_change(events, who, "registered")
        tap.expect(watch.next(), ("PUT", who.key))
        dependant.expect_told(("POST", as_told))
        tap.expect([(found["Name"], found["Addr"]) for found in dependant.register()[service]], [(service, who.target)])
        expect_there(muster, who)

        who.end()
        expect_change(events, who, "deregistered")
        tap.expect(watch.next(), ("DELETE", who.key))
        dependant.expect_told(("DELETE", as_told))
        expect_gone(muster, who)


WAYS = {
    "native": by_native_key,
    "server": by_foreign_key,
    "naming": by_naming,
    "header": by_header,
    "hubbed": by_hub,
    "rested": by_rest,
}


def case(service, registers):
    words = f"registered {registers.__name__.replace('_', ' ')}, found by all"
    return words, lambda: found_by_all(service, registers)


if __name__ == "__main__":
    sys.exit(tap.main([case(service, registers) for service, registers in WAYS.items()]))
