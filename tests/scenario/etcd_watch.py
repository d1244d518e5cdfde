#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""Watches of etcd v3, with etcdctl, python3-etcd3 and bare gRPC, against etcd and muster."""

import contextlib
import queue
import signal
import sys

from etcd_lib import SECONDS, MusterServer, grpc, main, rpc, tap

PUT, DELETE = 0, 1


def length(n):
    return bytes([n]) if n < 128 else bytes([n & 127 | 128, n >> 7])


class Stream:
    """
    One call of Watch.Watch. Requests are bytes, since the client's messages lack some fields. The time limit is for all
    that is done while it is open, above all for the thousands of changes that it hears of.
    """

    def __init__(self, channel):
        self.requests = queue.Queue()
        call = channel.stream_stream("/etcdserverpb.Watch/Watch", None, rpc.WatchResponse.FromString)
        self.answers = call(iter(self.requests.get, None), timeout=5 * SECONDS)

    def create(self, key, watch_id=0, **fields):
        request = rpc.WatchCreateRequest(key=key, **fields).SerializeToString() + bytes([0x38, watch_id])
        self.requests.put(b"\x0a" + length(len(request)) + request)

    def cancel(self, watch_id):
        self.requests.put(bytes([0x12, 2, 0x08, watch_id]))

    def ask_progress(self):
        self.requests.put(b"\x1a\x00")

    def hear(self):
        return next(self.answers)

    def hear_events(self, n):
        """The next n events, from however many answers."""
        events = []
        while len(events) < n:
            answer = self.hear()
            tap.expect((answer.created, answer.canceled), (False, False))
            events += [
                (answer.watch_id, event.type, event.kv.key, event.kv.value, event.kv.mod_revision)
                for event in answer.events
            ]
        return events


@contextlib.contextmanager
def watching(server):
    with server.channel() as channel:
        stream = Stream(channel)
        yield stream, rpc.KVStub(channel)
        stream.requests.put(None)


def put(kv, key, value=b"", **fields):
    return kv.Put(rpc.PutRequest(key=key, value=value, **fields)).header.revision


def events_of_a_prefix(server):
    with watching(server) as (stream, kv):
        now = put(kv, b"p/0", b"old")
        stream.create(b"p/", range_end=b"p0")
        created = stream.hear()
        tap.expect((created.created, created.watch_id, created.header.revision), (True, 0, now))
        put(kv, b"other")
        put(kv, b"p/1", b"new")
        kv.DeleteRange(rpc.DeleteRangeRequest(key=b"p/", range_end=b"p0"))
        tap.expect(
            stream.hear_events(3),
            [(0, PUT, b"p/1", b"new", now + 2), (0, DELETE, b"p/0", b"", now + 3), (0, DELETE, b"p/1", b"", now + 3)],
        )


def history_then_news(server):
    with watching(server) as (stream, kv):
        first = put(kv, b"hi/k", b"0")
        for i in range(1, 2000):
            put(kv, b"hi/k" if i % 2 == 0 else b"hi/other", b"%d" % i)
        stream.create(b"hi/k", start_revision=first)
        tap.expect(stream.hear().created, True)
        put(kv, b"hi/k", b"2000")
        events = stream.hear_events(1001)
        tap.expect([event[4] for event in events], list(range(first, first + 2001, 2)))
        tap.expect(events[-1][3], b"2000")


def a_future_revision(server):
    with watching(server) as (stream, kv):
        now = put(kv, b"fu/k")
        stream.create(b"fu/k", start_revision=now + 3)
        tap.expect(stream.hear().created, True)
        for _ in range(4):
            put(kv, b"fu/k")
        tap.expect([event[4] for event in stream.hear_events(2)], [now + 3, now + 4])


def previous_pairs_and_filters(server):
    with watching(server) as (stream, kv):
        put(kv, b"pf/k", b"1")
        stream.create(b"pf/k", prev_kv=True)
        stream.create(b"pf/k", filters=[rpc.WatchCreateRequest.NOPUT])
        stream.create(b"pf/k", filters=[rpc.WatchCreateRequest.NODELETE])
        tap.expect([stream.hear().watch_id for _ in range(3)], [0, 1, 2])
        put(kv, b"pf/k", b"2")
        kv.DeleteRange(rpc.DeleteRangeRequest(key=b"pf/k"))
        put(kv, b"pf/k", b"3")
        heard = {0: [], 1: [], 2: []}
        while sum(len(events) for events in heard.values()) < 6:
            answer = stream.hear()
            heard[answer.watch_id] += answer.events
        tap.expect([event.type for event in heard[0]], [PUT, DELETE, PUT])
        tap.expect([event.prev_kv.value for event in heard[0]], [b"1", b"2", b""])
        tap.expect(heard[0][2].HasField("prev_kv"), False)
        tap.expect([event.type for event in heard[1]], [DELETE])
        tap.expect([event.kv.value for event in heard[2]], [b"2", b"3"])
        tap.expect(heard[2][0].HasField("prev_kv"), False)


def ids_and_refusals(server):
    with watching(server) as (stream, kv):
        stream.create(b"id/k", watch_id=5)
        tap.expect(stream.hear().watch_id, 5)
        stream.create(b"id/k", watch_id=5)
        answer = stream.hear()
        tap.expect((answer.created, answer.canceled, answer.watch_id), (True, True, -1))
        tap.expect(answer.cancel_reason, "mvcc: duplicate watch ID provided on the WatchStream")
        stream.create(b"id/z", range_end=b"id/a")
        answer = stream.hear()
        tap.expect((answer.created, answer.canceled, answer.watch_id), (True, True, -1))
        stream.create(b"id/k")
        tap.expect(stream.hear().watch_id, 0)
        stream.cancel(77)  # nobody's: no answer
        stream.cancel(5)
        answer = stream.hear()
        tap.expect((answer.created, answer.canceled, answer.watch_id), (False, True, 5))
        put(kv, b"id/k", b"v")
        tap.expect(stream.hear_events(1)[0][0], 0)


def compacted_start(server):
    with watching(server) as (stream, kv):
        first = put(kv, b"co/k", b"1")
        put(kv, b"co/k", b"2")
        last = put(kv, b"co/k", b"3")
        kv.Compact(rpc.CompactionRequest(revision=last, physical=True))
        stream.create(b"co/k", start_revision=first)
        answer = stream.hear()
        tap.expect((answer.created, answer.canceled, answer.compact_revision), (True, False, 0))
        answer = stream.hear()
        tap.expect((answer.created, answer.canceled, answer.compact_revision), (False, True, last))
        stream.create(b"co/k", start_revision=last)
        tap.expect(stream.hear().created, True)
        tap.expect(stream.hear_events(1)[0][3], b"3")


def progress(server):
    with watching(server) as (stream, kv):
        stream.create(b"pr/k")
        tap.expect(stream.hear().created, True)
        now = put(kv, b"pr/other")
        stream.ask_progress()
        answer = stream.hear()
        tap.expect((answer.watch_id, list(answer.events), answer.header.revision), (-1, [], now))


def transactions_stay_together(server):
    with watching(server) as (stream, kv):
        stream.create(b"tt/", range_end=b"tt0")
        tap.expect(stream.hear().created, True)
        operations = [rpc.RequestOp(request_put=rpc.PutRequest(key=b"tt/%02d" % i)) for i in range(50)]
        kv.Txn(rpc.TxnRequest(success=operations))
        answer = stream.hear()
        tap.expect([event.kv.key for event in answer.events], [b"tt/%02d" % i for i in range(50)])
        tap.expect(len({event.kv.mod_revision for event in answer.events}), 1)


def many_watches_of_one_stream(server):
    with watching(server) as (stream, kv):
        for i in range(1000):
            stream.create(b"mw/%d" % (i % 10))
        for i in range(1000):
            tap.expect(stream.hear().watch_id, i)
        put(kv, b"mw/3")
        put(kv, b"mw/4")
        ids = {event[0] for event in stream.hear_events(200)}
        tap.expect(ids, {i for i in range(1000) if i % 10 in (3, 4)})


def a_client_that_does_not_read(server):
    """Its neighbours on the same connection get their events, and it gets its own in the end."""
    with server.channel() as channel:
        kv = rpc.KVStub(channel)
        slow, quick = Stream(channel), Stream(channel)
        for stream in (slow, quick):
            stream.create(b"sl/k")
            tap.expect(stream.hear().created, True)
        first = put(kv, b"sl/k", bytes(10000))
        for _ in range(300):
            put(kv, b"sl/k", bytes(10000))
        expected = list(range(first, first + 301))
        tap.expect([event[4] for event in quick.hear_events(301)], expected)
        tap.expect([event[4] for event in slow.hear_events(301)], expected)
        slow.requests.put(None)
        quick.requests.put(None)


def etcdctl_watch(server):
    """Interactive, so that its end can be said: two watches, one from the past."""
    revision = server.etcdctl_json("put", "ctl/k", "1")["header"]["revision"]
    with server.etcdctl_start("watch", "ctl/", "--prefix", "--prev-kv", f"--rev={revision}") as process:
        lines = [process.stdout.readline() for _ in range(3)]
        tap.expect(lines, ["PUT\n", "ctl/k\n", "1\n"])
        server.etcdctl("put", "ctl/k", "2")
        lines = [process.stdout.readline() for _ in range(5)]
        tap.expect(lines, ["PUT\n", "ctl/k\n", "1\n", "ctl/k\n", "2\n"])
        server.etcdctl("del", "ctl/k")
        lines = [process.stdout.readline() for _ in range(4)]
        tap.expect(lines, ["DELETE\n", "ctl/k\n", "2\n", "ctl/k\n"])
        process.kill()


def python_watch(server):
    """The loop of a discovery client: list, then watch from there."""
    with server.python() as client:
        client.put("py/a", "1")
        tap.expect([(meta.key, value) for value, meta in client.get_prefix("py/")], [(b"py/a", b"1")])
        events, cancel = client.watch_prefix("py/")
        client.put("py/b", "2")
        client.delete_prefix("py/")
        tap.expect([(type(event).__name__, event.key) for event in (next(events), next(events), next(events))],
                   [("PutEvent", b"py/b"), ("DeleteEvent", b"py/a"), ("DeleteEvent", b"py/b")])
        cancel()
        with client.lock("py-lock", ttl=20):
            tap.expect(client.get("/locks/py-lock")[0] is not None, True)
        tap.expect(client.get("/locks/py-lock"), (None, None))


def half_close(server):
    """A client that has said all still wants to hear, as curl does on the JSON gateway."""
    with watching(server) as (stream, kv):
        stream.create(b"hc/k")
        stream.requests.put(None)
        tap.expect(stream.hear().created, True)
        now = put(kv, b"hc/k", b"v")
        tap.expect(stream.hear_events(1), [(0, PUT, b"hc/k", b"v", now)])
        stream.answers.cancel()


def streams_end_with_the_server():
    """Unavailable is what makes clients look for another server and go on."""
    with contextlib.ExitStack() as stack:
        server = MusterServer(stack)
        channel = stack.enter_context(server.channel())
        watch = Stream(channel)
        watch.create(b"k")
        tap.expect(watch.hear().created, True)
        requests = queue.Queue()
        lease = rpc.LeaseStub(channel).LeaseKeepAlive(iter(requests.get, None), timeout=SECONDS)
        requests.put(rpc.LeaseKeepAliveRequest(ID=1))
        tap.expect(next(lease).TTL, 0)
        server.muster.signal(signal.SIGTERM)
        for answers in (watch.answers, lease):
            tap.expect(answers.code(), grpc.StatusCode.UNAVAILABLE)
            tap.expect(answers.details(), "etcdserver: server stopped")
        watch.requests.put(None)
        requests.put(None)
        tap.expect(server.muster.end(), 0)
        tap.expect("drained: every request has been answered" in server.muster.log(), True)


sys.exit(
    main(
        [
            ("a prefix is watched", events_of_a_prefix),
            ("history comes first, then the news, without gap or repeat", history_then_news),
            ("a watch from the future waits", a_future_revision),
            ("previous pairs and filters", previous_pairs_and_filters),
            ("ids, duplicates, impossible ranges and cancels", ids_and_refusals),
            ("a watch from what is compacted is told so", compacted_start),
            ("progress is told on request", progress),
            ("the events of a transaction stay together", transactions_stay_together),
            ("a thousand watches share a stream", many_watches_of_one_stream),
            ("a client that does not read harms nobody and loses nothing", a_client_that_does_not_read),
            ("etcdctl watches", etcdctl_watch),
            ("python3-etcd3 lists, watches and locks", python_watch),
            ("a stream goes on when the client has said all", half_close),
        ],
        muster_only=[("streams end with the server", streams_end_with_the_server)],
    )
)
