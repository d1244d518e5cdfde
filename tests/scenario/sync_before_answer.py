#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""
An answer means "on the disk", which kill -9 cannot show: the page cache survives it. So strace watches: no answer
leaves before a sync that began after the change had been written, each lone change has a sync, and groups share.
"""

import collections
import contextlib
import re
import select
import shutil
import subprocess
import sys

from etcd_lib import SECONDS, MusterServer, grpc, rpc, tap

CALLS = "fdatasync,fsync,pwrite64,pwritev,pwritev2,write,writev,sendmsg,sendto"
WRITES = ("pwrite64", "pwritev", "pwritev2", "write", "writev")
SENDS = ("write", "writev", "sendmsg", "sendto")
SYNCS = ("fdatasync", "fsync")
LONE = 30
CALLERS, PUTS = 64, 1280


class Call:
    """A system call: begin and end are places in the order of all."""

    def __init__(self, name, fd, begin):
        self.name, self.fd, self.begin, self.end = name, fd, begin, None
        self.text = ""


def parse(lines):
    """
    "PID name(fd, …) = n", or in two lines, the second "PID <... name resumed>…". What one thread does because of what
    another has done stands behind it: a thread goes on when strace has seen the end of its call.
    """
    calls, running = [], {}
    for place, line in enumerate(lines):
        thread, rest = line.split(None, 1)
        if begun := re.match(r"(\w+)\((\d+)", rest):
            running[thread] = Call(begun[1], begun[2], place)
            calls.append(running[thread])
        call = running.get(thread)
        if call:
            call.text += rest
            if "<unfinished ...>" not in rest:
                call.end = place
    return calls


def check(calls, marks):
    """Gives how many syncs there were."""
    syncs = [call for call in calls if call.name in SYNCS and call.end is not None]
    logs = {sync.fd for sync in syncs}
    written, sent = collections.defaultdict(list), collections.defaultdict(list)
    for call in calls:
        is_log = call.fd in logs
        if call.name in (WRITES if is_log else SENDS):
            for mark in re.findall(r"(?:alone|together)-\d+;", call.text):
                (written if is_log else sent)[mark].append(call)
    for mark in marks:
        tap.expect((mark, len(written[mark]), len(sent[mark])), (mark, 1, 1))
        write, send = written[mark][0], sent[mark][0]
        if not any(sync.fd == write.fd and write.end < sync.begin and sync.end < send.begin for sync in syncs):
            raise AssertionError(f"answered before it was on the disk: {mark}")
    return len(syncs)


@contextlib.contextmanager
def traced():
    """A server, a channel to it, and a list that holds its calls afterwards."""
    if grpc is None:
        raise tap.Skip("there is no grpcio for Python")
    if not shutil.which("strace"):
        raise tap.Skip("there is no strace")
    with contextlib.ExitStack() as stack:
        server = MusterServer(stack)
        output = server.muster.path / "calls"
        words = ["strace", "-f", "-v", "-s", "100000", "-e", f"trace={CALLS}", "-o", str(output)]
        strace = subprocess.Popen([*words, "-p", str(server.muster.process.pid)], stderr=subprocess.PIPE, text=True)
        stack.callback(strace.wait, SECONDS)
        stack.callback(strace.terminate)
        ready = select.select([strace.stderr], [], [], SECONDS)[0] and strace.stderr.readline()
        if "attached" not in ready:
            raise tap.Skip(f"strace cannot attach here: {ready}")
        calls = []
        with server.channel() as channel:
            yield channel, calls
        strace.terminate()
        strace.communicate(timeout=SECONDS)
        calls += parse(output.read_text().splitlines())


def put(mark):
    """Put and read again, so that the mark is in the log and in the answer."""
    write = rpc.RequestOp(request_put=rpc.PutRequest(key=b"k", value=mark.encode()))
    return rpc.TxnRequest(success=[write, rpc.RequestOp(request_range=rpc.RangeRequest(key=b"k"))])


def lone_changes():
    marks = [f"alone-{i};" for i in range(LONE)]
    with traced() as (channel, calls):
        kv, leases = rpc.KVStub(channel), rpc.LeaseStub(channel)
        for mark in marks:
            kv.Txn(put(mark), timeout=SECONDS)
        for i in range(1, LONE + 1):
            leases.LeaseGrant(rpc.LeaseGrantRequest(TTL=100, ID=i), timeout=SECONDS)
            kv.Put(rpc.PutRequest(key=b"leased", lease=i), timeout=SECONDS)
            leases.LeaseRevoke(rpc.LeaseRevokeRequest(ID=i), timeout=SECONDS)
        kv.DeleteRange(rpc.DeleteRangeRequest(key=b"k"), timeout=SECONDS)
    syncs = check(calls, marks)
    print(f"# {4 * LONE + 1} changes, one after the other: {syncs} syncs")
    tap.expect(syncs >= 4 * LONE + 1, True)


def changes_at_the_same_time():
    marks = [f"together-{i};" for i in range(PUTS)]
    with traced() as (channel, calls):
        call = rpc.KVStub(channel).Txn
        for i in range(0, PUTS, CALLERS):
            for answer in [call.future(put(mark), timeout=SECONDS) for mark in marks[i : i + CALLERS]]:
                answer.result()
    syncs = check(calls, marks)
    print(f"# {PUTS} changes, {CALLERS} at the same time: {syncs} syncs")
    tap.expect(syncs < PUTS, True)


if __name__ == "__main__":
    sys.exit(
        tap.main(
            [
                ("each lone change has a sync before its answer", lone_changes),
                ("changes at the same time share syncs, each before its answer", changes_at_the_same_time),
            ]
        )
    )
