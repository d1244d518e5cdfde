# SPDX-License-Identifier: Apache-2.0
"""A Docker engine for scenarios that is made up: its containers are a table, and it fails as it is told. And what it
and a real one (tests/support/engine.py) are asked for.

A made-up container is {"id", "name", "image", "labels", "port", "running", "paused", "health", "started"}.
"""

import contextlib
import datetime
import http.server
import json
import socket
import socketserver
import ssl
import threading
import time

from api_lib import get
from engine import SHORT

# ---- a made-up engine


class FakeEngine:
    """Speaks the Engine API on a Unix socket, or with TLS on a TCP port."""

    def __init__(self, path=None, tls=None):
        self.path, self.tls = path, tls
        self.lock = threading.Condition()
        self.containers, self.events, self.asked = {}, [], []
        self.events_status, self.delay, self.garbage = 200, 0, None
        self.streams = set()
        self.ahead_s = 0  # of the engine's clock
        self.listens = threading.Event()
        self.listens.set()
        self.server = None
        self.start()

    def start(self):
        engine = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                with contextlib.suppress(BrokenPipeError, ConnectionResetError, OSError):
                    engine.answer(self)

            def address_string(self):
                return "test"

            def date_time_string(self, timestamp=None):
                return super().date_time_string(engine.time_ns() / 10**9)

            def log_message(self, *_):
                pass

        family = socketserver.ThreadingUnixStreamServer if self.path else socketserver.ThreadingTCPServer
        family.daemon_threads = True
        family.request_queue_size = 128
        if self.path:
            self.path.unlink(missing_ok=True)
        self.server = family(str(self.path) if self.path else ("127.0.0.1", 0), Handler)
        if self.tls:
            self.server.socket = self.tls.wrap_socket(self.server.socket, server_side=True)
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self):
        """As if it had been killed: nobody takes connections any more, and those that are open break."""
        self.server.shutdown()
        self.server.server_close()
        self.cut()
        if self.path:
            self.path.unlink(missing_ok=True)

    def cut(self):
        """Ends all streams of events."""
        with self.lock:
            for stream in self.streams:
                with contextlib.suppress(OSError):
                    stream.shutdown(socket.SHUT_RDWR)
            self.streams.clear()
            self.lock.notify_all()

    # answers

    def answer(self, handler):
        path, _, query = handler.path.partition("?")
        path = "/" + path.split("/", 2)[2] if path.startswith("/v1.") else path
        with self.lock:
            self.asked.append(handler.path)
        if self.delay:
            time.sleep(self.delay)  # a slow engine: what is tested is that nothing depends on its being fast
        if path == "/events":
            self.tell(handler, query)
            return
        status, body = 200, None
        with self.lock:
            if path == "/version":
                body = {"ApiVersion": "1.43", "MinAPIVersion": "1.12"}
            elif path == "/containers/json":
                body = [{"Id": one["id"]} for one in self.containers.values() if one["running"]]
            else:
                one = self.containers.get(path.split("/")[2][:SHORT])
                status, body = (200, describe(one)) if one else (404, {"message": "No such container"})
        text = json.dumps(body).encode()
        if self.garbage:
            text = self.garbage(text)
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(text)))
        handler.end_headers()
        handler.wfile.write(text)

    def tell(self, handler, query):
        if self.events_status != 200:
            handler.send_response(self.events_status)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        stream = handler.connection
        with self.lock:  # before the client can know that it is followed, so that it can be cut from then on
            self.streams.add(stream)
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.flush()
        self.listens.wait()  # as engines do, it listens only when the head of its answer has left
        since = [word.split("=")[1] for word in query.split("&") if word.startswith("since=")]
        with self.lock:
            if since:
                first = int(float(since[0].split(".")[0])) * 10**9 + int(since[0].split(".")[1])
                at = next((i for i, event in enumerate(self.events) if event["timeNano"] >= first), len(self.events))
            else:
                at = len(self.events)
            while stream in self.streams:
                for event in self.events[at:]:
                    text = (json.dumps(event) + "\n").encode()
                    handler.wfile.write(b"%x\r\n%s\r\n" % (len(text), text))
                handler.wfile.flush()
                at = len(self.events)
                self.lock.wait()

    # what happens

    def time_ns(self):
        return time.time_ns() + self.ahead_s * 10**9

    def happens(self, one, action, **attributes):
        event = {
            "Type": "container",
            "Action": action,
            "Actor": {"ID": one["id"], "Attributes": {"name": one["name"], **attributes}},
            "timeNano": self.time_ns(),
        }
        self.events.append(event)
        self.lock.notify_all()

    def run(self, number, port, image="hello:latest", labels=None, health=None):
        """Starts container `number`, which publishes that port; gives its short id."""
        with self.lock:
            short = f"{number:0{SHORT}x}"
            one = self.containers.setdefault(short, {"id": short + "0" * 52, "name": f"c{number}", "image": image})
            one.update(labels=labels or {}, port=port, running=True, paused=False, health=health)
            started = datetime.datetime.fromtimestamp(self.time_ns() / 10**9, datetime.timezone.utc)
            one["started"] = started.isoformat()
            self.happens(one, "start")
        return short

    def signal(self, short, number):
        with self.lock:
            self.happens(self.containers[short], "kill", signal=str(number))

    def die(self, short, code, quietly=False):
        with self.lock:
            one = self.containers[short]
            one["running"] = False
            if not quietly:
                self.happens(one, "die", exitCode=str(code))

    def remove(self, short):
        with self.lock:
            self.happens(self.containers.pop(short), "destroy")

    def ids(self):
        with self.lock:
            return sorted(short for short, one in self.containers.items() if one["running"])

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.stop()


def describe(one):
    """The engine's description of a made-up container."""
    state = {
        "Status": "running" if one["running"] else "exited",
        "Running": one["running"],
        "Paused": one["paused"],
        "ExitCode": 0,
        "StartedAt": one["started"],
    }
    if one["health"]:
        state["Health"] = {"Status": one["health"], "Log": []}
    ports = {"80/tcp": [{"HostIp": "0.0.0.0", "HostPort": str(one["port"])}]} if one["running"] else {}
    return {
        "Id": one["id"],
        "Name": "/" + one["name"],
        "State": state,
        "Config": {"Image": one["image"], "Labels": one["labels"]},
        "NetworkSettings": {"Ports": ports, "Networks": {}},
    }


def server_tls(cert, key, ca):
    """For an engine that wants to know who asks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    context.load_verify_locations(ca)
    context.verify_mode = ssl.CERT_REQUIRED
    return context


# ---- a relay


class Relay:
    """Stands between muster and an engine, and cuts what goes through it."""

    def __init__(self, path, engine_path):
        self.path, self.engine_path = path, engine_path
        self.pairs, self.lock = set(), threading.Lock()
        self.server = socket.socket(socket.AF_UNIX)
        self.server.bind(str(path))
        self.server.listen(128)
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.server.accept()
                far = socket.socket(socket.AF_UNIX)
                try:
                    far.connect(str(self.engine_path))
                except OSError:
                    near.close()
                    far.close()
                    continue
                with self.lock:
                    self.pairs.add((near, far))
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self.copy, args=(source, sink, (near, far)), daemon=True).start()

    def copy(self, source, sink, pair):
        with contextlib.suppress(OSError):
            while piece := source.recv(65536):
                sink.sendall(piece)
        for end in pair:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self.lock:
            self.pairs.discard(pair)

    def cut(self):
        with self.lock:
            for pair in self.pairs:
                for end in pair:
                    with contextlib.suppress(OSError):
                        end.shutdown(socket.SHUT_RDWR)


# ---- what the catalogue has


def catalogue(muster, service="hello"):
    """Short ids and statuses of the instances of a service."""
    answer = get(muster, f"/api/v1/services/{service}")
    instances = answer.json["instances"] if answer.status == 200 else []
    return {instance["id"].split(":")[0]: instance["status"] for instance in instances}


def timeline(muster, service="hello"):
    """What happened, oldest first: "registered: c1: start"."""
    entries = get(muster, f"/api/v1/timeline?service={service}&limit=1000").json["entries"]
    return [f"{entry['kind']}: {entry.get('evidence', '')}" for entry in reversed(entries)]


def source(muster):
    """What the status says of the Docker source."""
    return next(one for one in get(muster, "/api/v1/status").json["sources"] if one["name"] == "docker")
