#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""Cluster and Maintenance of etcd v3, with etcdctl, python3-etcd3 and bare gRPC, against etcd and muster."""

import base64
import contextlib
import hashlib
import json
import pathlib
import sys
import tempfile
import urllib.request

from etcd_lib import SECONDS, MusterServer, failure, main, rpc, tap
from lib import Muster, run


def member_list(server):
    listed = server.etcdctl_json("member", "list")
    member = listed["members"][0]
    tap.expect(len(listed["members"]), 1)
    tap.expect(member["ID"], listed["header"]["member_id"])
    tap.expect(member["clientURLs"], [f"http://127.0.0.1:{server.port}"])
    tap.expect(bool(member["name"]), True)
    with server.python() as client:
        names = [member.client_urls for member in client.members]
    tap.expect([list(urls) for urls in names], [[f"http://127.0.0.1:{server.port}"]])


def status(server):
    told = server.etcdctl_json("endpoint", "status")[0]["Status"]
    tap.expect(told["leader"], told["header"]["member_id"])
    tap.expect(len(told["version"].split(".")), 3)
    tap.expect(told["raftTerm"] >= 1, True)
    tap.expect(told["dbSize"] > 0, True)
    server.etcdctl("put", "st/k", "v")
    later = server.etcdctl_json("endpoint", "status")[0]["Status"]
    tap.expect(later["raftAppliedIndex"] > told["raftAppliedIndex"], True)
    tap.expect("| 127.0.0.1:" in server.etcdctl("endpoint", "status", "-w", "table"), True)
    with server.python() as client:
        tap.expect(client.status().leader is not None, True)


def health(server):
    tap.expect(server.etcdctl_json("endpoint", "health")[0]["health"], True)
    tap.expect(server.etcdctl("alarm", "list"), "")
    with server.python() as client:
        tap.expect(list(client.list_alarms()), [])


def defragmentation(server):
    tap.expect("Finished defragmenting" in server.etcdctl("defrag"), True)


def hashes(server):
    server.etcdctl("put", "ha/k", "1")
    first = server.etcdctl_json("endpoint", "hashkv")[0]["HashKV"]["hash"]
    tap.expect(server.etcdctl_json("endpoint", "hashkv")[0]["HashKV"]["hash"], first)
    server.etcdctl("put", "ha/k", "2")
    tap.expect(server.etcdctl_json("endpoint", "hashkv")[0]["HashKV"]["hash"] != first, True)
    with server.python() as client:
        tap.expect(client.hash() != 0, True)


def snapshots(server):
    for i in range(100):
        server.etcdctl("put", f"sn/{i}", "x" * 1000)
    with tempfile.TemporaryDirectory(prefix="muster-snapshot-") as folder:
        path = pathlib.Path(folder) / "saved"
        tap.expect("Snapshot saved at" in server.etcdctl("snapshot", "save", str(path)), True)
        saved = path.read_bytes()
        tap.expect(len(saved) % 512, 32)
        tap.expect(hashlib.sha256(saved[:-32]).digest(), saved[-32:])
        tap.expect(saved.count(b"x" * 1000) >= 100, True)  # etcd's pages may hold more
        with open(path, "wb") as file, server.python() as client:
            client.snapshot(file)
        tap.expect(len(path.read_bytes()) % 512, 32)


def snapshots_as_json(server):
    call = urllib.request.Request(f"http://{server.host}:{server.port}/v3/maintenance/snapshot", b"{}")
    with urllib.request.urlopen(call, timeout=SECONDS) as answer:
        pieces = [json.loads(line)["result"] for line in answer]
    blobs = [base64.b64decode(piece["blob"]) for piece in pieces]
    tap.expect(hashlib.sha256(b"".join(blobs[:-1])).digest(), blobs[-1])
    total = sum(len(blob) for blob in blobs[:-1])
    tap.expect(int(pieces[0].get("remaining_bytes", 0)), total - len(blobs[0]))


def saved_snapshots_are_restored():
    with contextlib.ExitStack() as stack:
        server = MusterServer(stack)
        for i in range(100):
            server.etcdctl("put", f"re/{i}", str(i))
        path = server.muster.path / "saved"
        server.etcdctl("snapshot", "save", str(path))
        server.etcdctl("put", "re/later", "x")
        done = run("store", "restore", str(path), "--data", str(server.muster.path / "back"))
        tap.expect((done.code, done.err), (0, ""))
        with Muster("--data", str(server.muster.path / "back")) as muster:
            server.port = int(muster.address().rsplit(":", 1)[1])
            answer = server.etcdctl_json("get", "re/", "--prefix")
            tap.expect((answer["count"], answer["header"]["revision"]), (100, 101))


def what_one_server_cannot_do(server):
    with server.channel() as channel:
        tap.expect(failure(rpc.ClusterStub(channel).MemberRemove, rpc.MemberRemoveRequest(ID=1)),
                   ("NOT_FOUND", "etcdserver: member not found"))
        move = channel.unary_unary("/etcdserverpb.Maintenance/MoveLeader")
        tap.expect(failure(move, b"\x08\x01"), ("FAILED_PRECONDITION", "etcdserver: bad leader transferee"))


sys.exit(
    main(
        [
            ("the member list has one member that can be reached", member_list),
            ("status is told", status),
            ("the endpoint is healthy and has no alarm", health),
            ("defragmentation is quickly done", defragmentation),
            ("hashes tell states apart", hashes),
            ("a snapshot is saved", snapshots),
            ("a snapshot as JSON", snapshots_as_json),
            ("what one server cannot do is refused", what_one_server_cannot_do),
        ],
        [("what etcdctl has saved is restored", saved_snapshots_are_restored)],
    )
)
