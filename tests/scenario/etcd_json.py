#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""etcd v3 as JSON over HTTP, with curl, against etcd and muster."""

import base64
import json
import subprocess
import sys

from etcd_curl import b64, curl, plain, post, refusal, stream, url
from etcd_lib import MusterServer, main, program
from lib import SECONDS, tap

MIB = 1024 * 1024


def put_get_delete(server):
    answer = post(server, "kv/put", {"key": b64("j/k"), "value": b64("one")})
    tap.expect(list(answer), ["header"])
    tap.expect(sorted(answer["header"]), ["cluster_id", "member_id", "raft_term", "revision"])
    tap.expect({type(value) for value in answer["header"].values()}, {str})
    answer = post(server, "kv/put", {"key": b64("j/k"), "value": b64("two"), "prev_kv": True})
    tap.expect(plain(answer["prev_kv"]["value"]), "one")
    answer = post(server, "kv/range", {"key": b64("j/k")})
    tap.expect(answer["count"], "1")
    pair = answer["kvs"][0]
    tap.expect(list(pair), ["key", "create_revision", "mod_revision", "version", "value"])
    tap.expect((plain(pair["key"]), plain(pair["value"]), pair["version"]), ("j/k", "two", "2"))
    tap.expect(int(pair["mod_revision"]) - int(pair["create_revision"]), 1)
    answer = post(server, "kv/deleterange", {"key": b64("j/k"), "prevKv": True})
    tap.expect((answer["deleted"], plain(answer["prev_kvs"][0]["value"])), ("1", "two"))
    tap.expect(list(post(server, "kv/range", {"key": b64("j/k")})), ["header"])


def names_and_numbers_both_ways(server):
    for name in ("a", "b", "c"):
        post(server, "kv/put", {"key": b64(f"nn/{name}"), "value": b64(name)})
    requests = (
        {"range_end": b64("nn0"), "sort_order": "DESCEND", "sort_target": "KEY", "limit": "2", "keys_only": True},
        {"rangeEnd": b64("nn0"), "sortOrder": 2, "sortTarget": 0, "limit": 2, "keysOnly": True, "unknown": {"x": 1}},
        {"rangeEnd": b64("nn0"), "sort_order": "DESCEND", "limit": 2, "keysOnly": True, "revision": None},
    )
    for request in requests:
        answer = post(server, "kv/range", {"key": b64("nn/"), **request})
        tap.expect([plain(pair["key"]) for pair in answer["kvs"]], ["nn/c", "nn/b"])
        tap.expect((answer["more"], answer["count"], "value" in answer["kvs"][0]), (True, "3", False))
    counted = post(server, "kv/range", {"key": b64("nn/"), "range_end": b64("nn0"), "count_only": True})
    tap.expect((counted["count"], "kvs" in counted, "more" in counted), ("3", False, False))


def transactions(server):
    key, value = b64("t/k"), b64("v")
    request = {
        "compare": [{"key": key, "target": "VERSION", "result": "EQUAL", "version": "0"}],
        "success": [{"requestPut": {"key": key, "value": value}}],
        "failure": [{"request_range": {"key": key}}, {"request_delete_range": {"key": key}}],
    }
    answer = post(server, "kv/txn", request)
    tap.expect(answer["succeeded"], True)
    tap.expect(answer["responses"], [{"response_put": {"header": {"revision": answer["header"]["revision"]}}}])
    answer = post(server, "kv/txn", request)
    tap.expect("succeeded" in answer, False)
    first, second = answer["responses"]
    tap.expect(plain(first["response_range"]["kvs"][0]["value"]), "v")
    tap.expect(second["response_delete_range"]["deleted"], "1")
    nested = {"success": [{"request_txn": {"success": [{"request_put": {"key": key, "value": value}}]}}]}
    answer = post(server, "kv/txn", nested)
    inner = answer["responses"][0]["response_txn"]
    tap.expect((inner["succeeded"], list(inner["responses"][0])), (True, ["response_put"]))


def compaction(server):
    revisions = [post(server, "kv/put", {"key": b64("c/k")})["header"]["revision"] for _ in range(2)]
    post(server, "kv/compaction", {"revision": revisions[1]})
    compacted = "etcdserver: mvcc: required revision has been compacted"
    tap.expect(refusal(server, "kv/compaction", {"revision": revisions[1]}), (400, 11, compacted))
    tap.expect(refusal(server, "kv/range", {"key": b64("c/k"), "revision": revisions[0]}), (400, 11, compacted))


def errors(server):
    for path, request, expected in (
        ("kv/put", {}, (400, 3, "etcdserver: key is not provided")),
        ("kv/range", "", (400, 3, "etcdserver: key is not provided")),
        ("kv/put", {"key": b64("e"), "lease": "77"}, (404, 5, "etcdserver: requested lease not found")),
        ("kv/range", {"key": b64("e"), "revision": "999999999"},
         (400, 11, "etcdserver: mvcc: required revision is a future revision")),
        ("lease/revoke", {"ID": "77"}, (404, 5, "etcdserver: requested lease not found")),
        ("lease/grant", {"TTL": "9000000001"}, (400, 11, "etcdserver: too large lease TTL")),
        ("kv/put", {"key": b64("e"), "value": base64.b64encode(bytes(1600 * 1024)).decode()},
         (400, 3, "etcdserver: request is too large")),
    ):
        tap.expect(refusal(server, path, request), expected)
    grant = post(server, "lease/grant", {"TTL": "60", "ID": "4711"})
    tap.expect(grant["ID"], "4711")
    status, *rest = refusal(server, "lease/grant", {"TTL": "60", "ID": "4711"})
    tap.expect(rest, [9, "etcdserver: lease already exists"])
    tap.expect(status in (400, 412), True)  # 412 of older gateways


def bad_json(server):
    for body in (
        *("{", "[]", "5", "{]", "nonsense", '{"key": "!"}', '{"key": 5}', '{"limit": "x"}', '{"limit": 1.5}'),
        *('{"limit": "9223372036854775808"}', '{"keys_only": "true"}', '{"sort_order": "UP"}'),
        '{"key": ' + "[" * 100000 + "]" * 100000 + "}",
    ):
        status, code, _ = refusal(server, "kv/range", body)
        tap.expect((body[:40], status, code), (body[:40], 400, 3))
    # The server goes on.
    post(server, "kv/range", {"key": b64("x")})


def what_follows_is_ignored(server):
    status, text = curl(url(server, "kv/range"), body=json.dumps({"key": b64("x")}) + " and more")
    tap.expect((status, list(json.loads(text))), (200, ["header"]))


def leases(server):
    granted = post(server, "lease/grant", {"TTL": "300"})
    tap.expect(granted["TTL"], "300")
    lease = granted["ID"]
    post(server, "kv/put", {"key": b64("l/k"), "lease": lease})
    tap.expect(post(server, "kv/range", {"key": b64("l/k")})["kvs"][0]["lease"], lease)
    for path in ("lease/timetolive", "kv/lease/timetolive"):
        left = post(server, path, {"ID": lease, "keys": True})
        tap.expect((left["ID"], left["grantedTTL"], left["keys"]), (lease, "300", [b64("l/k")]))
        tap.expect(240 <= int(left["TTL"]) <= 300, True)
    for path in ("lease/leases", "kv/lease/leases"):
        tap.expect({"ID": lease} in post(server, path, {})["leases"], True)
    with stream(server, "lease/keepalive", {"ID": lease}) as answers:
        answers = list(answers)  # it ends by itself
        tap.expect([(answer["ID"], answer["TTL"]) for answer in answers], [(lease, "300")])
    tap.expect(list(post(server, "kv/lease/revoke", {"ID": lease})), ["header"])
    tap.expect(post(server, "lease/timetolive", {"ID": lease})["TTL"], "-1")
    with stream(server, "lease/keepalive", {"ID": lease}) as answers:
        tap.expect(["TTL" in answer for answer in answers], [False])
    tap.expect("kvs" in post(server, "kv/range", {"key": b64("l/k")}), False)


def watches(server):
    first = post(server, "kv/put", {"key": b64("w/a"), "value": b64("1")})["header"]["revision"]
    create = {"key": b64("w/"), "range_end": b64("w0"), "startRevision": first, "prev_kv": True}
    with stream(server, "watch", {"create_request": create}) as answers:
        tap.expect(next(answers)["created"], True)
        event = next(answers)["events"][0]
        tap.expect((plain(event["kv"]["key"]), "type" in event, "prev_kv" in event), ("w/a", False, False))
        post(server, "kv/put", {"key": b64("w/a"), "value": b64("2")})
        event = next(answers)["events"][0]
        tap.expect((plain(event["kv"]["value"]), plain(event["prev_kv"]["value"])), ("2", "1"))
        last = post(server, "kv/deleterange", {"key": b64("w/a")})["header"]["revision"]
        answer = next(answers)
        tap.expect(answer["header"]["revision"], last)
        tap.expect(answer["events"][0]["type"], "DELETE")
        tap.expect(answer["events"][0]["kv"], {"key": b64("w/a"), "mod_revision": last})


def watch_filters(server):
    create = {"key": b64("wf"), "filters": ["NOPUT"], "watch_id": "7"}
    with stream(server, "watch", {"createRequest": create}) as answers:
        created = next(answers)
        tap.expect((created["created"], created["watch_id"]), (True, "7"))
        post(server, "kv/put", {"key": b64("wf"), "value": b64("1")})
        post(server, "kv/deleterange", {"key": b64("wf")})
        tap.expect([event["type"] for event in next(answers)["events"]], ["DELETE"])


def watch_compacted(server):
    revision = post(server, "kv/put", {"key": b64("wc")})["header"]["revision"]
    post(server, "kv/put", {"key": b64("wc")})
    current = post(server, "kv/put", {"key": b64("wc")})["header"]["revision"]
    post(server, "kv/compaction", {"revision": current})
    with stream(server, "watch", {"create_request": {"key": b64("wc"), "start_revision": revision}}) as answers:
        tap.expect(next(answers)["created"], True)
        answer = next(answers)
        tap.expect((answer["canceled"], answer["compact_revision"]), (True, current))


def cluster_and_maintenance(server):
    answer = post(server, "cluster/member/list", {})
    tap.expect([member["ID"] for member in answer["members"]], [answer["header"]["member_id"]])
    tap.expect([address.startswith("http://") for address in answer["members"][0]["clientURLs"]], [True])
    status = post(server, "maintenance/status", {})
    tap.expect(status["leader"], status["header"]["member_id"])
    tap.expect({type(status[name]) for name in ("version", "dbSize", "raftIndex", "raftTerm")}, {str})
    tap.expect("alarms" in post(server, "maintenance/alarm", {"action": "GET"}), False)
    post(server, "maintenance/defragment", {})
    tap.expect(type(post(server, "maintenance/hash", {})["hash"]), int)
    if isinstance(server, MusterServer):  # etcd has it since 3.5
        tap.expect(type(post(server, "maintenance/hashkv", {})["hash"]), int)


def large_values(server):
    value, longer = (base64.b64encode(b"x" * size).decode() for size in (MIB, 3 * MIB))
    status, _ = curl(url(server, "kv/put"), body=json.dumps({"key": b64("large"), "value": value}))
    tap.expect(status, 200)
    tap.expect(post(server, "kv/range", {"key": b64("large")})["kvs"][0]["value"] == value, True)
    status, code, _ = refusal(server, "kv/put", {"key": b64("large"), "value": longer})
    tap.expect((status, code), (429, 8))


def other_paths(server):
    tap.expect(curl(url(server, "nothing"), body="{}")[0], 404)
    tap.expect(curl(url(server, "kv/range"))[0], 405)
    post(server, "kv/put", {"key": b64("beta"), "value": b64("1")}, version="v3beta")
    tap.expect(plain(post(server, "kv/range", {"key": b64("beta")}, version="v3beta")["kvs"][0]["value"]), "1")


def one_connection(server):
    words = [url(server, "kv/range"), url(server, "kv/range"), "-w", "%{num_connects}\n", "-o", "/dev/null"]
    done = subprocess.run(
        [program("curl"), "-sS", *words, "-o", "/dev/null", "-d", json.dumps({"key": b64("x")})],
        capture_output=True, text=True, timeout=SECONDS, check=True,
    )
    tap.expect(done.stdout, "1\n0\n")


def only_muster_takes_more(server):
    """More than etcd promises: base64 for URLs, and JSON over HTTP/2."""
    if not isinstance(server, MusterServer):
        return
    post(server, "kv/put", {"key": "_-8", "value": "eA"})
    tap.expect(post(server, "kv/range", {"key": "/+8="})["kvs"][0]["value"], "eA==")
    status, text = curl("--http2-prior-knowledge", url(server, "kv/range"), body=json.dumps({"key": "_-8="}))
    tap.expect((status, json.loads(text)["count"]), (200, "1"))


CASES = [
    ("a key is put, read and deleted", put_get_delete),
    ("names and numbers are taken both ways", names_and_numbers_both_ways),
    ("transactions take either branch", transactions),
    ("compaction, and what was compacted", compaction),
    ("errors have their status, code and words", errors),
    ("bad JSON is a bad request", bad_json),
    ("what follows the message is ignored", what_follows_is_ignored),
    ("a lease from grant to revoke", leases),
    ("a watch gets the past and what happens", watches),
    ("a watch has an id and filters", watch_filters),
    ("a watch of what was compacted is canceled", watch_compacted),
    ("cluster and maintenance", cluster_and_maintenance),
    ("values of a megabyte pass, longer ones are refused", large_values),
    ("other paths and methods", other_paths),
    ("requests share a connection", one_connection),
    ("muster takes base64 for URLs, and HTTP/2", only_muster_takes_more),
]

if __name__ == "__main__":
    sys.exit(main(CASES))
