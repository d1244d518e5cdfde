#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Containers, the registry and the gateway on one screen: `./dev demo`. What is shown are commands and what they say.

The engine is the one that runs, if there is one; else Debian's, started for this alone: in a network of its own, with
folders and a socket of its own. The image is made of examples/hello.c, without any download. All that was made is
taken away again. Exits with 3, and the reason, where no engine can run.
"""

import contextlib
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "support"))
import engine  # noqa: E402
import tap  # noqa: E402

BINARY = os.environ.get("MUSTER_BIN", str(ROOT / "build" / "muster"))

NO_ENGINE = 3
NAMES = ("one", "two", "three")
ASK = "for i in 1 2 3 4 5 6; do curl -s http://{gateway}; done | sort | uniq -c"


def steps():
    """Commands, and how many instances get requests when each has had its effect."""
    changes = """-c 'EXPOSE 8080' -c 'ENTRYPOINT ["/hello"]'"""
    run = "for n in one two three; do docker run -d --name $n --hostname $n -p 127.0.0.1::8080 hello | cut -c-12; done"
    return [
        (f"tar -c hello | docker import {changes} - hello | cut -c-19", 0),
        (run, 3),
        ("muster ls", 3),
        (ASK, 3),
        ("docker kill two", 2),
        ("docker stop one", 1),
        (ASK, 1),
        ("docker start two", 2),
        (ASK, 2),
        ("muster why hello/$(docker ps -aqf name=one):8080", 2),
        ("muster history hello", 2),
    ]


def ask_docker(*words):
    return subprocess.run(["docker", *words], capture_output=True, text=True, check=True).stdout


def find_engine(folder, stack):
    """The socket or address of an engine; a new one ends with the stack."""
    asked = subprocess.run(["docker", "version"], capture_output=True, check=False)
    if asked.returncode == 0:
        names = ask_docker("ps", "-a", "--format", "{{.Names}}").split()
        if ask_docker("images", "-q", "hello") or set(NAMES) & set(names):
            raise tap.Skip("the engine has an image `hello`, or a container `one`, `two` or `three`, already")
        stack.callback(clean_up)
        return os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock"), "the one that runs"
    engine.own_network()
    ours = engine.RealEngine(folder / "engine")
    stack.callback(ours.end)
    return f"unix://{ours.path}", "started for this"


def clean_up():
    subprocess.run(["docker", "rm", "-f", *NAMES], capture_output=True, check=False)
    subprocess.run(["docker", "rmi", "-f", "hello"], capture_output=True, check=False)


def build_hello(folder):
    """The one file of the image."""
    words = ["cc", "-static", "-pthread", "-Os", "-s", "-o", folder / "hello", ROOT / "examples" / "hello.c"]
    subprocess.run(words, check=True)


@contextlib.contextmanager
def serving(folder, host):
    """A muster that follows the engine; gives its addresses. On the usual ports unless these are taken."""
    settings = ["gateway.default_service=hello", "gateway.balance=round_robin", f"sources.docker.host={host}"]
    words = [BINARY, "serve", "--data", str(folder / "data")]
    for name, port in (("--listen", 2379), ("--gateway", 8080)):
        words += [name, f"127.0.0.1:{port if is_free(port) else 0}"]
    for setting in [*settings, "sources.docker.images=hello"]:
        words += ["--set", setting]
    read_fd, write_fd = os.pipe()
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([*words, "--ready-fd", str(write_fd)], stderr=log, pass_fds=[write_fd])
    os.close(write_fd)
    try:
        with open(read_fd) as ready:
            yield dict(line.split() for line in ready)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(engine.SECONDS)


def is_free(port):
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def count_offered(address):
    connection = http.client.HTTPConnection(address, timeout=engine.SECONDS)
    connection.request("GET", "/api/v1/services/hello?offered=true")
    answer = json.loads(connection.getresponse().read())
    connection.close()
    return len(answer.get("instances", []))


def show(folder, addresses):
    environment = {**os.environ, "MUSTER_ADDR": f"http://{addresses['registry']}"}
    for command, n_offered in steps():
        command = command.format(gateway=addresses["gateway"]) if "{gateway}" in command else command
        print(f"$ {command}", flush=True)
        subprocess.run(command, shell=True, cwd=folder, env=environment, stderr=subprocess.STDOUT, check=False)
        deadline = time.monotonic() + engine.SECONDS
        while count_offered(addresses["registry"]) != n_offered:
            if time.monotonic() > deadline:
                sys.exit(f"demo: expected {n_offered} instances that get requests; see {folder / 'log'}")
            time.sleep(0.01)


def main():
    if not shutil.which("docker") or not shutil.which("curl"):
        raise tap.Skip("docker and curl are needed: ./dev deps demo")
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        folder = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="muster-demo-")))
        for name in ("engine", "bin"):
            (folder / name).mkdir()
        (folder / "bin" / "muster").symlink_to(BINARY)
        os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
        build_hello(folder)
        host, which = find_engine(folder, stack)
        os.environ["DOCKER_HOST"] = host
        print(f"# engine: {which}; muster serve follows it")
        with serving(folder, host) as addresses:
            show(folder, addresses)
    print(f"# {time.monotonic() - began:.0f} s, and all of it is gone again")


if __name__ == "__main__":
    try:
        main()
    except tap.Skip as skip:
        print(f"demo: {skip}", file=sys.stderr)
        sys.exit(NO_ENGINE)
