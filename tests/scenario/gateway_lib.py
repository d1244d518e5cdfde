# SPDX-License-Identifier: Apache-2.0
"""Both sides of the gateway: instances that say exactly what a test wants and record what they were asked, and clients.

    with Gateway() as gateway, Instance(gateway, answer=b"HTTP/1.1 204 No Content\r\n\r\n") as instance:
        answer = gateway.ask(f"GET {instance.path}x HTTP/1.1\r\nHost: a\r\n\r\n")
        tap.expect((answer.status, instance.only().target), (204, instance.path + "x"))
"""

import contextlib
import itertools
import queue
import signal
import socket
import threading
import types

from api_lib import deregister, quote, register
from lib import SECONDS, Muster, ask, tap, unless_closed, wait_for

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
READY = b"/ready-for-tests "
STEADY = "gateway.stall_min: 1h\n"
CLOSE = object()  # what an answer function gives for: close the connection


class Gateway(Muster):
    """A muster whose gateway the test asks; services are found by the first element of the path.

    Unless it is told to, it takes no instance for frozen: on a busy machine any may look like that, and requests would
    come twice, or to another one.
    """

    numbers = itertools.count()

    def start(self, listen, gateway):
        self.config = self.path / "muster.yaml"
        if not self.config.exists():
            self.config.write_text(STEADY)
            self.arguments = ("--config", str(self.config), *self.arguments)
        super().start(listen, gateway)

    def apply(self, *settings):
        """By SIGHUP, such as "http.linger: 60s", for connections to come. For a gateway with one worker."""
        ask_livez = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
        name = f"applied-{next(self.numbers)}"
        with self.connect() as connection:  # before a new setting can end it
            tap.expect(ask(connection, ask_livez).status, 200)
            since = len(self.log())
            self.config.write_text(STEADY + "".join(f"{setting}\n" for setting in (*settings, f"gateway.name: {name}")))
            self.signal(signal.SIGHUP)
            self.wait_for_log("configuration reloaded", since)
            tap.expect(ask(connection, ask_livez).status, 200)  # the worker has its mail by the end of that turn
        wait_for(lambda: self.calls_itself(name), True)  # those of the gateway come with a plan, later

    def calls_itself(self, name):
        """Whether the settings that it has now have that name. What is asked may be too slow for them."""
        answer = unless_closed(lambda: self.ask("GET /nowhere HTTP/1.1\r\nHost: a\r\n\r\n"))
        return answer is not None and any(words.startswith(f"{name}-") for words in answer.all("proxy-status"))

    def settle(self, service, n_under_way=0):
        """Waits until all answered requests are counted, recorded and logged, which is a moment after the answer."""
        self.wait_for_metric(f'muster_gateway_in_flight{{service="{service}"}}', n_under_way)

    def dial(self):
        return Client(self.connect("gateway"))

    def ask(self, request, method="GET"):
        """One request on a connection of its own; gives the answer and notes whether the connection was closed."""
        with self.dial() as client:
            client.send(request)
            return client.answer(method)


class Client:
    """A client's connection."""

    def __init__(self, connection):
        self.connection, self.rest = connection, b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.close()

    def send(self, text):
        self.connection.sendall(text.encode("latin-1") if isinstance(text, str) else text)

    def half_close(self):
        self.connection.shutdown(socket.SHUT_WR)

    def answer(self, method="GET"):
        """The next answer; those of class 1 before it are in its `informs`."""
        message = Message(self.connection, self.rest, is_answer_to=method)
        self.rest = message.rest
        return message

    def ends(self):
        """Waits for the end of the connection; gives what came before it."""
        taken, self.rest = self.rest, b""
        while True:
            try:
                piece = self.connection.recv(65536)
            except ConnectionResetError:
                return taken
            if not piece:
                return taken
            taken += piece


class Cut(AssertionError):
    """A message that ended too early; `taken` is what came."""

    def __init__(self, taken):
        super().__init__(f"the connection ended within a message; so far: {taken!r}")
        self.taken = taken


class Message:
    """A request or an answer, read from a socket in the way that RFC 9112 says: head, body, trailers, and the rest."""

    def __init__(self, connection, rest=b"", is_answer_to=None):
        self.connection, self.rest, self.informs = connection, rest, []
        self.read_head()
        while is_answer_to and self.status // 100 == 1 and self.status != 101:
            self.informs.append(types.SimpleNamespace(status=self.status, fields=self.fields))
            self.read_head()
        self.body, self.trailers, self.is_chunked, self.chunk_lines = b"", [], False, []
        if is_answer_to and (is_answer_to == "HEAD" or self.status in (101, 204, 304)):
            return
        lengths = self.all("content-length")
        if self.has("transfer-encoding"):
            self.is_chunked = True
            self.read_chunks()
        elif lengths:
            self.body = self.take(int(lengths[0]))
        elif is_answer_to:
            self.read_to_end()

    def more(self):
        try:
            piece = self.connection.recv(1 << 20)
        except ConnectionResetError:
            piece = b""
        if not piece:
            raise Cut(self.rest)
        del self.bytes[:self.at]
        self.at = 0
        self.bytes += piece

    def until(self, mark):
        while (end_at := self.bytes.find(mark, self.at)) < 0:
            self.more()
        taken = self.take(end_at - self.at)
        self.at += len(mark)
        return taken

    def take(self, n):
        while len(self.bytes) - self.at < n:
            self.more()
        self.at += n
        return bytes(self.bytes[self.at - n:self.at])

    @property
    def rest(self):
        """What has come and was not taken."""
        return bytes(self.bytes[self.at:])

    @rest.setter
    def rest(self, value):
        self.bytes, self.at = bytearray(value), 0

    def read_head(self):
        self.head = self.until(b"\r\n\r\n")
        self.line, *lines = self.head.decode("latin-1").split("\r\n")
        self.fields = read_fields(lines)
        first, second, *_ = self.line.split(" ")
        if first.startswith("HTTP/"):
            self.version, self.status = first, int(second)
        else:
            self.method, self.target, self.version = self.line.split(" ")

    def read_chunks(self):
        pieces = []
        while True:
            line = self.until(b"\r\n")
            self.chunk_lines.append(line)
            n = int(line.split(b";")[0], 16)
            if n == 0:
                break
            pieces.append(self.take(n))
            tap.expect(self.take(2), b"\r\n")
        self.body = b"".join(pieces)
        while line := self.until(b"\r\n"):
            self.trailers += read_fields([line.decode("latin-1")])

    def read_to_end(self):
        while True:
            piece = self.connection.recv(65536)
            if not piece:
                break
            self.bytes += piece
        self.body, self.rest = self.rest, b""

    def all(self, name):
        """The values of a field's lines."""
        return [value for its_name, value in self.fields if its_name.lower() == name]

    def one(self, name):
        values = self.all(name)
        if len(values) != 1:
            raise AssertionError(f"{name}: {values!r} in {self.head!r}")
        return values[0]

    def has(self, name):
        return bool(self.all(name))

    def names(self):
        return {name.lower() for name, _ in self.fields}


def read_fields(lines):
    return [(name, value.strip()) for name, value in (line.split(":", 1) for line in lines)]


class Instance:
    """An instance of a service of its own, or of one that is named, in threads of this process.

    `answer` is bytes, or a function of a request and its socket that gives bytes, None (it has answered itself) or
    CLOSE. Each request is in `requests` before it is answered, and in `ended` is the number of each connection that the
    gateway has ended.
    """

    def __init__(self, gateway, answer=OK, service=None, is_whole=True, tls=None, **members):
        self.gateway, self.answer, self.members, self.is_whole, self.tls = gateway, answer, members, is_whole, tls
        number = next(Gateway.numbers)
        self.service, self.name = service or f"service{number}", f"i{number}"
        self.path = f"/{quote(self.service)}/"
        self.requests, self.ended = queue.Queue(), queue.Queue()
        self.n_connections, self.is_known = 0, threading.Event()
        self.connections = []

    def __enter__(self):
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()
        if self.gateway:
            register(self.gateway, self.service, self.name, address=self.address(), **self.members)
            target = self.path + READY.decode().strip()[1:]
            request = f"GET {target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
            wait_for(lambda: (self.gateway.ask(request).status, self.is_known.is_set()), (200, True))
            self.gateway.settle(self.service)
        return self

    def address(self):
        return f"{'https' if self.tls else 'http'}@127.0.0.1:{self.port}"

    def __exit__(self, *_):
        self.close()
        if self.gateway and self.gateway.process.poll() is None:
            deregister(self.gateway, self.service, self.name)

    def close(self):
        """Nobody listens any more, and all connections are cut."""
        for each in (self.listener, *self.connections):
            cut(each)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                self.listener.close()
                return
            connection.settimeout(SECONDS)
            self.connections.append(connection)
            threading.Thread(target=self.serve, args=[connection], daemon=True).start()

    def serve(self, connection):
        rest, number = b"", None
        try:
            if self.tls:
                connection = self.tls.wrap_socket(connection, server_side=True)
                self.connections.append(connection)
            while True:
                request = Message(connection, rest) if self.is_whole else Head(connection, rest)
                rest = request.rest
                if READY in request.head:
                    self.is_known.set()
                    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                    break
                if request.head.startswith(b"OPTIONS * ") and b"\r\nuser-agent: muster" in request.head:
                    connection.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")  # the gateway's own question
                    continue
                if number is None:
                    number = self.n_connections
                    self.n_connections += 1
                request.number = number
                self.requests.put(request)
                answer = self.answer(request, connection) if callable(self.answer) else self.answer
                if answer is CLOSE:
                    break
                if answer:
                    connection.sendall(answer)
        except Cut:
            if number is not None:
                self.ended.put(number)
        except (OSError, ValueError):
            pass
        end(connection)

    def only(self):
        """The one request that came, ever."""
        request = self.next()
        tap.expect([other.line for other in self.seen()], [])
        return request

    def next(self):
        return self.requests.get(timeout=SECONDS)

    def seen(self):
        """What has come and was not taken yet."""
        requests = []
        while not self.requests.empty():
            requests.append(self.requests.get())
        return requests


class Head(Message):
    """A head alone: what follows is in `rest`, for the answer function to read."""

    def __init__(self, connection, rest):
        self.connection, self.rest, self.informs = connection, rest, []
        self.read_head()


def log_lines(path, n=1):
    """The whole lines of an access log, once there are so many."""
    def lines():
        text = path.read_bytes().decode() if path.exists() else ""
        return text.split("\n")[:-1]  # what follows the last end of a line is being written

    wait_for(lambda: len(lines()) >= n, True)
    return lines()


def log_line(path, words):
    """The first line of an access log that has these words, once there is one."""
    wait_for(lambda: any(words in line for line in log_lines(path)), True)
    return next(line for line in log_lines(path) if words in line)


def cut(connection):
    """Ends what another thread uses. That one closes it: its number is given again at once, and what the thread was
    about to do would be done to somebody else's connection."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)


def end(connection):
    cut(connection)
    connection.close()


def main(cases):
    """Runs cases, which are functions of one gateway that they share, as each has services of its own."""
    with Gateway("--workers", "2") as gateway:
        return tap.main([(words, lambda case=case: case(gateway)) for words, case in cases])
