#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""
What clients of etcd should not send, against etcd and muster: each gets its error, and nobody else notices, neither the
other streams of the connection nor the memory of the server.
"""

import contextlib
import queue
import socket
import struct
import sys

import raw_h2
from etcd_lib import SECONDS, MusterServer, grpc, main, rpc, tap
from lib import receive_to_end

MIB = 1024 * 1024
KV, WATCH, KEEP_ALIVE = "/etcdserverpb.KV/", "/etcdserverpb.Watch/Watch", "/etcdserverpb.Lease/LeaseKeepAlive"
MALFORMED = [
    b"\x0a",  # a length is missing
    b"\x0a\x05ab",  # longer than the message
    b"\x0a\xff\xff\xff\xff\x0f",  # much longer
    b"\xff" * 11,  # a number without end
    b"\x00\x01",  # there is no field 0
    b"\x0e",  # nor kind 6
    b"\x0b",  # a group that does not end
]


def outcome(call, *arguments, **options):
    try:
        call(*arguments, timeout=SECONDS, **options)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    return "OK", None


class Stream:
    """A call with streams both ways, of bytes."""

    def __init__(self, channel, path):
        self.requests = queue.Queue()
        self.answers = channel.stream_stream(path)(iter(self.requests.get, None), timeout=5 * SECONDS)

    def ask(self, message):
        self.requests.put(message)
        return next(self.answers)


@contextlib.contextmanager
def among_neighbours(server):
    """A channel, which is one connection, with a watch and a keep-alive that must live through what is done to it."""
    if grpc is None:
        raise tap.Skip("there is no grpcio for Python")
    with grpc.insecure_channel(f"{server.host}:{server.port}", [("grpc.max_send_message_length", -1)]) as channel:
        kv, leases = rpc.KVStub(channel), rpc.LeaseStub(channel)
        watch, renewal = Stream(channel, WATCH), Stream(channel, KEEP_ALIVE)
        create = rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=b"neighbour"))
        tap.expect(rpc.WatchResponse.FromString(watch.ask(create.SerializeToString())).created, True)
        lease = leases.LeaseGrant(rpc.LeaseGrantRequest(TTL=600)).ID
        try:
            yield channel
            kv.Put(rpc.PutRequest(key=b"neighbour", value=b"alive"))
            heard = rpc.WatchResponse.FromString(next(watch.answers))
            tap.expect([event.kv.value for event in heard.events], [b"alive"])
            keep_alive = rpc.LeaseKeepAliveRequest(ID=lease).SerializeToString()
            tap.expect(rpc.LeaseKeepAliveResponse.FromString(renewal.ask(keep_alive)).TTL, 600)
        finally:
            watch.requests.put(None)
            renewal.requests.put(None)
        leases.LeaseRevoke(rpc.LeaseRevokeRequest(ID=lease))


def malformed_messages(server):
    paths = [KV + name for name in ("Range", "Put", "DeleteRange", "Txn", "Compact")]
    paths += [f"/etcdserverpb.Lease/Lease{name}" for name in ("Grant", "Revoke", "TimeToLive")]
    with among_neighbours(server) as channel:
        for path in paths:
            for message in MALFORMED:
                code, text = outcome(channel.unary_unary(path), message)
                tap.expect((path, message, code), (path, message, "INTERNAL"))
                tap.expect(text.split(": ")[:2], ["grpc", "error unmarshalling request"])
        for path in (WATCH, KEEP_ALIVE):
            for message in MALFORMED:
                stream = Stream(channel, path)
                stream.requests.put(message)
                tap.expect((path, message, stream.answers.code().name), (path, message, "INTERNAL"))
                stream.requests.put(None)


def fields_of_a_newer_version(server):
    """What is unknown but well formed is passed over."""
    with among_neighbours(server) as channel:
        put = channel.unary_unary(KV + "Put")
        for extra in (b"\xfa\x7f\x03abc", b"\xf8\x7f\x01", b"\xf9\x7f" + bytes(8), b"\xfd\x7f" + bytes(4)):
            tap.expect(outcome(put, b"\x0a\x01u" + extra), ("OK", None))


def unknown_enums(server):
    """A compare that is none of those known holds; so does each of its sides."""
    with among_neighbours(server) as channel:
        for compare in (b"\x08\x09\x1a\x01k", b"\x10\x09\x1a\x01k", b"\x08\x09\x10\x09\x1a\x01k"):
            answer = channel.unary_unary(KV + "Txn")(b"\x0a" + bytes([len(compare)]) + compare, timeout=SECONDS)
            tap.expect(rpc.TxnResponse.FromString(answer).succeeded, True)
        too_far = b"\x0a\x01k\x18" + b"\x80" * 9 + b"\x01"  # a limit of minus 2 to the 63
        tap.expect(outcome(channel.unary_unary(KV + "Range"), too_far), ("OK", None))


def unknown_orders():
    """Etcd 3.4 ends by a sort target or an alarm that it does not know: only muster is asked."""
    with contextlib.ExitStack() as stack:
        server = MusterServer(stack)
        with among_neighbours(server) as channel:
            for request in (b"\x0a\x01k\x30\x09", b"\x0a\x01k\x28\x09", b"\x0a\x01k\x30" + b"\xff" * 9 + b"\x01"):
                tap.expect(outcome(channel.unary_unary(KV + "Range"), request),
                           ("INVALID_ARGUMENT", "etcdserver: invalid sort option"))
            tap.expect(outcome(channel.unary_unary("/etcdserverpb.Maintenance/Alarm"), b"\x08\x09"), ("OK", None))


def oversize_messages(server):
    with among_neighbours(server) as channel:
        put = rpc.KVStub(channel).Put
        for size, expected in (
            (MIB, ("OK", None)),
            (3 * MIB // 2, ("INVALID_ARGUMENT", "etcdserver: request is too large")),
            (2 * MIB - 100, ("INVALID_ARGUMENT", "etcdserver: request is too large")),
        ):
            tap.expect(outcome(put, rpc.PutRequest(key=b"big", value=bytes(size))), expected)
        for size in (2 * MIB, 3 * MIB, 16 * MIB):
            tap.expect(outcome(put, rpc.PutRequest(key=b"big", value=bytes(size)))[0], "RESOURCE_EXHAUSTED")
        stream = Stream(channel, WATCH)
        stream.requests.put(bytes(3 * MIB))
        tap.expect(stream.answers.code().name, "RESOURCE_EXHAUSTED")
        stream.requests.put(None)


def unknown_methods(server):
    with among_neighbours(server) as channel:
        for path, text in (
            (KV + "Steal", "unknown method Steal for service etcdserverpb.KV"),
            (KV + "put", "unknown method put for service etcdserverpb.KV"),
            (KV, "unknown method  for service etcdserverpb.KV"),
            ("/etcdserverpb.Nothing/Put", "unknown service etcdserverpb.Nothing"),
            ("/a.b.c/D", "unknown service a.b.c"),
        ):
            tap.expect(outcome(channel.unary_unary(path), b""), ("UNIMPLEMENTED", text))
        stream = Stream(channel, "/etcdserverpb.Watch/Wait")
        stream.requests.put(b"")
        tap.expect(stream.answers.code().name, "UNIMPLEMENTED")
        stream.requests.put(None)


def compressed_messages(server):
    with among_neighbours(server) as channel:
        put = rpc.KVStub(channel).Put
        request = rpc.PutRequest(key=b"compressed", value=bytes(1000))
        for compression in (grpc.Compression.Gzip, grpc.Compression.Deflate):
            tap.expect(outcome(put, request, compression=compression)[0], "UNIMPLEMENTED")
        tap.expect(outcome(put, request), ("OK", None))


# -------- by hand


def connect(server, receive_bytes=None):
    sock = socket.socket()
    sock.settimeout(SECONDS)
    if receive_bytes:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
    sock.connect((server.host, server.port))
    return sock


def watch_of(key):
    """The message that creates a watch of a short key."""
    return raw_h2.message(b"\x0a" + bytes([len(key) + 2]) + b"\x0a" + bytes([len(key)]) + key)


def broken_streams(server):
    """Calls that end in the middle of a message, or claim one that cannot be: others of the connection go on."""
    half = struct.pack(">BI", 0, 100) + b"half"
    with server.channel() as channel, raw_h2.Connection(connect(server)) as connection:
        watch = connection.call(WATCH, watch_of(b"broken"))
        connection.receive_data(watch)
        for path in (KV + "Put", KEEP_ALIVE, WATCH):
            cut = connection.call(path, half)
            connection.send(cut, b"", end=True)
            ends = [cut, connection.call(path, struct.pack(">BI", 0, 0xFFFFFFFF) + b"x")]
            ends += [connection.call(path, struct.pack(">BI", 1, 3) + b"abc")]  # compressed, by nothing that was named
            ends += [connection.call(path, struct.pack(">BI", 7, 3) + b"abc")]
            connection.wait_for_ends(ends)
            connection.reset(connection.call(path, half))
            connection.reset(connection.call(path))
        rpc.KVStub(channel).Put(rpc.PutRequest(key=b"broken", value=b"heard"))
        tap.expect(b"heard" in connection.receive_data(watch), True)


def connections_that_break(server):
    """In the middle of a head, of a frame, of a message; by an end and by a reset."""
    watch = watch_of(b"torn")
    with server.channel() as channel, raw_h2.Connection(connect(server)) as patient:
        stream = patient.call(WATCH, watch)
        patient.receive_data(stream)
        for i in range(200):
            connection = raw_h2.Connection(connect(server))
            called = connection.call(WATCH, watch)
            if i % 4 == 1:
                connection.send(called, watch[: len(watch) // 2])
            elif i % 4 == 2:
                connection.sock.sendall(raw_h2.frame(raw_h2.DATA, 0, called, watch)[:12])
            elif i % 4 == 3:
                connection.sock.sendall(raw_h2.frame(raw_h2.HEADERS, 0, called + 2, b"\x00")[:9])
            if i % 8 > 3:
                connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.sock.close()
        rpc.KVStub(channel).Put(rpc.PutRequest(key=b"torn", value=b"heard"))
        tap.expect(b"heard" in patient.receive_data(stream), True)


# -------- who never reads


@contextlib.contextmanager
def measured(most_bytes):
    """A muster of its own, whose memory must not grow by more than this meanwhile."""
    if grpc is None:
        raise tap.Skip("there is no grpcio for Python")
    with contextlib.ExitStack() as stack:
        # AddressSanitizer would keep what was freed.
        server = MusterServer(stack, env={"ASAN_OPTIONS": "quarantine_size_mb=1"})
        server.kv = rpc.KVStub(stack.enter_context(server.channel()))
        server.kv.Put(rpc.PutRequest(key=b"first"))
        before = server.muster.resident_bytes()
        yield server, stack
        grown = server.muster.resident_bytes() - before
        print(f"# grown by {grown // MIB} MiB")
        tap.expect(grown < most_bytes, True)
        server.kv.Put(rpc.PutRequest(key=b"last"))


def deaf(server, stack, window=2**31 - 1):
    return stack.enter_context(raw_h2.Connection(connect(server, 4096), window))


def watchers_that_never_read():
    """Twenty would hold 30 MiB each; the store itself holds them once, as history."""
    with measured(150 * MIB) as (server, stack):
        for window in (0, 65535, 2**31 - 1) * 7:
            deaf(server, stack, window).call(WATCH, watch_of(b"d"))
        with server.channel() as channel:
            quick = Stream(channel, WATCH)
            quick.ask(watch_of(b"d")[5:])
            for i in range(300):
                server.kv.Put(rpc.PutRequest(key=b"d", value=bytes(100000)))
                heard = rpc.WatchResponse.FromString(next(quick.answers))
                tap.expect(heard.events[0].kv.version, i + 1)
            quick.requests.put(None)


def readers_that_never_read():
    """One connection asks 100 times for 32 MiB, and takes nothing."""
    with measured(250 * MIB) as (server, stack):
        for i in range(64):
            server.kv.Put(rpc.PutRequest(key=b"r%02d" % i, value=bytes(MIB // 2)))
        for window in (0, 2**31 - 1):
            connection = deaf(server, stack, window)
            for _ in range(100):
                stream = connection.call(KV + "Range")
                connection.send(stream, raw_h2.message(b"\x0a\x01r\x12\x01s"), end=True)
        wait_for_requests(server)


def wait_for_requests(server):
    """Until the server has dealt with all that was sent before: another request on each of its threads."""
    for _ in range(100):
        with server.channel() as channel:
            rpc.KVStub(channel).Range(rpc.RangeRequest(key=b"first"))


def keep_alives_whose_answers_nobody_reads():
    """A flood that does not keep to the window either: the connection is given up."""
    with measured(50 * MIB) as (server, stack):
        connection = deaf(server, stack)
        stream = connection.call(KEEP_ALIVE)
        flood = raw_h2.frame(raw_h2.DATA, 0, stream, raw_h2.message(b"\x08\x01") * 2000)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for _ in range(100 * MIB // len(flood)):
                connection.sock.sendall(flood)
        with contextlib.suppress(OSError):  # it may be reset already, and then has no connection
            connection.sock.shutdown(socket.SHUT_WR)
        receive_to_end(connection.sock)


def everything_is_given_back():
    """Connections and calls that broke leave nothing behind."""
    with measured(100 * MIB) as (server, _):
        for _ in range(3):
            malformed_messages(server)
            broken_streams(server)
            connections_that_break(server)
        server.muster.wait_for_metric("muster_http_connections_open", 2)  # this one, and that of `measured`


if __name__ == "__main__":
    sys.exit(
        main(
            [
                ("malformed messages are INTERNAL", malformed_messages),
                ("unknown fields are passed over", fields_of_a_newer_version),
                ("unknown enums", unknown_enums),
                ("oversize messages", oversize_messages),
                ("unknown methods and services are UNIMPLEMENTED", unknown_methods),
                ("compressed messages are UNIMPLEMENTED", compressed_messages),
                ("calls that break off cost their stream alone", broken_streams),
                ("connections that break off cost nobody else", connections_that_break),
            ],
            muster_only=[
                ("unknown orders are refused", unknown_orders),
                ("watchers that never read are not kept waiting for in memory", watchers_that_never_read),
                ("readers that never read are not kept waiting for in memory", readers_that_never_read),
                ("a flood of keep-alives whose answers nobody reads", keep_alives_whose_answers_nobody_reads),
                ("what broke is given back", everything_is_given_back),
            ],
        )
    )
