# SPDX-License-Identifier: Apache-2.0
"""Of bench/gateway: the proxies, as they are configured to compare, instances behind them, and a network of their own.

The peers are tuned as one would who reads their manuals: connections to instances are kept and shared always, one
thread, no logs, buffers as they come unless a row is about buffers.
"""
import contextlib
import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time
import urllib.request

from lib import LOAD_CORE, Server, free_port, load, need

PEERS = os.environ.get("BENCH_PEERS", "")

NGINX = """
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log stderr crit;
worker_rlimit_nofile 19000;
events {{ worker_connections 18000; use epoll; multi_accept on; }}
http {{
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
    uwsgi_temp_path {folder}; scgi_temp_path {folder};
    upstream instances {{ {options} {servers} keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 600s; }}
    server {{
        listen 127.0.0.1:{port} reuseport backlog=4096;
        location / {{
            proxy_pass http://instances;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_buffer_size 16k; proxy_buffers 16 16k; proxy_busy_buffers_size 64k; proxy_max_temp_file_size 0;
            {location}
        }}
    }}
}}
"""

HAPROXY = """
global
    nbthread 1
    maxconn 9000
    maxpipes 500
    tune.maxpollevents 512
defaults
    mode http
    option forwardfor
    http-reuse always
    timeout connect 600s
    timeout client 600s
    timeout server 600s
    {options}
frontend clients
    bind 127.0.0.1:{port}
    default_backend instances
backend instances
    balance {balance}
    default-server pool-max-conn 4000 pool-purge-delay 600s {server_options}
    {servers}
"""

# What is set when it is instances that fail: the best that was found for each (0 lost GETs when one is killed).
HAPROXY_CAREFUL = """option redispatch 1
    retry-on all-retryable-errors
    option httpchk GET /s0/200"""
HAPROXY_CAREFUL_SERVERS = "check inter 500ms fastinter 100ms fall 2 on-marked-down shutdown-sessions observe layer7"


def enter_namespace():
    """Starts the bench again in a network namespace of its own, if that is allowed: no firewall, no other traffic."""
    if "GATEWAY_NAMESPACE" not in os.environ:
        words = ["unshare", "--net"] if os.getuid() == 0 else ["unshare", "--net", "--map-root-user"]
        if subprocess.run([*words, "true"], capture_output=True).returncode == 0:
            os.environ["GATEWAY_NAMESPACE"] = "own"
            os.execvp("unshare", [*words, sys.executable, *sys.argv])
        print("no network namespace of its own: on the loopback of this machine")
        return
    with socket.socket() as probe:
        request = struct.pack("16sH14x", b"lo", 1 | 64)  # IFF_UP | IFF_RUNNING
        fcntl.ioctl(probe, 0x8914, request)  # SIOCSIFFLAGS
    for name, value in ("ipv4/tcp_congestion_control", "reno"), ("ipv4/ip_local_port_range", "10000 65000"), \
            ("core/somaxconn", "8192"):
        with contextlib.suppress(OSError), open(f"/proc/sys/net/{name}", "w") as setting:
            setting.write(value)


def muster(folder, instances, services=1, each=None, words=()):
    """Services s0, s1, … of so many instances each, which all lead to the instances given."""
    registry, port = free_port(), free_port()
    command = [os.environ["MUSTER_BIN"], "serve", "--workers", "1", "--listen", f"127.0.0.1:{registry}", "--gateway",
               f"127.0.0.1:{port}", "--data", f"{folder}/muster-{port}", "--set", "http.idle_timeout=600s",
               "--set", "http.worker_connections=20000", *words]

    def fill(server):
        ask_load(server.registry, 64, 60, 0, "fill", services, each or len(instances), *instances)

    return Filled("muster", command, port, registry, fill)


class Filled(Server):
    """A muster with a registry listener beside, which gets its instances as soon as it runs."""

    def __init__(self, name, command, port, registry, fill):
        super().__init__(name, command, port)
        self.registry, self.fill = registry, fill

    def __enter__(self):
        super().__enter__()
        self.fill(self)
        wait_for_answer(self)
        return self

    def metric(self, name):
        with urllib.request.urlopen(f"http://127.0.0.1:{self.registry}/metrics", timeout=10) as page:
            return next(float(line.split()[1]) for line in page.read().decode().splitlines()
                        if line.startswith(f"{name} "))


def wait_for_answer(server):
    deadline = time.monotonic() + 10
    while True:
        with socket.create_connection(("127.0.0.1", server.port), 10) as connection:
            connection.sendall(b"GET /s0/200 HTTP/1.1\r\nHost: bench\r\nConnection: close\r\n\r\n")
            answer = connection.recv(65536)
        if b" 200 " in answer.split(b"\r\n")[0]:
            return
        if time.monotonic() > deadline:
            sys.exit(f"{server.name} does not reach the instances: {answer.decode(errors='replace')}")
        time.sleep(0.02)


def address(instance):
    """Of a port, or of what is an address already."""
    return instance if isinstance(instance, str) else f"127.0.0.1:{instance}"


def spread(ports, n):
    """So many addresses that lead to these ports, as gateway_load registers them: all of 127/8 leads here."""
    return [f"127.{16 + i // 62500}.{i // 250 % 250}.{i % 250 + 1}:{ports[i % len(ports)]}" for i in range(n)]


def nginx(folder, instances, options="", location="", name="nginx"):
    port = free_port()
    with open(f"{folder}/{name}.conf", "w") as conf:
        servers = " ".join(f"server {address(instance)};" for instance in instances)
        conf.write(NGINX.format(folder=folder, port=port, servers=servers, options=options, location=location))
    return Server(name, [need("nginx"), "-e", "stderr", "-c", f"{folder}/{name}.conf"], port)


def haproxy(folder, instances, options="", server_options="", balance="roundrobin", name="haproxy"):
    port = free_port()
    with open(f"{folder}/{name}.cfg", "w") as conf:
        servers = "\n    ".join(f"server i{i} {address(instance)}" for i, instance in enumerate(instances))
        conf.write(HAPROXY.format(port=port, servers=servers, options=options, server_options=server_options,
                                  balance=balance))
    return Server(name, [need("haproxy"), "-db", "-q", "-f", f"{folder}/{name}.cfg"], port)


def haproxy_splice(folder, instances):
    return haproxy(folder, instances, options="option splice-response", name="haproxy-splice")


def haproxy_careful(folder, instances):
    return haproxy(folder, instances, options=HAPROXY_CAREFUL, server_options=HAPROXY_CAREFUL_SERVERS,
                   balance="leastconn")


def nginx_careful(folder, instances):
    return nginx(folder, instances, options="zone instances 1m; least_conn;", location="proxy_read_timeout 2s;")


def relay(folder, instances):
    port = free_port()
    return Server("relay", [f"{PEERS}/gateway_relay", str(port), *map(str, instances)], port)


class Instances:
    """So many instances, in one process or in one each; beside the load, not beside the proxy."""

    def __init__(self, n, is_apart=False, ids=None):
        self.ports = [free_port() for _ in range(n)]
        groups = [[port] for port in self.ports] if is_apart else [self.ports]
        self.servers = [Server("instance", [f"{PEERS}/gateway_backend", ids or "-", *map(str, group)], group[0],
                               core=LOAD_CORE) for group in groups]

    def __enter__(self):
        with contextlib.ExitStack() as stack:
            for server in self.servers:
                stack.enter_context(server)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_):
        for server in self.servers:
            server.process.send_signal(signal.SIGCONT)
        self.stack.close()


class Outcome:
    """What gateway_load tells."""

    def __init__(self, text):
        self.failed = {}
        for line in text.splitlines():
            name, value = line.split(" ", 1)
            if name == "failed":
                n, cause = value.split(" ", 1)
                self.failed[cause.strip()] = int(n)
            else:
                setattr(self, name, float(value))
        self.n_failed = sum(self.failed.values())

    def causes(self):
        return ", ".join(f"{n} {cause}" for cause, n in self.failed.items()) or "-"


def load_words(port, connections, seconds, rate, *kind):
    return [f"{PEERS}/gateway_load", str(port), str(connections), str(seconds), str(rate), *map(str, kind)]


def ask_load(port, connections, seconds, rate, *kind):
    """Runs gateway_load; any failure ends the bench."""
    outcome = Outcome(load(load_words(port, connections, seconds, rate, *kind)))
    if outcome.n_failed:
        sys.exit(f"load failed: {outcome.causes()}")
    return outcome


@contextlib.contextmanager
def load_beside(port, connections, seconds, rate, *kind):
    """Runs gateway_load while the block does; what is given becomes callable after it, for the outcome."""
    words = ["taskset", "-c", str(LOAD_CORE), *load_words(port, connections, seconds, rate, *kind)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    try:
        yield lambda: Outcome(process.communicate(timeout=seconds + 30)[0])
    finally:
        if process.poll() is None and sys.exc_info()[0]:
            process.kill()
            process.wait()
