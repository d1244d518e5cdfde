#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""Leases of etcd v3, with etcdctl, python3-etcd3 and bare gRPC, against etcd and muster."""

import contextlib
import queue
import sys

from etcd_lib import SECONDS, failure, main, rpc, tap

TTL = 5  # of leases that run out; a client or a machine that stands still for a moment loses none


def grant_and_revoke(server):
    words = server.etcdctl("lease", "grant", "100").split()
    tap.expect((words[0], words[2:]), ("lease", ["granted", "with", "TTL(100s)"]))
    lease = words[1]
    tap.expect(lease in server.etcdctl("lease", "list").split(), True)
    server.etcdctl("put", "gr/a", "1", f"--lease={lease}")
    server.etcdctl("put", "gr/b", "2", f"--lease={lease}")
    server.etcdctl("put", "gr/c", "3")
    told = server.etcdctl("lease", "timetolive", lease, "--keys")
    tap.expect(f"lease {lease} granted with TTL(100s), remaining(" in told, True)
    tap.expect(sorted(told[told.index("([") + 2 : told.index("])")].split()), ["gr/a", "gr/b"])
    tap.expect(server.etcdctl("lease", "keep-alive", "--once", lease), f"lease {lease} keepalived with TTL(100)\n")
    before = server.etcdctl_json("get", "gr/c")["header"]["revision"]
    tap.expect(server.etcdctl("lease", "revoke", lease), f"lease {lease} revoked\n")
    tap.expect(server.etcdctl("get", "gr/", "--prefix", "--keys-only"), "gr/c\n\n")
    tap.expect(server.etcdctl_json("get", "gr/c")["header"]["revision"], before + 1)
    tap.expect("requested lease not found" in server.etcdctl("lease", "revoke", lease, fails=True), True)
    tap.expect(server.etcdctl("lease", "timetolive", lease), f"lease {lease} already expired\n")


def expiry(server):
    """The key of a registrant that crashed goes away by itself."""
    with server.python() as client:
        events, cancel = client.watch("ex/instance")
        lease = client.lease(TTL)
        client.put("ex/instance", "10.0.0.1", lease=lease)
        kept = client.lease(100)
        client.put("ex/other", "10.0.0.2", lease=kept)
        tap.expect(type(next(events)).__name__, "PutEvent")
        tap.expect(type(next(events)).__name__, "DeleteEvent")
        cancel()
        tap.expect(client.get("ex/instance"), (None, None))
        tap.expect(client.get("ex/other")[0], b"10.0.0.2")
        tap.expect(lease.remaining_ttl, -1)
        tap.expect(lease.refresh()[0].TTL, 0)
        kept.revoke()


def renewal(server):
    """A lease that is renewed lives longer than its TTL; seen by another one, a second longer, that runs out."""
    with server.python() as client:
        changes = queue.Queue()
        watch = client.add_watch_callback("re/clock", changes.put)
        short, long = client.lease(TTL), client.lease(TTL + 1)
        client.put("re/kept", "", lease=short)
        client.put("re/clock", "", lease=long)
        changes.get(timeout=SECONDS)  # the put
        while changes.empty():
            tap.expect(short.refresh()[0].TTL, TTL)
            with contextlib.suppress(queue.Empty):
                changes.put(changes.get(timeout=0.5))
        client.cancel_watch(watch)
        tap.expect(client.get("re/kept")[0], b"")
        short.revoke()


def keep_alive_streams(server):
    with server.channel() as channel:
        leases = rpc.LeaseStub(channel)
        granted = [leases.LeaseGrant(rpc.LeaseGrantRequest(TTL=ttl, ID=ttl * 1000)) for ttl in (20, 30)]
        tap.expect([(answer.ID, answer.TTL) for answer in granted], [(20000, 20), (30000, 30)])
        asked = [20000, 404, 30000, 20000]
        answers = leases.LeaseKeepAlive(
            iter([rpc.LeaseKeepAliveRequest(ID=lease) for lease in asked]), timeout=SECONDS
        )
        tap.expect([(answer.ID, answer.TTL) for answer in answers], [(20000, 20), (404, 0), (30000, 30), (20000, 20)])
        tap.expect(answers.code().name, "OK")
        for lease in (20000, 30000):
            leases.LeaseRevoke(rpc.LeaseRevokeRequest(ID=lease))


def moving_a_key(server):
    """A key belongs to the lease that it was last put with."""
    with server.python() as client:
        old, new = client.lease(100), client.lease(100)
        client.put("mv/a", "1", lease=old)
        client.put("mv/b", "1", lease=old)
        client.put("mv/a", "2", lease=new)
        client.put("mv/b", "2")
        tap.expect(old.keys, [])
        old.revoke()
        tap.expect([pair[0] for pair in client.get_prefix("mv/")], [b"2", b"2"])
        new.revoke()
        tap.expect([pair[0] for pair in client.get_prefix("mv/")], [b"2"])


def errors(server):
    with server.channel() as channel:
        leases = rpc.LeaseStub(channel)
        leases.LeaseGrant(rpc.LeaseGrantRequest(TTL=50, ID=7))
        tap.expect(failure(leases.LeaseGrant, rpc.LeaseGrantRequest(TTL=50, ID=7)),
                   ("FAILED_PRECONDITION", "etcdserver: lease already exists"))
        tap.expect(failure(leases.LeaseGrant, rpc.LeaseGrantRequest(TTL=9000000001)),
                   ("OUT_OF_RANGE", "etcdserver: too large lease TTL"))
        tap.expect(failure(leases.LeaseRevoke, rpc.LeaseRevokeRequest(ID=404)),
                   ("NOT_FOUND", "etcdserver: requested lease not found"))
        gone = leases.LeaseTimeToLive(rpc.LeaseTimeToLiveRequest(ID=404, keys=True))
        tap.expect((gone.ID, gone.TTL, list(gone.keys)), (404, -1, []))
        tap.expect(gone.header.revision > 0, True)
        tap.expect(7 in [status.ID for status in leases.LeaseLeases(rpc.LeaseLeasesRequest()).leases], True)
        leases.LeaseRevoke(rpc.LeaseRevokeRequest(ID=7))


sys.exit(
    main(
        [
            ("a lease is granted, asked after and revoked", grant_and_revoke),
            ("a lease that nobody renews takes its key along", expiry),
            ("a lease that is renewed lives on", renewal),
            ("keep-alives are answered in order, dead leases with 0", keep_alive_streams),
            ("a key belongs to the lease it was last put with", moving_a_key),
            ("bad requests get the exact error", errors),
        ]
    )
)
