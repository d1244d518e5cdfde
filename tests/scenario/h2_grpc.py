#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""gRPC with grpcio: the health service, checked and watched. Messages are written by hand: they have one field."""

import contextlib
import signal
import sys

try:
    import grpc
except ImportError:
    grpc = None

from lib import SECONDS, Muster, tap

UNKNOWN, SERVING, NOT_SERVING, SERVICE_UNKNOWN = range(4)


def encode(service):
    name = service.encode()
    return b"\x0a" + bytes([len(name)]) + name if name else b""


def decode(message):
    return message[1] if message else UNKNOWN


@contextlib.contextmanager
def connected(*arguments):
    """A muster and a channel to it."""
    if grpc is None:
        raise tap.Skip("there is no grpcio for Python")
    with Muster(*arguments) as muster, grpc.insecure_channel(muster.address()) as connection:
        yield muster, connection


def method(kind, connection, name):
    return getattr(connection, kind)(
        f"/grpc.health.v1.Health/{name}", request_serializer=encode, response_deserializer=decode
    )


def check(connection, service="", **options):
    return method("unary_unary", connection, "Check")(service, timeout=SECONDS, **options)


def failure(call):
    try:
        call()
    except grpc.RpcError as error:
        return error.code(), error.details()
    raise AssertionError("the call succeeded")


def checks_the_server():
    with connected() as (_, connection):
        for _ in range(100):
            tap.expect(check(connection), SERVING)


def unknown_services_are_not_found():
    with connected() as (_, connection):
        code, details = failure(lambda: check(connection, "no.such.Service"))
        tap.expect(code, grpc.StatusCode.NOT_FOUND)
        tap.expect(details, 'no such service; "" is the server as a whole')
        tap.expect(check(connection), SERVING)


def unknown_methods_are_unimplemented():
    with connected() as (_, connection):
        code, _ = failure(lambda: method("unary_unary", connection, "Heal")("", timeout=SECONDS))
        tap.expect(code, grpc.StatusCode.UNIMPLEMENTED)


def compressed_messages_are_unimplemented():
    with connected() as (_, connection):
        code, _ = failure(lambda: check(connection, "a" * 100, compression=grpc.Compression.Gzip))
        tap.expect(code, grpc.StatusCode.UNIMPLEMENTED)
        tap.expect(check(connection), SERVING)


def too_large_messages_exhaust_resources():
    with connected() as (_, connection):
        send = connection.unary_unary("/grpc.health.v1.Health/Check")
        code, _ = failure(lambda: send(b"\x0a" + bytes(5000), timeout=SECONDS))
        tap.expect(code, grpc.StatusCode.RESOURCE_EXHAUSTED)
        code, _ = failure(lambda: send(b"\xff\xff", timeout=SECONDS))
        tap.expect(code, grpc.StatusCode.INTERNAL)
        tap.expect(check(connection), SERVING)


def watches_and_is_told_of_the_end():
    with connected() as (muster, connection):
        watch = method("unary_stream", connection, "Watch")("")
        tap.expect(next(watch), SERVING)
        unknown = method("unary_stream", connection, "Watch")("no.such.Service")
        tap.expect(next(unknown), SERVICE_UNKNOWN)
        unknown.cancel()
        muster.signal(signal.SIGTERM)
        tap.expect(next(watch), NOT_SERVING)
        watch.cancel()
        tap.expect(muster.end(), 0)


def many_watches_share_a_connection():
    with connected() as (_, connection):
        watches = [method("unary_stream", connection, "Watch")("") for _ in range(100)]
        for watch in watches:
            tap.expect(next(watch), SERVING)
        for watch in watches:
            watch.cancel()
        tap.expect(check(connection), SERVING)


CASES = [
    ("Check says that the server serves", checks_the_server),
    ("an unknown service is NOT_FOUND", unknown_services_are_not_found),
    ("an unknown method is UNIMPLEMENTED", unknown_methods_are_unimplemented),
    ("a compressed message is UNIMPLEMENTED", compressed_messages_are_unimplemented),
    ("a message too large or malformed ends its call alone", too_large_messages_exhaust_resources),
    ("Watch tells now and when it changes", watches_and_is_told_of_the_end),
    ("many watches share a connection", many_watches_share_a_connection),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
