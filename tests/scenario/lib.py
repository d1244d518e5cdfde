# SPDX-License-Identifier: Apache-2.0
"""What the scenarios share: a muster in a folder of its own, and sockets that say exactly what the test wants.

    with Muster("--set", "drain.timeout=1s") as muster:
        tap.expect(muster.get("/livez").status, 200)

Nothing here sleeps: a scenario waits for an event (the ready line, a line of the log, the end of a connection or of the
process), within a time limit that only a broken program meets.
"""

import contextlib
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import types

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "support"))
import tap  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BINARY = os.environ.get("MUSTER_BIN", str(ROOT / "build/muster"))
SANITIZED = not {"asan", "tsan"}.isdisjoint(pathlib.Path(BINARY).parts)  # which is slow, and keeps what was freed
SECONDS = 20  # nothing that works takes so long


def environment(**extra):
    """The environment of the programs under test: ours without what would configure them; no containers of ours."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MUSTER_", "DOCKER_"))}
    return {**clean, "MUSTER_SOURCES_DOCKER_MODE": "off", **extra}


def unhurried(*quick):
    """Arguments: all of HTTP's deadlines are an hour and closing waits a minute, but for what is given."""
    patient = [f"http.{name}_timeout=1h" for name in ("head", "body", "idle", "answer", "send")]
    return [word for setting in (*patient, "http.linger=60s", *quick) for word in ("--set", setting)]


@contextlib.contextmanager
def folder():
    """A folder for one scenario."""
    with tempfile.TemporaryDirectory(prefix="muster-scenario-") as name:
        yield pathlib.Path(name)


def start(*words, **popen):
    """Starts muster with any command line, for scenarios that Muster does not fit."""
    return subprocess.Popen([BINARY, *words], env=environment(), **popen)


def run(*arguments, env=None, cwd=None):
    """Runs muster to its end; gives code, out and err."""
    done = subprocess.run(
        [BINARY, *arguments], env=env or environment(), cwd=cwd, capture_output=True, text=True, timeout=SECONDS
    )
    return types.SimpleNamespace(code=done.returncode, out=done.stdout, err=done.stderr)


HELD = []  # of free_port


def hold_port():
    """
    A socket whose port nobody else is given as long as it is open: bound for itself alone, and not listening. A server
    that reuses addresses (SO_REUSEADDR), as they all do, may listen there, again and again.
    """
    holder = socket.socket()
    holder.bind(("127.0.0.1", 0))
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return holder


def free_port():
    """For a program that must be told its port: kept from others until our end."""
    HELD.append(hold_port())
    return HELD[-1].getsockname()[1]


def wait_for(ask_again, value, seconds=SECONDS):
    """Asks until the answer is the value: for what the server notices a moment after us."""
    deadline = time.monotonic() + seconds
    while (answer := ask_again()) != value:
        if time.monotonic() > deadline:
            tap.expect(answer, value)
        select.select([], [], [], 0.005)  # who asks without a pause takes the time from the one who is asked


class Muster:
    """`muster serve` on ports that stay its own when it is started again."""

    def __init__(self, *arguments, listen=("127.0.0.1:0",), gateway=("127.0.0.1:0",), env=None, **popen):
        self.folder = tempfile.TemporaryDirectory(prefix="muster-scenario-")
        self.path = pathlib.Path(self.folder.name)
        self.log_path = self.path / "log"
        self.arguments, self.env, self.popen = arguments, env, popen
        self.holders = []
        self.start(*(list(map(self.hold, addresses)) for addresses in (listen, gateway)))

    def hold(self, address):
        """The address, or one whose port nobody else is given while we are down."""
        if address != "127.0.0.1:0":
            return address
        self.holders.append(hold_port())
        return "127.0.0.1:%d" % self.holders[-1].getsockname()[1]

    def start(self, listen, gateway):
        words = [BINARY, "serve", "--data", str(self.path / "data")]
        for address in listen:
            words += ["--listen", address]
        for address in gateway:
            words += ["--gateway", address]
        read_fd, write_fd = os.pipe()
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                [*words, "--ready-fd", str(write_fd), *self.arguments],
                env=environment(**(self.env or {})),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=log,
                pass_fds=[write_fd],
                **self.popen,
            )
        os.close(write_fd)
        with open(read_fd, "rb") as ready:
            lines = read_to_end(ready.fileno()).decode().splitlines()
        if not lines:
            self.process.wait(SECONDS)
            raise AssertionError(f"muster did not start: {self.log()}")
        self.addresses = [line.split(" ", 1) for line in lines]

    def start_again(self, number=None):
        """After its end, by that signal if one is given: on the addresses and with the data that it had."""
        if number is not None:
            self.signal(number)
            self.process.wait(SECONDS)
        roles = ("registry", "gateway")
        self.start(*([address for its_role, address in self.addresses if its_role == role] for role in roles))

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        if self.process.poll() is None:
            self.process.kill()
        code = self.process.wait(SECONDS)
        if value is not None or code not in (0, -signal.SIGKILL):
            print("# " + self.log().replace("\n", "\n# "))
        self.folder.cleanup()
        for holder in self.holders:
            holder.close()
        if value is None:  # a sanitizer's report, above all
            tap.expect(code in (0, -signal.SIGKILL), True)

    def address(self, role="registry", index=0):
        """As told: "127.0.0.1:4711" or "unix:/path"."""
        return [address for its_role, address in self.addresses if its_role == role][index]

    def connect(self, role="registry", index=0):
        address = self.address(role, index)
        if address.startswith("unix:"):
            connection = socket.socket(socket.AF_UNIX)
            connection.settimeout(SECONDS)
            connection.connect(address.removeprefix("unix:"))
            return connection
        host, port = address.rsplit(":", 1)
        return socket.create_connection((host.strip("[]"), int(port)), SECONDS)

    def get(self, path, role="registry", index=0):
        with self.connect(role, index) as connection:
            return ask(connection, f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")

    def told_metric(self, line_start):
        """The value of the first metric whose line begins so; None: there is none, as nothing was counted yet."""
        for line in self.get("/metrics").body.decode().splitlines():
            if line.startswith(line_start):
                return float(line.rsplit(" ", 1)[1])
        return None

    def metric(self, line_start):
        value = self.told_metric(line_start)
        if value is None:
            raise AssertionError(f"no metric {line_start}")
        return value

    def wait_for_metric(self, line_start, value):
        wait_for(lambda: self.told_metric(line_start), value)

    def wait_for_count(self, line_start, least):
        """Until the first metric whose line begins so has counted that many, or more."""
        wait_for(lambda: (self.told_metric(line_start) or 0) >= least, True)

    def log(self):
        return self.log_path.read_text(errors="replace")

    def wait_for_log(self, text, since=0):
        """Waits until the log, from an offset on, has the text; gives the line."""
        deadline = time.monotonic() + SECONDS
        while True:
            for line in self.log()[since:].splitlines(keepends=True):
                if text in line and line.endswith("\n"):
                    return line.removesuffix("\n")
            if time.monotonic() > deadline or self.process.poll() is not None and text not in self.log()[since:]:
                raise AssertionError(f"{text!r} is not in the log:\n{self.log()}")
            select.select([], [], [], 0.01)

    def signal(self, number):
        self.process.send_signal(number)

    def freeze(self):
        """Stops it like SIGSTOP does; when this returns none of its threads runs."""
        self.signal(signal.SIGSTOP)
        tasks = pathlib.Path(f"/proc/{self.process.pid}/task")
        wait_for(lambda: {(task / "stat").read_text().rsplit(") ", 1)[1][0] for task in tasks.iterdir()}, {"T"})

    def end(self):
        """The exit code, once the process has ended by itself."""
        return self.process.wait(SECONDS)

    def descriptors(self):
        """What its descriptors are of, as far as they stay open long enough to tell."""
        names = []
        for path in pathlib.Path(f"/proc/{self.process.pid}/fd").iterdir():
            with contextlib.suppress(OSError):
                names.append(os.readlink(path))
        return names

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGESIZE")


def read_to_end(fd):
    """All bytes until the other side closes."""
    taken = b""
    deadline = time.monotonic() + SECONDS
    while select.select([fd], [], [], max(0, deadline - time.monotonic()))[0]:
        piece = os.read(fd, 65536)
        if not piece:
            return taken
        taken += piece
    raise AssertionError(f"no end after {SECONDS} s; so far: {taken!r}")


def receive_to_end(connection):
    """All bytes until the other side closes; a reset counts as the end."""
    taken = b""
    while True:
        try:
            piece = connection.recv(65536)
        except ConnectionResetError:
            return taken
        if not piece:
            return taken
        taken += piece


def ask(connection, request):
    """Sends bytes or text; gives the first answer, whose body is delimited by its length."""
    connection.sendall(request.encode() if isinstance(request, str) else request)
    return receive_answer(connection)


def drip(connection, drop):
    """Sends that again and again, each soon after the one before, until the server answers; gives what it says."""
    connection.settimeout(0.01)
    while True:
        connection.sendall(drop)
        try:
            return connection.recv(4096)
        except TimeoutError:
            pass


def unless_closed(ask_it):
    """The answer, or None when the connection is closed instead."""
    try:
        return ask_it()
    except (AssertionError, BrokenPipeError, ConnectionResetError):
        return None


def receive_answer(connection):
    taken = b""
    while b"\r\n\r\n" not in taken:
        piece = connection.recv(65536)
        if not piece:
            raise AssertionError(f"closed before an answer; so far: {taken!r}")
        taken += piece
    head, body = taken.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines[1:])}
    while len(body) < int(headers.get("content-length", 0)):
        piece = connection.recv(65536)
        if not piece:
            raise AssertionError(f"closed in the middle of a body; so far: {body!r}")
        body += piece
    return types.SimpleNamespace(status=int(lines[0].split()[1]), headers=headers, body=body, head=head)


def make_certificate(folder, name, *, ca=None, hosts="DNS:localhost,IP:127.0.0.1"):
    """Makes NAME.crt and NAME.key in the folder; self-signed, or signed by the certificate of that name there."""
    cert, key = folder / f"{name}.crt", folder / f"{name}.key"
    words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    words += ["-keyout", str(key), "-out", str(cert), "-days", "2", "-subj", f"/CN={name}"]
    words += ["-addext", f"subjectAltName={hosts}"]
    if ca:
        words += ["-CA", str(folder / f"{ca}.crt"), "-CAkey", str(folder / f"{ca}.key")]
        words += ["-addext", "basicConstraints=critical,CA:FALSE"]
    subprocess.run(words, check=True, capture_output=True, timeout=SECONDS)
    return cert, key
