# SPDX-License-Identifier: Apache-2.0
"""A Docker engine of this machine, started for a test, a bench or the demonstration, and clients that keep asking."""

import contextlib
import ctypes
import fcntl
import http.client
import io
import json
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import tarfile
import threading
import time

import tap

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SECONDS = 20  # nothing that works takes so long
SHORT = 12  # of an id, as in the names of instances


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a Unix socket."""

    def __init__(self, path):
        super().__init__("localhost", timeout=SECONDS)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))


LIBC = ctypes.CDLL(None, use_errno=True)


def own_network():
    """Puts this process, and those that it starts, into a network of their own, with a loopback; with mounts of their
    own, so that none is left on the machine."""
    private = 1 << 14 | 1 << 18  # MS_REC, MS_PRIVATE
    if LIBC.unshare(0x40020000) != 0 or LIBC.mount(b"none", b"/", None, private, None) != 0:  # CLONE_NEWNET, NEWNS
        raise tap.Skip(f"no network of our own: {os.strerror(ctypes.get_errno())}")
    with socket.socket() as any_socket:
        up = struct.pack("16sh14x", b"lo", 1 | 64)  # IFF_UP, IFF_RUNNING
        fcntl.ioctl(any_socket, 0x8914, up)  # SIOCSIFFLAGS


def static_busybox():
    for path in (shutil.which("busybox"), ROOT / "build/tools/bin/busybox"):
        if path and os.path.exists(path) and b"/ld-linux" not in pathlib.Path(path).read_bytes()[:4096]:
            return path
    raise tap.Skip("there is no busybox that is linked statically")


class RealEngine:
    """Debian's docker.io on folders and a socket of its own, in this process's network."""

    def __init__(self, folder):
        if os.geteuid() != 0:
            raise tap.Skip("an engine can only be started by root")
        if not shutil.which("dockerd"):
            raise tap.Skip("there is no dockerd")
        self.folder, self.path, self.log_path = folder, folder / "docker.sock", folder / "log"
        self.process = None
        self.start()

    def start(self):
        words = ["dockerd", "-H", f"unix://{self.path}", "--data-root", self.folder / "data"]
        words += ["--exec-root", self.folder / "exec", "--pidfile", self.folder / "pid", "--storage-driver", "vfs"]
        words += ["--iptables=false", "--ip6tables=false", "--bip", "10.201.0.1/24", "--live-restore"]
        libraries = [ROOT / "build/tools/lib", ROOT / "build/tools/usr/lib"]
        found = [str(path) for folder in libraries for path in folder.glob("*-linux-gnu")]
        env = {**os.environ, "LD_LIBRARY_PATH": ":".join(found)}
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env)
        deadline = time.monotonic() + SECONDS
        while not self.is_there():
            if self.process.poll() is not None or time.monotonic() > deadline:
                lines = self.log_path.read_text().splitlines()
                self.end()
                raise tap.Skip(f"dockerd does not start here: {lines[-1] if lines else 'it says nothing'}")
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(0.05)

    def is_there(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            return self.ask("GET", "/_ping")[0] == 200
        return False

    def ask(self, method, path, body=None, kind="application/json"):
        """Gives status and JSON, or the bytes where there is none."""
        connection = UnixConnection(self.path)
        with contextlib.closing(connection):
            data = body if isinstance(body, bytes) or body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": kind} if data is not None else {})
            answer = connection.getresponse()
            text = answer.read()
        is_json = answer.getheader("content-type", "").startswith("application/json")
        return answer.status, json.loads(text) if is_json and text and path != "/images/create" else text

    def do(self, method, path, body=None, allowed=(200, 201, 204, 304)):
        status, answer = self.ask(method, path, body)
        if status not in allowed:
            raise AssertionError(f"{method} {path}: {status} {answer}")
        return answer

    def make_hello(self):
        """The image of the demonstration: /hello, which answers with its host's name, and ends when it is asked to."""
        program = self.folder / "hello"
        words = ["cc", "-static", "-pthread", "-Os", "-s", "-o", program, ROOT / "examples" / "hello.c"]
        subprocess.run(words, check=True)
        return self.make_image(program, "hello")

    def make_image(self, program=None, place="bin/busybox", name="hello"):
        """Of one static program and nothing else; a busybox, unless told."""
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.add(program or static_busybox(), place)
        path = f"/images/create?fromSrc=-&repo={name}"
        status, answer = self.ask("POST", path, archive.getvalue(), "application/x-tar")
        tap.expect(status, 200)
        return answer

    def create(self, name, *, command=("/bin/busybox", "httpd", "-f", "-p", "8080"), labels=None, **settings):
        """A container that publishes port 8080; gives its short id."""
        host = {"PortBindings": {"8080/tcp": [{"HostPort": ""}]}, **settings.pop("HostConfig", {})}
        body = {"Image": "hello", "Cmd": list(command), "Labels": labels or {}, "ExposedPorts": {"8080/tcp": {}}}
        answer = self.do("POST", f"/containers/create?name={name}", {**body, "HostConfig": host, **settings})
        return answer["Id"][:SHORT]

    def run(self, name, **settings):
        short = self.create(name, **settings)
        self.do("POST", f"/containers/{short}/start")
        return short

    def post(self, short, verb, allowed=(200, 204, 304)):
        self.do("POST", f"/containers/{short}/{verb}", allowed=allowed)

    def remove(self, short):
        self.do("DELETE", f"/containers/{short}?force=1", allowed=(204, 404))

    def describe(self, short):
        return self.do("GET", f"/containers/{short}/json")

    def ids(self):
        return sorted(one["Id"][:SHORT] for one in self.do("GET", "/containers/json") if one["State"] != "restarting")

    def restart(self):
        """The engine ends and starts again; its containers live on."""
        self.process.terminate()
        self.process.wait(SECONDS)
        self.start()

    def end(self):
        """With all its containers."""
        with contextlib.suppress(OSError, http.client.HTTPException, AssertionError):
            for one in self.do("GET", "/containers/json?all=1"):
                self.remove(one["Id"])
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(SECONDS)
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(SECONDS)
        for line in reversed(pathlib.Path("/proc/self/mounts").read_text().splitlines()):
            place = line.split()[1]
            if place.startswith(str(self.folder)):
                LIBC.umount2(place.encode(), 2)  # MNT_DETACH


class Load:
    """Clients that ask a proxy for `hello`, again and again; what each was answered, and when.

    A patient one asks again when a connection that it had kept was closed meanwhile, as browsers do.
    """

    def __init__(self, address, path="/hello", n_clients=4, pause=0.005, is_patient=False):
        self.address, self.path, self.pause, self.is_patient = address, path, pause, is_patient
        self.end = threading.Event()
        self.answers = []  # (begin, end, name), wall clock in ns; name None: it failed
        self.faults = []
        self.threads = [threading.Thread(target=self.run, daemon=True) for _ in range(n_clients)]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.end.set()
        for thread in self.threads:
            thread.join(SECONDS)

    def run(self):
        connection = http.client.HTTPConnection(self.address, timeout=SECONDS)
        while not self.end.wait(self.pause):
            begin, name = time.time_ns(), None
            try:
                status, text = self.ask(connection)
                if status == 200 and text.startswith("hello from "):
                    name = text.split()[2]
                else:
                    self.faults.append((time.time(), status, text))
            except (OSError, http.client.HTTPException) as fault:
                self.faults.append((time.time(), 0, repr(fault)))
                connection.close()
            self.answers.append((begin, time.time_ns(), name))
        connection.close()

    def ask(self, connection):
        was_kept = connection.sock is not None
        try:
            connection.request("GET", self.path)
            answer = connection.getresponse()
        except ConnectionError:
            connection.close()
            if not (was_kept and self.is_patient):
                raise
            connection.request("GET", self.path)
            answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def names_since(self, since_ns):
        """Who has answered requests that were begun since then."""
        return {name for begin, _, name in list(self.answers) if begin >= since_ns and name}
