# SPDX-License-Identifier: Apache-2.0
"""gRPC over HTTP/2 by hand, for what no library would send. Heads are written without any compression."""

import collections
import struct

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
END_STREAM, END_HEADERS, ACK = 1, 4, 1
CANCEL = 8
MAX_CONCURRENT_STREAMS, INITIAL_WINDOW_SIZE = 3, 4
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

Frame = collections.namedtuple("Frame", "type flags stream payload")


def frame(kind, flags, stream, payload=b""):
    return struct.pack(">IBI", len(payload) << 8 | kind, flags, stream) + payload


def length(n):
    """As protobuf and HPACK have it, for what is short."""
    assert n < 127
    return bytes([n])


def field(name, value):
    return b"\x00" + length(len(name)) + name.encode() + length(len(value)) + value.encode()


def message(body):
    return struct.pack(">BI", 0, len(body)) + body


class Connection:
    """On a connected socket."""

    def __init__(self, sock, window=65535):
        self.sock = sock
        self.taken = b""
        self.streams = 0
        sock.sendall(PREFACE + frame(SETTINGS, 0, 0, struct.pack(">HI", INITIAL_WINDOW_SIZE, window)))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sock.close()

    def call(self, path, *messages):
        """Begins a call, and sends these bytes; gives its stream."""
        stream = 2 * self.streams + 1
        self.streams += 1
        fields = {":method": "POST", ":scheme": "http", ":path": path, ":authority": "x"}
        fields |= {"content-type": "application/grpc", "te": "trailers"}
        head = b"".join(field(name, value) for name, value in fields.items())
        self.sock.sendall(frame(HEADERS, END_HEADERS, stream, head))
        for one in messages:
            self.send(stream, one)
        return stream

    def send(self, stream, data, end=False):
        self.sock.sendall(frame(DATA, END_STREAM if end else 0, stream, data))

    def reset(self, stream):
        self.sock.sendall(frame(RST_STREAM, 0, stream, struct.pack(">I", CANCEL)))

    def await_bytes(self, n):
        """Until so many have come; what a time-out interrupts goes on with the next call."""
        while len(self.taken) < n:
            piece = self.sock.recv(65536)
            if not piece:
                raise AssertionError("the connection was closed")
            self.taken += piece

    def receive(self):
        """The next frame; GOAWAY is a failure, since everything here should cost a stream at most."""
        self.await_bytes(9)
        head, flags, stream = struct.unpack(">IBI", self.taken[:9])
        end_at = 9 + (head >> 8)
        self.await_bytes(end_at)
        got = Frame(head & 255, flags, stream, self.taken[9:end_at])
        self.taken = self.taken[end_at:]
        if got.type == GOAWAY:
            raise AssertionError(f"the server gives the connection up: {got.payload}")
        if got.type == SETTINGS and not got.flags & ACK:
            self.sock.sendall(frame(SETTINGS, ACK, 0))
        return got

    def receive_settings(self):
        """What the server's first frame says, by number."""
        got = self.receive()
        assert got.type == SETTINGS, got
        return dict(struct.iter_unpack(">HI", got.payload))

    def receive_data(self, stream):
        """The next piece of the answer to this one."""
        while (got := self.receive())[:3] != (DATA, 0, stream):
            if got.stream == stream and is_end(got):
                raise AssertionError(f"stream {stream} ended: {got}")
        return got.payload

    def wait_for_ends(self, streams):
        left = set(streams)
        while left:
            got = self.receive()
            if is_end(got):
                left.discard(got.stream)


def is_end(got):
    return got.type == RST_STREAM or got.type in (DATA, HEADERS) and got.flags & END_STREAM
