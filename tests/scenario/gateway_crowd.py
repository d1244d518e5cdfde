#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Too many of something at the gateway: requests on one connection, connections of one client, open descriptors."""

import sys
import threading

import raw_h2
from gateway_lib import OK, Gateway, Instance
from lib import SECONDS, tap


def one_http2_connection_has_so_many_requests():
    release = threading.Event()

    def hold(request, connection):
        release.wait(SECONDS)
        return OK

    with Gateway("--workers", "1") as gateway, Instance(gateway, answer=hold) as instance:
        with raw_h2.Connection(gateway.connect()) as registry:
            tap.expect(registry.receive_settings()[raw_h2.MAX_CONCURRENT_STREAMS], 10000)
        with raw_h2.Connection(gateway.connect("gateway")) as client:
            tap.expect(client.receive_settings()[raw_h2.MAX_CONCURRENT_STREAMS], 128)
            streams = [client.call(instance.path) for _ in range(129)]
            while not raw_h2.is_end(got := client.receive()):
                pass
            tap.expect((got.type, got.stream), (raw_h2.RST_STREAM, streams[-1]))
            for stream in streams[:-1]:
                client.send(stream, b"", end=True)
            release.set()
            client.wait_for_ends(streams[:-1])


CASES = [
    ("one HTTP/2 connection has at most gateway.streams requests", one_http2_connection_has_so_many_requests),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
