#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts a program under each kind of load for a moment, for the compiler to see what is done often: `./dev train`

usage: train.py MUSTER PEERS

MUSTER was built to count what it does, PEERS is the folder of bench/peers. The mixture is what gateways and registries
are asked for, not what a bench measures: heads from few fields to many, bodies of all kinds and sizes, errors, clients
that come and go; instances that register, beat and go; etcd's calls; watches.
"""
import contextlib
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile

BROWSER = ("User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
           "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8\r\n"
           "Accept-Language: en-GB,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\n"
           "Cookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\nReferer: http://example.org/start\r\n")
PROGRAM = "User-Agent: client/1.0\r\nAccept: application/json\r\nAuthorization: Bearer 0123456789abcdef\r\n"
TRACED = BROWSER + "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\nX-Request-ID: abc-1\r\n"
LONG = BROWSER + "".join(f"X-Context-{i}: {'0123456789abcdef' * 8}\r\n" for i in range(14))


def request(method, path, fields=PROGRAM, body=b"", chunked=False):
    text = f"{method} {path} HTTP/1.1\r\nHost: service.example:8080\r\n{fields}"
    if chunked:
        text += "Transfer-Encoding: chunked\r\n"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    elif body:
        text += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return text.encode() + b"\r\n" + body


class Client:
    """A connection, and the answer to its last request as far as it has come."""

    def __init__(self, address):
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def take(self, is_head=False):
        """Reads one answer to its end."""
        data = b""
        while b"\r\n\r\n" not in data:
            data += self.more()
        head, _, body = data.partition(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        if is_head or head[9:12] in (b"204", b"304"):
            return
        if length:
            while len(body) < int(length.group(1)):
                body += self.more()
        else:
            while not body.endswith(b"0\r\n\r\n"):
                body += self.more()

    def more(self):
        data = self.socket.recv(1 << 20)
        if not data:
            raise ConnectionError("the program has closed a connection that it was to keep")
        return data


def ask(address, n_clients, n_rounds, requests):
    """Each of some clients sends each request in turn, all of them at once."""
    clients = [Client(address) for _ in range(n_clients)]
    for i in range(n_rounds):
        sent = requests[i % len(requests)]
        for client in clients:
            client.socket.sendall(sent)
        for client in clients:
            client.take(sent.startswith(b"HEAD"))
    for client in clients:
        client.socket.close()


def gateway(address):
    usual = [request("GET", f"/s{i}/200", fields) for i, fields in enumerate((BROWSER, PROGRAM, BROWSER, TRACED))]
    rest = [request("GET", "/s1/10k", BROWSER), request("GET", "/s2/chunked"), request("HEAD", "/s3/200"),
            request("POST", "/s0/200", body=b"{}" * 100), request("PUT", "/s1/200", body=b"x" * 9000),
            request("POST", "/s2/200", body=b"x" * 300, chunked=True), request("GET", "/s3/200", LONG)]
    for n_clients, n_rounds in (1, 400), (16, 400), (64, 300), (400, 40):
        ask(address, n_clients, n_rounds, usual)
        ask(address, n_clients, n_rounds // 4, rest)
    ask(address, 8, 10, [request("GET", "/s1/1m")])
    ask(address, 4, 40, [request("GET", "/nobody/200"), usual[0]])
    for _ in range(100):
        ask(address, 1, 1, usual)


def registry(address, ports):
    """Instances come, beat, are asked for, and go."""
    for service in range(4):
        ask(address, 1, len(ports), [
            request("PUT", f"/api/v1/services/s{service}/instances/i{i}",
                    body=b'{"address": "http@127.0.0.1:%d", "ttl_ms": 0}' % port) for i, port in enumerate(ports)])
    watcher = Client(address)
    watcher.socket.sendall(request("GET", "/api/v1/watch?service=coming"))
    body = b'{"address": "http@10.0.0.1:80", "ttl_ms": 10000, "metadata": {"version": "1.2", "zone": "a"}}'
    for turn in range(20):
        each = [f"/api/v1/services/coming/instances/c{turn}-{i}" for i in range(20)]
        ask(address, 4, len(each), [request("PUT", path, body=body) for path in each])
        ask(address, 4, len(each), [request("GET", "/api/v1/services/coming/instances"), request("GET", each[0]),
                                    request("GET", "/api/v1/services")])
        ask(address, 1, len(each), [request("DELETE", path) for path in each])
        watcher.more()
    watcher.socket.close()
    by_header = [request("POST", "/srpc/registry", f"Srpc-Servers: tcp@10.0.0.{i}:9999\r\n") for i in range(20)]
    by_hub = [request("POST", "/services", body=b'{"Name": "log", "Addr": "127.0.0.1:%d"}' % (20000 + i))
              for i in range(20)]
    ask(address, 4, 200, [*by_header, request("GET", "/srpc/registry"), *by_hub])


def etcd(peers, port):
    for mode in "fill", "put", "get", "range", "register", "keepalive", "watch":
        with subprocess.Popen([f"{peers}/grpc_load", mode, f"port={port}"], stdin=subprocess.PIPE,
                              stdout=subprocess.DEVNULL) as load:
            load.communicate(b"\n", timeout=120)


@contextlib.contextmanager
def running(command, **options):
    with subprocess.Popen(command, **options) as process:
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def address_of(log, role):
    found = re.search(rf"role={role} address=([\d.]+):(\d+)", log)
    return found.group(1), int(found.group(2))


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    muster, peers = sys.argv[1:]
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        probes = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
        ports = [probe.getsockname()[1] for probe in probes]
        for probe in probes:
            probe.close()
        stack.enter_context(running([f"{peers}/gateway_backend", "-", *map(str, ports)]))
        command = [muster, "serve", "--data", folder, "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0"]
        process = stack.enter_context(running(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True))
        log = ""
        while "msg=ready" not in log:
            line = process.stderr.readline()
            if not line:
                sys.exit(f"the program does not start:\n{log}")
            log += line
        registry(address_of(log, "registry"), ports)
        gateway(address_of(log, "gateway"))
        etcd(peers, address_of(log, "registry")[1])
        process.send_signal(signal.SIGTERM)
        process.communicate()
        if process.returncode != 0:
            sys.exit(f"the program ended with {process.returncode}")


if __name__ == "__main__":
    main()
