#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""The command line against a real server."""

import json
import re
import signal
import socket
import sys
import threading

from lib import ROOT, Muster, environment, folder, make_certificate, receive_to_end, run, tap


def every_command_has_help_with_an_example():
    overview = run("help")
    tap.expect((overview.code, run().out), (0, overview.out))
    commands = re.findall(r"^  (\w+) ", overview.out, re.MULTILINE)
    tap.expect(commands, ["serve", "ls", "show", "watch", "history", "why", "graph", "top", "wait", "register",
                          "deregister", "drain", "maintenance", "run", "status", "store", "version", "help"])
    for command in commands[:-1]:
        shown = run("help", command)
        tap.expect(shown.code, 0)
        tap.expect(f"example:\n  muster {command}" in shown.out, True)


def the_version_is_the_projects():
    version = re.search(r"version: '([^']+)'", (ROOT / "meson.build").read_text())[1]
    tap.expect(run("version").out, f"muster {version}\n")
    with Muster() as muster:
        tap.expect(json.loads(muster.get("/version").body), 
                   {"version": version, "etcdserver": "3.6.0", "etcdcluster": "3.6.0", "storage": "3.6.0"})
        tap.expect(muster.metric(f'muster_build_info{{version="{version}"}}'), 1)


def status_is_a_table_for_people():
    with Muster() as muster:
        done = run("status", "--address", f"http://{muster.address()}")
        tap.expect((done.code, done.err), (0, ""))
        lines = done.out.splitlines()
        tap.expect(lines[0], "ready    yes")
        tap.expect(f"pid      {muster.process.pid}" in lines, True)
        tap.expect(f"registry  {muster.address()}  HTTP/1.1, HTTP/2" in lines, True)
        tap.expect("\x1b" in done.out, False)


def status_is_json_for_programs():
    with Muster() as muster:
        done = run("status", "--address", f"http://{muster.address()}", "--output", "json")
        status = json.loads(done.out)
        tap.expect((status["ready"], status["role"], status["pid"]), (True, "all", muster.process.pid))
        tap.expect([item["listener"] for item in status["listeners"]], ["registry", "gateway"])
        tap.expect(sum(item["connections"] for item in status["workers"]), 1)


def the_address_comes_from_the_environment():
    with Muster() as muster:
        done = run("status", env=environment(MUSTER_ADDR=f"http://{muster.address()}"))
        tap.expect((done.code, done.err), (0, ""))


def the_next_address_is_tried():
    with Muster() as muster:
        done = run("status", "--address", f"http://127.0.0.1:1,http://{muster.address()}")
        tap.expect((done.code, done.err), (0, ""))


def nobody_there_is_exit_code_3():
    done = run("status", "--address", "http://127.0.0.1:1")
    tap.expect((done.code, done.out), (3, ""))
    tap.expect(done.err, "muster status: http://127.0.0.1:1: cannot connect: Connection refused\n")


def somebody_else_there_is_exit_code_1():
    with socket.create_server(("127.0.0.1", 0)) as foreign:

        def answer():
            connection, _ = foreign.accept()
            with connection:
                connection.recv(4096)
                connection.sendall(b"SSH-2.0-OpenSSH_9.2\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        done = run("status", "--address", "127.0.0.1:%d" % foreign.getsockname()[1])
        thread.join()
    tap.expect((done.code, done.out, done.err.count("\n")), (1, "", 1))


def tls_is_verified():
    with folder() as place:
        cert, key = make_certificate(place, "server")
        with Muster("--set", f"tls.cert={cert}", "--set", f"tls.key={key}") as muster:
            address = f"https://{muster.address()}"
            done = run("status", "--address", address, "--ca", str(cert))
            tap.expect((done.code, done.err), (0, ""))
            tap.expect("HTTP/1.1, HTTP/2, with TLS" in done.out, True)
            done = run("status", "--address", address)
            tap.expect((done.code, "certificate" in done.err), (3, True))
            by_name = run("status", "--address", address.replace("127.0.0.1", "localhost"), "--ca", str(cert))
            tap.expect((by_name.code, by_name.err), (0, ""))
        cert, key = make_certificate(place, "other", hosts="DNS:other.example")
        with Muster("--set", f"tls.cert={cert}", "--set", f"tls.key={key}") as muster:
            done = run("status", "--address", f"https://{muster.address()}", "--ca", str(cert))
            tap.expect((done.code, "IP address mismatch" in done.err), (3, True))


def a_client_certificate_is_shown():
    with folder() as place:
        ca, _ = make_certificate(place, "ca")
        cert, key = make_certificate(place, "server", ca="ca")
        shown, shown_key = make_certificate(place, "client", ca="ca")
        settings = (f"tls.cert={cert}", f"tls.key={key}", f"tls.ca={ca}", "tls.client_auth=require")
        with Muster(*(word for setting in settings for word in ("--set", setting))) as muster:
            words = ("status", "--address", f"https://{muster.address()}", "--ca", str(ca))
            tap.expect(run(*words, "--cert", str(shown), "--key", str(shown_key)).code, 0)
            tap.expect(run(*words).code != 0, True)
            tap.expect(run(*words, "--cert", "/nonexistent").code, 2)


def the_top_talker_is_shown():
    """etcd#8576: who makes the server so busy."""
    with folder() as place, Muster(listen=("127.0.0.1:0", f"unix:{place}/socket")) as muster:
        for _ in range(30):
            muster.get("/version")
        muster.get("/version", index=1)
        done = run("status", "--clients", "--address", f"http://{muster.address()}", "--output", "json")
        tap.expect((done.code, done.err), (0, ""))
        clients = json.loads(done.out)["clients"]
        tap.expect([client["address"] for client in clients], ["127.0.0.1", "unix"])
        # By the minute it is an estimate: it may have turned over in between.
        tap.expect((clients[0]["requests"] >= 30, clients[0]["requests_per_minute"] > 20), (True, True))
        tap.expect(clients[0]["sent_bytes"] > 30 * 100, True)


CASES = [
    ("every command has help with an example", every_command_has_help_with_an_example),
    ("the version is the project's, everywhere", the_version_is_the_projects),
    ("status is a table for people", status_is_a_table_for_people),
    ("etcd#8576: the top talker is shown", the_top_talker_is_shown),
    ("status is JSON for programs", status_is_json_for_programs),
    ("the address comes from the environment", the_address_comes_from_the_environment),
    ("the next address is tried when one cannot be reached", the_next_address_is_tried),
    ("nobody there is exit code 3", nobody_there_is_exit_code_3),
    ("somebody else there is exit code 1", somebody_else_there_is_exit_code_1),
    ("TLS is verified, by name and by address", tls_is_verified),
    ("a client certificate is shown to a server that wants one", a_client_certificate_is_shown),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
