#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""REST is no way around etcd's auth; and with client certificates, whoever registered an instance owns it."""

import base64
import json
import subprocess
import sys

from api_lib import call, instance_path
from lib import SECONDS, Muster, folder, make_certificate, tap, wait_for


def b64(text):
    return base64.b64encode(text.encode()).decode()


def etcd(muster, path, **body):
    answer = call(muster, "POST", f"/v3/auth/{path}", body)
    tap.expect((path, answer.status), (path, 200))
    return answer.json


def token(muster, name, password):
    return {"Authorization": etcd(muster, "authenticate", name=name, password=password)["token"]}


def enable(muster):
    """root, and alice, who may read the service web and write the service mine."""
    etcd(muster, "user/add", name="root", password="r00t")
    etcd(muster, "role/add", name="root")
    etcd(muster, "user/grant", user="root", role="root")
    etcd(muster, "user/add", name="alice", password="secret")
    etcd(muster, "role/add", name="dev")
    for service, kind in (("web", "READ"), ("mine", "READWRITE")):
        begin = f"/muster/services/{service}/"
        perm = {"permType": kind, "key": b64(begin), "range_end": b64(begin[:-1] + "0")}
        etcd(muster, "role/grant", name="dev", perm=perm)
    etcd(muster, "user/grant", user="alice", role="dev")
    etcd(muster, "enable")


# What reads and what writes the service web, and what is about all services.
READS = ("/api/v1/services/web", "/api/v1/services/web?at=r1", instance_path("web", "one"), "/api/v1/wait?service=web",
         "/api/v1/timeline?service=web", "/api/v1/explain?service=web&instance=one", "/sd/prometheus?service=web")
ALL = ("/api/v1/services", "/api/v1/services?prefix=web", "/api/v1/timeline", "/api/v1/graph", "/sd/prometheus",
       "/api/v1/watch", "/api/v1/watch?prefix=web", "/api/v1/watch?service=web&service=db")
WRITES = (("PUT", ""), ("DELETE", ""), ("POST", "/renew"), ("POST", "/check"), ("PUT", "/drain"), ("DELETE", "/drain"),
          ("PUT", "/maintenance"), ("DELETE", "/maintenance"))


def nothing_is_shown_or_changed_without_leave():
    with Muster("--set", "auth.bcrypt_cost=4") as muster:
        call(muster, "PUT", instance_path("web", "one"), {"address": "a:1", "ttl_ms": 0})
        enable(muster)
        alice, root = token(muster, "alice", "secret"), token(muster, "root", "r00t")
        for path in (*READS, *ALL):
            for headers, status in ((None, 401), ({"Authorization": "x"}, 401)):
                answer = call(muster, "GET", path, headers=headers)
                tap.expect((path, answer.status, answer.kind), (path, status, "application/problem+json"))
        for path in READS:
            tap.expect((path, call(muster, "GET", path, headers=alice).status in (200, 410)), (path, True))
        for path in ALL:
            tap.expect((path, call(muster, "GET", path, headers=alice).status), (path, 403))
        places = [(method, instance_path("web", "one") + rest) for method, rest in WRITES]
        places += [(method, "/api/v1/services/web" + rest) for method, rest in WRITES[4:]]
        for method, path in places:
            tap.expect((path, call(muster, method, path).status), (path, 401))
            tap.expect((path, call(muster, method, path, headers=alice).status), (path, 403))
        mine = call(muster, "PUT", instance_path("mine", "one"), {"address": "a:1"}, alice)
        gone = call(muster, "DELETE", instance_path("mine", "one"), headers=alice)
        tap.expect((mine.status, gone.status), (201, 200))
        actor = actor_of("mine", lambda query: call(muster, "GET", query, headers=root).json)
        tap.expect((actor.split(" ")[0], actor.split(" as ")[1]), ("rest", "alice"))
        posted = call(muster, "POST", "/services", {"Name": "posted", "Addr": "127.0.0.1:1"}, root)
        tap.expect(posted.status, 200)
        actor = actor_of("posted", lambda query: call(muster, "GET", query, headers=root).json)
        tap.expect((actor.split(" ")[0], actor.split(" as ")[1]), ("hub", "root"))
        tap.expect(call(muster, "GET", "/api/v1/graph", headers=root).status, 200)
        tap.expect(call(muster, "DELETE", instance_path("web", "one"), headers=root).status, 200)


def actor_of(service, get):
    """Who made the last entry of the service's timeline, once there is one."""
    query = f"/api/v1/timeline?service={service}&limit=1"
    wait_for(lambda: len(get(query)["entries"]), 1)
    return get(query)["entries"][0]["actor"]


def owners():
    with folder() as place:
        ca, _ = make_certificate(place, "ca")
        cert, key = make_certificate(place, "server", ca="ca")
        for name in ("alice", "mallory"):
            make_certificate(place, name, ca="ca")
        settings = (f"tls.cert={cert}", f"tls.key={key}", f"tls.ca={ca}", "tls.client_auth=optional")
        with Muster(*(word for setting in settings for word in ("--set", setting))) as muster:

            def ask(name, method, path, body=None, protocol="rest", header="X: y"):
                """What REST answers; other protocols refuse in words."""
                words = ["curl", "-sS", "-m", "10", "--cacert", str(ca), "-X", method]
                words += ["--cert", f"{place / name}.crt", "--key", f"{place / name}.key"] if name else []
                words += ["--json", json.dumps(body)] if body else []
                words += ["-H", header]
                words.append(f"https://{muster.address()}{path}")
                done = subprocess.run(words, capture_output=True, timeout=SECONDS)
                if protocol == "rest":
                    return json.loads(done.stdout)
                tap.expect((protocol, done.stdout), (protocol, b"the instance belongs to somebody else\n"))
                return None

            path = instance_path("web", "one")
            record = {"address": "a:1", "check": {"type": "ttl", "interval_ms": 60000}}
            tap.expect(ask("alice", "PUT", path, record)["was_new"], True)
            tap.expect(ask("mallory", "GET", path)["owner"], "alice")
            tap.expect(actor_of("web", lambda query: ask(None, "GET", query)).split(" as ")[1], "alice")
            for name in ("mallory", None):
                for method, rest, body in OTHERS:
                    told = ask(name, method, path + rest, body)
                    tap.expect((method, rest, told["status"], told["type"]),
                               (method, rest, 403, "/problems/not-owner"))
            for method in ("PUT", "DELETE"):
                told = ask("mallory", method, "/api/v1/services/web/drain")
                tap.expect((method, told["status"], told["type"]), (method, 403, "/problems/not-owner"))
            ask("alice", "PUT", path + "/drain", {"reason": "mine"})
            tap.expect(ask("mallory", "GET", path)["drain"]["owner"], "alice")
            tap.expect("revision" in ask("alice", "DELETE", path), True)
            other_protocols_keep_off(ask)


def other_protocols_keep_off(ask):
    """The names by which the hub and the header registry know what alice owns."""
    path = instance_path("web", "tcp@a:1")
    ask("alice", "PUT", path, {"address": "tcp@a:1"})
    ask(None, "POST", "/services", {"Name": "web", "Addr": "tcp@a:1"}, "hub")
    ask(None, "DELETE", "/services", {"Name": "web", "Addr": "tcp@a:1"}, "hub")
    ask(None, "POST", "/srpc/registry/web", None, "srpc", "Srpc-Servers: tcp@a:1")
    shown = ask("alice", "GET", path)
    tap.expect((shown["owner"], shown["origin"]), ("alice", "rest"))


# What nobody but its owner may do to an instance.
OTHERS = (
    ("PUT", "", {"address": "b:1"}),
    ("DELETE", "", None),
    ("POST", "/renew", None),
    ("POST", "/check", {"passing": True}),
    ("PUT", "/drain", {"reason": "x"}),
    ("DELETE", "/drain", None),
    ("PUT", "/maintenance", {"reason": "x"}),
    ("DELETE", "/maintenance", None),
)

CASES = (nothing_is_shown_or_changed_without_leave, owners)

if __name__ == "__main__":
    sys.exit(tap.main([(case.__name__.replace("_", " "), case) for case in CASES]))
