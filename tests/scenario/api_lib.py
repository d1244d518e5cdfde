# SPDX-License-Identifier: Apache-2.0
"""A client of the REST API, in the standard library alone."""

import http.client
import json
import socket
import time
import types
import urllib.parse

from lib import SECONDS


def address(muster):
    host, port = muster.address().rsplit(":", 1)
    return host, int(port)


def quote(name):
    return urllib.parse.quote(name, safe="")


def instance_path(service, name):
    return f"/api/v1/services/{quote(service)}/instances/{quote(name)}"


def call(muster, method, path, body=None, headers=None):
    """Gives status, headers, text, and json where the answer is some."""
    connection = http.client.HTTPConnection(*address(muster), timeout=SECONDS)
    fields = dict(headers or {})
    if body is not None and not isinstance(body, (bytes, str)):
        body = json.dumps(body)
        fields.setdefault("Content-Type", "application/json")
    connection.request(method, path, body, fields)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    kind = answer.getheader("content-type", "")
    parsed = json.loads(text) if text and "json" in kind else None
    return types.SimpleNamespace(status=answer.status, headers=answer.headers, text=text, json=parsed, kind=kind)


def get(muster, path, **headers):
    return call(muster, "GET", path, headers=headers)


def register(muster, service, name, address="http@10.0.0.7:8080", **members):
    answer = call(muster, "PUT", instance_path(service, name), {"address": address, **members})
    if answer.status not in (200, 201):
        raise AssertionError(f"{answer.status} {answer.text}")
    return answer.json


def deregister(muster, service, name):
    return call(muster, "DELETE", instance_path(service, name))


def names(muster, service, query=""):
    return [instance["id"] for instance in get(muster, f"/api/v1/services/{quote(service)}{query}").json["instances"]]


class Events:
    """A stream of Server-Sent Events, over a plain socket."""

    def __init__(self, muster, path="/api/v1/watch", method="GET", body=None, headers=None):
        self.connection = socket.create_connection(address(muster), SECONDS)
        lines = [f"{method} {path} HTTP/1.0", "Host: x"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        payload = json.dumps(body) if body is not None else ""
        if payload:
            lines += ["Content-Type: application/json", f"Content-Length: {len(payload)}"]
        self.connection.sendall(("\r\n".join(lines) + "\r\n\r\n" + payload).encode())
        self.taken = b""
        self.head = self._take_to(b"\r\n\r\n").decode()
        self.status = int(self.head.split()[1])

    def _take_to(self, mark):
        deadline = time.monotonic() + SECONDS
        while mark not in self.taken:
            if time.monotonic() > deadline:
                raise AssertionError(f"nothing of note within {SECONDS} s; left: {self.taken!r}")
            piece = self.connection.recv(65536)
            if not piece:
                raise EOFError(f"the stream ended; left: {self.taken!r}")
            self.taken += piece
        block, self.taken = self.taken.split(mark, 1)
        return block

    def next(self):
        """The next event, comments passed over."""
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            fields = [line.split(": ", 1) for line in self._take_to(b"\n\n").decode().split("\n")]
            found = {name: value for name, *value in fields if name and value}
            if "event" in found:
                data = json.loads(found["data"][0])
                return types.SimpleNamespace(event=found["event"][0], id=found.get("id", [None])[0], data=data)
        raise AssertionError(f"no event within {SECONDS} s")

    def comment(self):
        """Waits for the next line that is a comment and nothing else."""
        return self._take_to(b":\n\n")

    def until(self, event, kind=None):
        """The next event with this name (and kind); those before it are passed over."""
        while True:
            found = self.next()
            if found.event == event and (kind is None or found.data["kind"] == kind):
                return found

    def ends(self):
        """Whether the server ends it, after what it still has to say."""
        while True:
            piece = self.connection.recv(65536)
            if not piece:
                return True
            self.taken += piece

    def close(self):
        self.connection.close()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()
