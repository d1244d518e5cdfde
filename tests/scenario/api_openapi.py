#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""docs/openapi.yaml against the server, in both directions.

What is documented: every path, method, parameter and member is asked for, every answer has the status, type and
members that are written there, and each status and event that is written there is seen. What is not: the server itself
lists its paths, methods, parameters and members when it refuses one that it does not have; the lists must be those of
the file.
"""

import re
import signal
import sys

from api_lib import Events, call, instance_path
from lib import ROOT, Muster, tap, wait_for

METHODS = ("get", "put", "post", "delete")
WEB = "/api/v1/services/web"
ONE = instance_path("web", "one")
TTL = {"type": "ttl", "interval_ms": 60000}


def load():
    try:
        import jsonschema
        import yaml
    except ImportError as missing:
        raise tap.Skip(f"python3-{missing.name} is not there") from missing
    return Contract(yaml.safe_load((ROOT / "docs/openapi.yaml").read_text()), jsonschema.Draft202012Validator)


class Contract:
    def __init__(self, document, validator):
        self.document, self.validator = document, validator
        self.seen = set()  # (path, method, status or event)

    def resolve(self, item):
        while "$ref" in item:
            found = self.document
            for name in item["$ref"].removeprefix("#/").split("/"):
                found = found[name]
            item = found
        return item

    def operations(self):
        for path, item in self.document["paths"].items():
            for method in METHODS:
                if method in item:
                    yield path, method, item[method]

    def find(self, target):
        """The documented path that a target is of."""
        for path in self.document["paths"]:
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), target.split("?")[0]):
                return path
        raise AssertionError(f"{target} is not documented")

    def check_value(self, value, schema, where):
        """The whole document is the schema's root, so that what it refers to is found."""
        errors = [error.message for error in self.validator({**self.document, **schema}).iter_errors(value)]
        if errors:
            raise AssertionError(f"{where}: {value!r}\n" + "\n".join(errors))

    def check_answer(self, method, target, answer):
        path = self.find(target)
        responses = self.document["paths"][path][method.lower()]["responses"]
        status = str(answer.status)
        response = self.resolve(responses[status] if status in responses else responses["default"])
        schema = response["content"][answer.kind]["schema"]
        self.check_value(answer.json, schema, f"{method} {target}: {status}")
        self.seen.add((path, method.lower(), status))
        return answer

    def check_event(self, method, target, event, status="200"):
        path = self.find(target)
        content = self.document["paths"][path][method.lower()]["responses"][status]["content"]
        self.check_value(event.data, content["text/event-stream"]["x-events"][event.event], event.event)
        self.seen |= {(path, method.lower(), event.event), (path, method.lower(), status)}

    def promises(self):
        """All that must be seen."""
        for path, method, operation in self.operations():
            for status, response in operation["responses"].items():
                if status != "default":
                    yield path, method, status
                for content in self.resolve(response)["content"].values():
                    for event in content.get("x-events", ()):
                        yield path, method, event

    def query_names(self, operation):
        every = [self.resolve(parameter) for parameter in operation.get("parameters", ())]
        return [parameter["name"] for parameter in every if parameter["in"] == "query"]

    def members(self, operation):
        if "requestBody" not in operation:
            return None
        schema = self.resolve(operation["requestBody"])["content"]["application/json"]["schema"]
        return list(self.resolve(schema)["properties"])


def fill(path):
    return path.replace("{service}", "web").replace("{instance}", "one")


def nothing_undocumented_is_answered():
    contract = load()
    with Muster() as muster:
        told = call(muster, "GET", "/api/v1/nope").json["expected"]
        tap.expect(sorted(told), sorted(contract.document["paths"]))
        for path, item in contract.document["paths"].items():
            documented = {method.upper() for method in METHODS if method in item}
            if "GET" in documented and "x-no-head" not in item["get"]:
                documented.add("HEAD")
            told = call(muster, "PATCH", fill(path))
            tap.expect((told.status, set(told.headers["allow"].split(", "))), (405, documented))


def parameters_and_members_are_those_documented():
    contract = load()
    with Muster() as muster:
        call(muster, "PUT", ONE, {"address": "a:1", "check": TTL})
        for path, method, operation in contract.operations():
            told = call(muster, method.upper(), fill(path) + "?no_such_parameter=1").json
            tap.expect((path, method, told["type"]), (path, method, "/problems/unknown-parameter"))
            tap.expect((path, sorted(told["expected"])), (path, sorted(contract.query_names(operation))))
            members = contract.members(operation)
            if members:
                told = call(muster, method.upper(), fill(path), {"no_such_member": 1}).json
                tap.expect((path, sorted(told["expected"])), (path, sorted(members)))


def every_member_of_a_registration_is_taken():
    contract = load()
    values = {"address": "http@10.0.0.1:80", "protocol": "h2", "host": "h", "port": 81, "weight": 2, "zone": "z"}
    values |= {"tags": ["a"], "needs": ["db"], "metadata": {"k": "v"}, "origin": "me", "hold": False, "ttl_ms": 60000}
    values["check"] = {"type": "http", "target": "/x", "interval_ms": 1000, "retry_ms": 500, "timeout_ms": 500,
                       "to_fail": 2, "to_pass": 2, "remove_after_ms": 5000}
    with Muster() as muster:
        schemas = contract.document["components"]["schemas"]
        tap.expect(set(schemas["Registration"]["properties"]) - set(values), {"grace_ms", "session"})
        tap.expect(set(schemas["Check"]["properties"]), set(values["check"]))
        contract.check_answer("PUT", ONE, call(muster, "PUT", ONE, values))
        shown = contract.check_answer("GET", ONE, call(muster, "GET", ONE)).json
        kept = {name: value for name, value in values.items() if name not in ("hold", "ttl_ms")}
        tap.expect({name: shown[name] for name in kept}, kept)


# What is asked in order: method, path, body. Their answers together are all that is documented.
REQUESTS = (
    ("GET", "/api/v1/services", None),
    ("GET", WEB, None),
    ("PUT", ONE, {"address": "http@10.0.0.7:80", "needs": ["db", "web"], "check": TTL}),
    ("PUT", ONE, {"address": "http@10.0.0.7:80", "needs": ["db", "web"], "check": TTL}),
    ("PUT", instance_path("web", "two"), {"address": "10.0.0.7:80", "tags": ["a"], "metadata": {"a b": "c"}}),
    ("PUT", ONE, {}),
    ("PUT", ONE, {"address": "x" * 70000}),
    ("GET", "/api/v1/services?limit=1&prefix=w&after=a", None),
    ("GET", "/api/v1/services?limit=0", None),
    ("GET", WEB, None),
    ("GET", WEB + "?offered=true", None),
    ("GET", WEB + "?offered=maybe", None),
    ("GET", WEB + "?at=r9999", None),
    ("GET", WEB + "?at=5", None),
    ("POST", ONE + "/check", {"passing": True, "output": "fine"}),
    ("POST", ONE + "/check", {"passing": 1}),
    ("POST", instance_path("web", "two") + "/check", {"passing": True}),
    ("POST", instance_path("web", "no") + "/check", {"passing": True}),
    ("POST", ONE + "/renew", None),
    ("POST", instance_path("web", "no") + "/renew", None),
    ("GET", instance_path("web", "no"), None),
    *((method, f"{place}/{order}", body)
      for place in (ONE, WEB) for order in ("drain", "maintenance")
      for method, body in (("PUT", {"reason": "r", "for_ms": 60000}), ("PUT", {"for_ms": 0}))),
    *(("PUT", f"{place}/{order}", None)
      for place in (instance_path("web", "no"), "/api/v1/services/no") for order in ("drain", "maintenance")),
    ("GET", ONE, None),
    ("GET", "/api/v1/explain?service=web&instance=one", None),
    ("GET", "/api/v1/explain", None),
    *(("DELETE", f"{place}/{order}", None) for place in (ONE, WEB) for order in ("drain", "maintenance")),
    ("GET", "/api/v1/graph", None),
    ("GET", "/api/v1/requests?service=web&status=5xx&since_ms=1&limit=5&id=x", None),
    ("GET", "/api/v1/requests?status=many", None),
    ("GET", "/api/v1/traffic?service=web", None),
    *(("GET", f"{place}/holders", None) for place in (ONE, WEB)),
    ("GET", "/sd/prometheus", None),
    ("GET", "/sd/prometheus?service=", None),
    ("GET", "/api/v1/wait?service=web&timeout_ms=20000", None),
    ("GET", "/api/v1/wait?service=db&timeout_ms=0", None),
    ("GET", "/api/v1/wait", None),
    ("GET", "/api/v1/watch?after=x", None),
    ("DELETE", ONE, None),
    ("DELETE", ONE, None),
    ("GET", "/api/v1/timeline?service=web", None),
    ("GET", "/api/v1/timeline?limit=0", None),
)


def ask_all(contract, muster):
    for method, target, body in REQUESTS:
        contract.check_answer(method, target, call(muster, method, target, body))
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    contract.check_answer("PUT", ONE, call(muster, "PUT", ONE, "a=b", form))
    contract.check_answer("GET", WEB, call(muster, "GET", WEB + "?at=9999999999999"))


def ask_the_gateway(contract, muster):
    """One request that an instance answers, here the server itself, and one that none does."""
    for service, address in (("itself", muster.address()), ("nobody", "127.0.0.1:1")):
        call(muster, "PUT", instance_path(service, "one"), {"address": f"http@{address}"})
        wait_for(lambda service=service: muster.get(f"/{service}/x", "gateway").status > 0 and call(
            muster, "GET", f"/api/v1/requests?service={service}").json["requests"] != [], True)
    for target in ("/api/v1/requests", "/api/v1/traffic", "/api/v1/graph"):
        contract.check_answer("GET", target, call(muster, "GET", target))


def watch_and_hold(contract, muster):
    with Events(muster, headers={"Last-Event-ID": "77777777"}) as events:
        for name in ("reset", "snapshot", "synced"):
            event = events.next()
            tap.expect(event.event, name)
            contract.check_event("GET", "/api/v1/watch", event)
        target = instance_path("web", "held")
        with Events(muster, target, "PUT", {"address": "a:1", "hold": True, "grace_ms": 0}) as held:
            contract.check_event("PUT", target, held.next(), str(held.status))
            contract.check_event("GET", "/api/v1/watch", events.next())
            call(muster, "DELETE", target)
            contract.check_event("PUT", target, held.next())
        contract.check_event("GET", "/api/v1/watch", events.next())


def everything_documented_is_answered_as_documented():
    contract = load()
    with Muster() as muster:
        ask_all(contract, muster)
        watch_and_hold(contract, muster)
        ask_the_gateway(contract, muster)
        tap.expect(sorted(set(contract.promises()) - contract.seen), [])
        muster.signal(signal.SIGTERM)
        tap.expect(muster.end(), 0)


def kinds_and_reasons_are_those_of_the_source():
    contract = load()
    schemas = contract.document["components"]["schemas"]
    kinds = re.findall(r'X\(\w+, \d+, "([^"]+)"\)', (ROOT / "src/catalog/timeline.h").read_text())
    tap.expect(schemas["Kind"]["enum"], kinds)
    reasons = re.findall(r'X\(\w+, "([^"]+)"\)', (ROOT / "src/catalog/instance.h").read_text())
    tap.expect(schemas["Status"]["enum"], [*reasons, "up"])
    sources = "".join(path.read_text() for path in (ROOT / "src/fronts/api").glob("*.c"))
    named = set(re.findall(r'"((?:unknown|bad|not|foreign)-[a-z]+|forgotten)"', sources))
    tap.expect(set(schemas["Problem"]["properties"]["type"]["enum"]),
               {"about:blank"} | {f"/problems/{name}" for name in named})


CASES = (
    nothing_undocumented_is_answered,
    parameters_and_members_are_those_documented,
    every_member_of_a_registration_is_taken,
    everything_documented_is_answered_as_documented,
    kinds_and_reasons_are_those_of_the_source,
)

if __name__ == "__main__":
    sys.exit(tap.main([(case.__name__.replace("_", " "), case) for case in CASES]))
