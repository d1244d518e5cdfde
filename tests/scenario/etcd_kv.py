#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""KV of etcd v3, with etcdctl, python3-etcd3 and bare gRPC, against etcd and muster."""

import base64
import sys

from etcd_lib import SECONDS, failure, grpc, main, rpc, tap

MIB = 1024 * 1024


def text(encoded):
    return base64.b64decode(encoded).decode()


def put_get_delete(server):
    tap.expect(server.etcdctl("put", "pg/k", "one"), "OK\n")
    tap.expect(server.etcdctl("put", "pg/k", "two", "--prev-kv"), "OK\npg/k\none\n")
    tap.expect(server.etcdctl("get", "pg/k"), "pg/k\ntwo\n")
    tap.expect(server.etcdctl("put", "pg/k", "--ignore-value"), "OK\n")
    tap.expect(server.etcdctl("get", "pg/k", "--print-value-only"), "two\n")
    pair = server.etcdctl_json("get", "pg/k")["kvs"][0]
    tap.expect(pair["version"], 3)
    tap.expect(pair["mod_revision"] - pair["create_revision"], 2)
    tap.expect(server.etcdctl("del", "pg/k", "--prev-kv"), "1\npg/k\ntwo\n")
    tap.expect(server.etcdctl("del", "pg/k"), "0\n")
    tap.expect(server.etcdctl("get", "pg/k"), "")


def header(server):
    before = server.etcdctl_json("put", "h/k", "v")["header"]
    after = server.etcdctl_json("get", "h/nothing")["header"]
    for field in ("cluster_id", "member_id", "revision", "raft_term"):
        tap.expect(before[field] > 0, True)
        tap.expect(after[field], before[field])


def ranges(server):
    for key, value in (("r/a", "3"), ("r/b", "1"), ("r/c", "2"), ("s", "x")):
        server.etcdctl("put", key, value)
    tap.expect(server.etcdctl("get", "r/", "--prefix", "--keys-only"), "r/a\n\nr/b\n\nr/c\n\n")
    tap.expect(server.etcdctl("get", "r/a", "r/c", "--print-value-only"), "3\n1\n")
    tap.expect(server.etcdctl("get", "r/b", "--from-key", "--limit=3", "--keys-only"), "r/b\n\nr/c\n\ns\n\n")
    tap.expect(server.etcdctl("get", "r/", "--prefix", "--order=DESCEND", "--sort-by=VALUE", "--limit=2"),
               "r/a\n3\nr/c\n2\n")
    tap.expect(server.etcdctl("get", "r/", "--prefix", "--sort-by=MODIFY", "--order=DESCEND", "--limit=1"),
               "r/c\n2\n")
    limited = server.etcdctl_json("get", "r/", "--prefix", "--limit=2")
    tap.expect((limited["count"], limited["more"], len(limited["kvs"])), (3, True, 2))
    with server.channel() as channel:
        kv = rpc.KVStub(channel)
        counted = kv.Range(rpc.RangeRequest(key=b"r/", range_end=b"r0", count_only=True))
        tap.expect((counted.count, counted.more, len(counted.kvs)), (3, False, 0))
        revision = kv.Range(rpc.RangeRequest(key=b"r/b")).kvs[0].mod_revision
        newer = kv.Range(rpc.RangeRequest(key=b"r/", range_end=b"r0", min_mod_revision=revision, limit=1))
        tap.expect((newer.count, newer.more, newer.kvs[0].key), (3, True, b"r/b"))
        tap.expect(kv.Range(rpc.RangeRequest(key=b"r/c", range_end=b"r/a")).count, 0)


def old_revisions(server):
    revision = server.etcdctl_json("put", "o/k", "1")["header"]["revision"]
    server.etcdctl("put", "o/k", "2")
    server.etcdctl("del", "o/k")
    tap.expect(server.etcdctl("get", "o/k", f"--rev={revision}"), "o/k\n1\n")
    tap.expect(server.etcdctl("get", "o/k", f"--rev={revision + 1}"), "o/k\n2\n")
    tap.expect(server.etcdctl("get", "o/k", f"--rev={revision + 2}"), "")
    future, compacted = "required revision is a future revision", "required revision has been compacted"
    tap.expect(future in server.etcdctl("get", "o/k", "--rev=999999", fails=True), True)
    tap.expect(server.etcdctl("compact", str(revision + 1)), f"compacted revision {revision + 1}\n")
    tap.expect(server.etcdctl("get", "o/k", f"--rev={revision + 1}"), "o/k\n2\n")
    tap.expect(compacted in server.etcdctl("get", "o/k", f"--rev={revision}", fails=True), True)
    tap.expect(compacted in server.etcdctl("compact", str(revision), fails=True), True)


def transactions(server):
    server.etcdctl("put", "t/k", "1")
    typed = 'value("t/k") = "1"\nmod("t/none") = "0"\n\nput t/k 2\nput t/l 3\n\nget t/k\n\n'
    tap.expect(server.etcdctl("txn", typed=typed), "SUCCESS\n\nOK\n\nOK\n")
    tap.expect(server.etcdctl("txn", typed=typed), "FAILURE\n\nt/k\n2\n")
    pairs = server.etcdctl_json("get", "t/", "--prefix")["kvs"]
    tap.expect([text(pair["key"]) for pair in pairs], ["t/k", "t/l"])
    tap.expect(pairs[0]["mod_revision"], pairs[1]["mod_revision"])
    with server.python() as client:
        done, answers = client.transaction(
            compare=[client.transactions.version("t/new") == 0, client.transactions.create("t/k") > 0],
            success=[client.transactions.put("t/new", "n"), client.transactions.get("t/new")],
            failure=[],
        )
        tap.expect(done, True)
        tap.expect(answers[1][0][0], b"n")


def compare(key, **fields):
    return rpc.Compare(key=key, **fields)


def put_op(key, value=b""):
    return rpc.RequestOp(request_put=rpc.PutRequest(key=key, value=value))


def nested_transactions_and_ranges(server):
    with server.channel() as channel:
        kv = rpc.KVStub(channel)
        for key in (b"n/1", b"n/2"):
            kv.Put(rpc.PutRequest(key=key, value=b"x"))
        inner = rpc.TxnRequest(
            compare=[compare(b"n/", range_end=b"n0", target=rpc.Compare.VALUE, value=b"x")],
            success=[put_op(b"n/3", b"y"), rpc.RequestOp(request_range=rpc.RangeRequest(key=b"n/", range_end=b"n0"))],
        )
        answer = kv.Txn(rpc.TxnRequest(success=[rpc.RequestOp(request_txn=inner)]))
        tap.expect(answer.succeeded, True)
        nested = answer.responses[0].response_txn
        tap.expect(nested.succeeded, True)
        tap.expect([pair.key for pair in nested.responses[1].response_range.kvs], [b"n/1", b"n/2", b"n/3"])
        answer = kv.Txn(rpc.TxnRequest(success=[rpc.RequestOp(request_txn=inner)]))
        tap.expect(answer.responses[0].response_txn.succeeded, False)  # n/3 is "y"
        tap.expect(kv.Range(rpc.RangeRequest(key=b"n/1")).header.revision, answer.header.revision)


def compares_of_an_unknown_kind(server):
    with server.channel() as channel:
        kv = rpc.KVStub(channel)
        kv.Put(rpc.PutRequest(key=b"u/k", value=b"x"))

        def holds(key=b"u/k", **fields):
            return kv.Txn(rpc.TxnRequest(compare=[compare(key, **fields)])).succeeded

        tap.expect(holds(target=9, version=7), True)
        tap.expect(holds(target=9, result=rpc.Compare.GREATER), False)
        tap.expect(holds(target=rpc.Compare.VERSION, version=7, result=9), True)
        tap.expect(holds(b"u/none", target=rpc.Compare.VALUE, value=b"x", result=9), False)


def versions_of_the_api(server):
    with server.channel() as channel:
        get = channel.unary_unary("/etcdserverpb.KV/Range")
        get(b"\x0a\x01k", metadata=[("client-api-version", "3.6.0")], timeout=SECONDS)


def compares_of_missing_keys(server):
    with server.channel() as channel:
        kv = rpc.KVStub(channel)

        def holds(**fields):
            return kv.Txn(rpc.TxnRequest(compare=[compare(b"m/none", **fields)])).succeeded

        tap.expect(holds(target=rpc.Compare.CREATE, create_revision=0), True)
        tap.expect(holds(target=rpc.Compare.VERSION, result=rpc.Compare.LESS, version=1), True)
        tap.expect(holds(target=rpc.Compare.MOD, result=rpc.Compare.GREATER, mod_revision=0), False)
        tap.expect(holds(target=rpc.Compare.VALUE, value=b""), False)
        tap.expect(holds(target=rpc.Compare.VALUE, result=rpc.Compare.NOT_EQUAL, value=b"x"), False)
        tap.expect(holds(target=rpc.Compare.LEASE, lease=0), True)
        tap.expect(holds(range_end=b"m/nonf", target=rpc.Compare.VERSION, version=0), True)


def errors(server):
    with server.channel() as channel:
        kv = rpc.KVStub(channel)
        invalid, missing = "INVALID_ARGUMENT", "etcdserver: key is not provided"
        tap.expect(failure(kv.Range, rpc.RangeRequest()), (invalid, missing))
        tap.expect(failure(kv.Put, rpc.PutRequest()), (invalid, missing))
        tap.expect(failure(kv.DeleteRange, rpc.DeleteRangeRequest()), (invalid, missing))
        tap.expect(failure(kv.Put, rpc.PutRequest(key=b"e", value=b"v", ignore_value=True)),
                   (invalid, "etcdserver: value is provided"))
        tap.expect(failure(kv.Put, rpc.PutRequest(key=b"e", lease=1, ignore_lease=True)),
                   (invalid, "etcdserver: lease is provided"))
        tap.expect(failure(kv.Put, rpc.PutRequest(key=b"e/none", ignore_value=True)),
                   (invalid, "etcdserver: key not found"))
        tap.expect(failure(kv.Put, rpc.PutRequest(key=b"e", lease=404)),
                   ("NOT_FOUND", "etcdserver: requested lease not found"))
        tap.expect(failure(kv.Txn, rpc.TxnRequest(success=[put_op(b"e"), put_op(b"e")])),
                   (invalid, "etcdserver: duplicate key given in txn request"))
        tap.expect(failure(kv.Txn, rpc.TxnRequest(success=[put_op(b"e%d" % i) for i in range(129)])),
                   (invalid, "etcdserver: too many operations in txn request"))
        tap.expect(failure(kv.Txn, rpc.TxnRequest(success=[rpc.RequestOp()])),
                   (invalid, "etcdserver: key not found"))
        tap.expect(failure(kv.Txn, rpc.TxnRequest(compare=[compare(b"", version=0)])), (invalid, missing))
        tap.expect(failure(kv.Txn, rpc.TxnRequest(success=[put_op(b"")])), (invalid, missing))
        tap.expect(failure(kv.Compact, rpc.CompactionRequest(revision=10**9)),
                   ("OUT_OF_RANGE", "etcdserver: mvcc: required revision is a future revision"))


def size_limits(server):
    with server.channel() as channel:
        kv = rpc.KVStub(channel)
        large = rpc.PutRequest(key=b"large", value=bytes(3 * MIB // 2))
        tap.expect(failure(kv.Put, large), ("INVALID_ARGUMENT", "etcdserver: request is too large"))
        tap.expect(failure(kv.Put, rpc.PutRequest(key=b"large", value=bytes(3 * MIB)))[0], "RESOURCE_EXHAUSTED")
        value = bytes(3 * MIB // 2 - 1000)
        kv.Put(rpc.PutRequest(key=b"large", value=value))
        tap.expect(kv.Range(rpc.RangeRequest(key=b"large")).kvs[0].value == value, True)
        kv.DeleteRange(rpc.DeleteRangeRequest(key=b"large"))


def what_is_no_message(server):
    with server.channel() as channel:
        put = channel.unary_unary("/etcdserverpb.KV/Put")
        tap.expect(failure(put, b"\x0a\xff")[0], "INTERNAL")
        tap.expect(failure(channel.unary_unary("/etcdserverpb.KV/Steal"), b"")[0], "UNIMPLEMENTED")
        tap.expect(failure(channel.unary_unary("/etcdserverpb.Thief/Steal"), b"")[0], "UNIMPLEMENTED")
        packed = grpc.Compression.Gzip
        try:
            rpc.KVStub(channel).Put(rpc.PutRequest(key=b"z", value=bytes(1000)), compression=packed)
        except grpc.RpcError as error:
            tap.expect(error.code().name, "UNIMPLEMENTED")
        tap.expect(rpc.KVStub(channel).Range(rpc.RangeRequest(key=b"none")).count, 0)  # others go on


sys.exit(
    main(
        [
            ("a key is put, read and deleted", put_get_delete),
            ("every answer has the whole header", header),
            ("ranges are cut, sorted and counted", ranges),
            ("old revisions are read until they are compacted", old_revisions),
            ("transactions take one of two ways", transactions),
            ("transactions hold transactions and compare ranges", nested_transactions_and_ranges),
            ("missing keys compare as zero", compares_of_missing_keys),
            ("compares of an unknown kind are equal", compares_of_an_unknown_kind),
            ("a client may name its version of the API", versions_of_the_api),
            ("bad requests get the exact error", errors),
            ("what is too large is refused", size_limits),
            ("what is no message is refused, and the connection goes on", what_is_no_message),
        ]
    )
)
