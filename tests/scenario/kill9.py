#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""kill -9 at random moments under concurrent clients: no answered change is lost, and the history is linearizable.

For a long run the environment's MUSTER_TEST_TIMES multiplies how long it goes on.
"""

import contextlib
import dataclasses
import math
import os
import random
import subprocess
import sys
import threading
import time

from etcd_history import History, Operation, Pair, Wrong
from etcd_lib import SECONDS, EtcdServer, MusterServer, grpc, rpc, tap
from lib import SANITIZED, start

CLIENTS = 12
KEYS = [b"key-%02d" % i for i in range(24)]
TIMES = int(os.environ.get("MUSTER_TEST_TIMES", 1))
ETCD_SECONDS = 5 * TIMES
MUSTER_SECONDS = 15 * TIMES
SETTINGS = ["--set", "store.snapshot_bytes=1M"]
ROUND_ANSWERS = 250  # at most, until the server is killed


# -------- requests and answers on the wire


def pair_of(kv):
    return Pair(kv.key, kv.value, kv.create_revision, kv.mod_revision, kv.version, kv.lease)


def first_pair(kvs):
    return pair_of(kvs[0]) if kvs else None


MESSAGES = {
    "put": lambda key, value, lease: rpc.PutRequest(key=key, value=value, lease=lease, prev_kv=True),
    "delete": lambda key: rpc.DeleteRangeRequest(key=key, prev_kv=True),
    "get": lambda key: rpc.RangeRequest(key=key),
    "all": lambda: rpc.RangeRequest(key=b"\0", range_end=b"\0"),
    "revoke": lambda lease: rpc.LeaseRevokeRequest(ID=lease),
    "txn": lambda condition, requests: rpc.TxnRequest(
        compare=[] if condition is None else [compare(*condition)],
        success=[operation(request) for request in requests],
        failure=[] if condition is None else [operation(("get", condition[0]))],
    ),
}
OPERATIONS = {"put": "request_put", "delete": "request_delete_range", "get": "request_range"}
ANSWERS = {
    "put": lambda answer: pair_of(answer.prev_kv) if answer.HasField("prev_kv") else None,
    "delete": lambda answer: first_pair(answer.prev_kvs),
    "get": lambda answer: first_pair(answer.kvs),
    "all": lambda answer: [pair_of(kv) for kv in answer.kvs],
    "revoke": lambda answer: None,
}


def message(request):
    return MESSAGES[request[0]](*request[1:])


def compare(key, revision):
    return rpc.Compare(result=rpc.Compare.EQUAL, target=rpc.Compare.MOD, key=key, mod_revision=revision)


def operation(request):
    return rpc.RequestOp(**{OPERATIONS[request[0]]: message(request)})


def understand(request, answer):
    if request[0] != "txn":
        return ANSWERS[request[0]](answer)
    requests = request[2] if answer.succeeded else [("get", request[1][0])]
    inner = [getattr(one, one.WhichOneof("response")) for one in answer.responses]
    return answer.succeeded, [ANSWERS[asked[0]](one) for asked, one in zip(requests, inner)]


class Connection:
    def __init__(self, server):
        self.channel = grpc.insecure_channel(f"{server.host}:{server.port}", [("grpc.max_receive_message_length", -1)])
        self.leases, self.watches = rpc.LeaseStub(self.channel), rpc.WatchStub(self.channel)
        kv = rpc.KVStub(self.channel)
        self.calls = {"put": kv.Put, "delete": kv.DeleteRange, "get": kv.Range, "all": kv.Range, "txn": kv.Txn}
        self.calls["revoke"] = self.leases.LeaseRevoke

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.channel.close()

    def ask(self, done):
        """Fills in the answer of an operation."""
        kind = done.request[0]
        answer = self.calls[kind](message(done.request), timeout=SECONDS)
        done.answer, done.revision = understand(done.request, answer), answer.header.revision
        done.end = time.monotonic()

    def commits(self, revision, last):
        """The history from one revision to another, as the checker wants it."""
        if last < revision:
            return []
        create = rpc.WatchCreateRequest(key=b"\0", range_end=b"\0", start_revision=revision)
        answers = self.watches.Watch(iter([rpc.WatchRequest(create_request=create)]), timeout=SECONDS)
        commits = []
        while not commits or commits[-1][0] < last:
            for event in next(answers).events:
                if not commits or commits[-1][0] != event.kv.mod_revision:
                    commits.append((event.kv.mod_revision, []))
                commits[-1][1].append(event.kv.key if event.type else pair_of(event.kv))
        answers.cancel()
        return commits


# -------- clients


class Client(threading.Thread):
    """Asks one thing after the other until the server is gone."""

    ids = iter(range(1, 1 << 60))  # of values and leases: each is used once

    def __init__(self, server, seed, answered):
        super().__init__()
        self.server, self.random, self.answered = server, random.Random(seed), answered
        self.operations = []
        self.leases = []  # that certainly are there, and are nobody else's
        self.granted, self.revoked = set(), set()
        self.failure = None
        self.start()

    def run(self):
        with Connection(self.server) as connection:
            try:
                while True:
                    self.do_something(connection)
                    self.answered.release()
            except grpc.RpcError as error:
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED):
                    self.failure = error
            except Exception as error:  # told by the case
                self.failure = error

    def do_something(self, connection):
        luck = self.random.random()
        if luck < 0.03:
            lease = next(self.ids)
            connection.leases.LeaseGrant(rpc.LeaseGrantRequest(TTL=3600, ID=lease), timeout=SECONDS)
            self.leases.append(lease)
            self.granted.add(lease)
        elif luck < 0.05 and self.leases:
            lease = self.leases.pop()
            self.granted.discard(lease)  # unless it is answered it may be there or not
            self.ask(connection, ("revoke", lease))
            self.revoked.add(lease)
        elif luck < 0.15:
            self.compare_and_swap(connection)
        else:
            self.ask(connection, self.request(luck))

    def ask(self, connection, request):
        done = Operation(request, time.monotonic())
        self.operations.append(done)
        connection.ask(done)
        return done.answer

    def compare_and_swap(self, connection):
        pair = self.ask(connection, ("get", self.key()))
        key = pair.key if pair else self.key()
        other = self.random.choice([k for k in KEYS if k != key])
        self.ask(connection, ("txn", (key, pair.mod if pair else 0), [self.put(key), self.put(other), ("get", key)]))

    def request(self, luck):
        if luck < 0.2:
            first, second, third = self.random.sample(KEYS, 3)
            return ("txn", None, [self.put(first), ("delete", second), ("get", first), ("get", third)])
        if luck < 0.3:
            return ("delete", self.key())
        if luck < 0.4:
            return ("get", self.key())
        if luck < 0.43:
            return ("all",)
        return self.put(self.key())

    def put(self, key):
        size = self.random.choice([0, 0, 100, 100, 1000, 5000])
        lease = self.random.choice(self.leases) if self.leases and self.random.random() < 0.3 else 0
        return ("put", key, b"%d:" % next(self.ids) + bytes(size), lease)

    def key(self):
        return self.random.choice(KEYS)


# -------- rounds


class Trial:
    def __init__(self, server, chance):
        self.server, self.random = server, chance
        self.history = History()
        self.granted, self.revoked = set(), set()
        self.rounds = self.answers = 0

    def round(self):
        answered = threading.Semaphore(0)
        clients = [Client(self.server, self.random.random(), answered) for _ in range(CLIENTS)]
        for _ in range(self.random.randrange(ROUND_ANSWERS)):
            if not answered.acquire(timeout=SECONDS):
                raise AssertionError(f"no answers: {[client.failure for client in clients]}")
        self.server.kill()
        for client in clients:
            client.join()
            if client.failure:
                raise client.failure
            self.granted |= client.granted
            self.revoked |= client.revoked
        self.server.start_again()
        self.check([operation for client in clients for operation in client.operations])

    def check(self, operations):
        """With the server's word on what there is now."""
        with Connection(self.server) as connection:
            now = Operation(("all",), time.monotonic())
            connection.ask(now)
            self.history.check(connection.commits(self.history.revision + 1, now.revision), [*operations, now])
            for lease in self.random.sample(sorted(self.granted), min(5, len(self.granted))):
                told = connection.leases.LeaseTimeToLive(rpc.LeaseTimeToLiveRequest(ID=lease, keys=True))
                tap.expect((told.TTL > 0, sorted(told.keys)), (True, self.history.keys_of(lease)))
            for lease in self.random.sample(sorted(self.revoked), min(5, len(self.revoked))):
                tap.expect(connection.leases.LeaseTimeToLive(rpc.LeaseTimeToLiveRequest(ID=lease)).TTL, -1)
        self.rounds += 1
        self.answers += sum(operation.end != math.inf for operation in operations)


class Restless(MusterServer):
    """Writes snapshots often, changes how it syncs, and is sometimes killed again while it starts."""

    def __init__(self, stack, chance):
        super().__init__(stack, *SETTINGS)
        self.random = chance

    def start_again(self):
        # Without a loss of power relaxed durability loses nothing either.
        self.muster.arguments = [*SETTINGS, "--set", f"store.durability={self.random.choice(['disk', 'relaxed'])}"]
        if self.random.random() < 0.3:
            words = ["serve", "--data", str(self.muster.path / "data"), "--listen", "127.0.0.1:0"]
            unlucky = start(*words, "--gateway", "127.0.0.1:0", stderr=subprocess.DEVNULL)
            with contextlib.suppress(subprocess.TimeoutExpired):
                unlucky.wait(0.03 * self.random.random())
            unlucky.kill()
            unlucky.wait()
        super().start_again()


def survive(server, chance, seconds):
    trial = Trial(server, chance)
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        trial.round()
    print(f"# {trial.rounds} rounds, {trial.answers} answers, {trial.history.changes} changes, of which"
          f" {trial.history.unanswered} were not answered")


def seed():
    if grpc is None:
        raise tap.Skip("there is no grpcio for Python")
    given = int(os.environ.get("MUSTER_TEST_SEED", time.time_ns()))
    print(f"# MUSTER_TEST_SEED={given}")
    return random.Random(given)


def etcd_survives():
    """The test itself is tested: by a server that is known to do it, and by the next case."""
    with contextlib.ExitStack() as stack:
        survive(EtcdServer(stack), seed(), ETCD_SECONDS)


def muster_survives():
    with contextlib.ExitStack() as stack:
        chance = seed()
        survive(Restless(stack, chance), chance, MUSTER_SECONDS)


# -------- the checker


def put(start, end, revision, key=b"k", value=b"v", previous=None):
    answered = {"end": end, "revision": revision, "answer": previous} if end else {}
    return Operation(("put", key, value, 0), start, **answered)


def get(start, end, revision, pair):
    return Operation(("get", b"k"), start, end, pair, revision)


def what_cannot_be_is_found():
    """Histories of a key that is put twice; a pair of the one and of the other value."""
    one, two = Pair(b"k", b"v", 2, 2, 1, 0), Pair(b"k", b"w", 2, 3, 2, 0)
    commits = [(2, [one]), (3, [two])]
    first, second = put(1, 2, 2), put(3, 4, 3, value=b"w", previous=one)
    possible = [
        [first, second],
        [first, second, get(0, 5, 1, None)],
        [first, second, get(1.5, 2.5, 2, one), get(3.5, 5, 2, one), get(3.5, 5, 3, two)],
        [put(1, None, 0), put(1, None, 0, value=b"w"), put(1, None, 0, value=b"never")],
    ]
    for operations in possible:
        History().check(commits, copies(operations))
    impossible = [
        ([first, second, put(5, 6, 4)], commits, "answered, but not in the history"),
        ([first], commits, "nobody asked for revision 3"),
        ([first, second], commits[1:], "revisions after 1 are [3]"),
        ([first, second, put(1, 2, 2)], commits, "should have been told"),
        ([put(1, None, 0)], [(2, [one]), (3, [Pair(b"k", b"v", 2, 3, 2, 0)])], "nobody asked for revision 3"),
        ([first, put(3, 4, 3, value=b"w")], commits, "nobody asked for revision 3"),
        ([first, second, get(5, 6, 3, one)], commits, "should have been told"),
        ([first, second, get(5, 6, 2, one)], commits, "began after the end of"),
        ([put(3, 4, 2), put(1, 2, 3, value=b"w", previous=one)], commits, "began after the end of"),
        ([put(5, None, 0), put(1, 2, 3, value=b"w", previous=one)], commits, "began after the end of"),
    ]
    # The last key of a lease is deleted, and then the lease revoked: both are told the revision of the deletion.
    leased = one._replace(lease=7)
    begin, delete = Operation(("put", b"k", b"v", 7), 1, 2, None, 2), Operation(("delete", b"k"), 3, 5, leased, 3)
    revoke, history = Operation(("revoke", 7), 3.5, 5.5, None, 3), [(2, [leased]), (3, [b"k"])]
    History().check(history, copies([begin, revoke, delete]))
    impossible.append(([begin, delete, delete], history, "should have been told"))
    for operations, history, expected in impossible:
        try:
            History().check(history, copies(operations))
        except Wrong as wrong:
            tap.expect(expected in str(wrong), True)
        else:
            raise AssertionError(f"it is not found: {expected}")


def copies(operations):
    return [dataclasses.replace(operation) for operation in operations]


if __name__ == "__main__":
    sys.exit(
        tap.main(
            [
                ("the checker finds what cannot be", what_cannot_be_is_found),
                *([] if SANITIZED else [("etcd survives kill -9", etcd_survives)]),
                ("muster survives kill -9", muster_survives),
            ]
        )
    )
