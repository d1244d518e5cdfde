#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""The commands for services against a real server, and `muster run` with real programs."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time

from lib import BINARY, SECONDS, Muster, environment, free_port, run, tap, wait_for

# Listens where it is told, says so on its standard output, and ends with code 7 when it reads a line.
PROGRAM = """
import signal, socket, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(9))
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("up", flush=True)
sys.stdin.readline()
sys.exit(7)
"""


# Starts one that outlives its parent, which listens, and ends when it is sent a byte; ends when it reads a line.
WITH_AN_ORPHAN = """
import subprocess, sys
subprocess.Popen(["sh", "-c", '"$@" & ', "sh", sys.executable, "-c", sys.argv[2], sys.argv[1]], stdin=subprocess.PIPE)
sys.stdin.readline()
"""
ORPHAN = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while not listener.accept()[0].recv(1):
    pass
"""

# Listens when it reads a line.
LATE = "import sys; sys.stdin.readline()" + PROGRAM


class Servers:
    """The server and its command line."""

    def __init__(self, muster):
        self.muster = muster
        self.env = environment(MUSTER_ADDR=f"http://{muster.address()}")

    def run(self, *words):
        return run(*words, env=self.env)

    def json(self, *words):
        done = self.run(*words, "--output", "json")
        tap.expect(done.err, "")
        return json.loads(done.out)

    def start(self, *words, **popen):
        return subprocess.Popen([BINARY, *words], env=self.env, text=True, **popen)

    def ids(self, service):
        done = self.run("show", service, "--output", "json")
        return [item["instance"] for item in json.loads(done.out)["instances"]] if done.code == 0 else None

    def offered(self, service):
        done = self.run("show", service, "--output", "json")
        instances = json.loads(done.out)["instances"] if done.code == 0 else []
        return [item["instance"] for item in instances if item["offered"]]

    def kinds(self, which):
        return [item["what"] for item in self.json("history", which)["entries"]]

    def run_program(self, port, *words, program=PROGRAM):
        return self.start("run", "--name", "web", "--port", str(port), *words, "--", sys.executable, "-c", program,
                          str(port), ORPHAN, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def end(process):
    code = process.wait(SECONDS)
    for stream in (process.stdin, process.stdout, process.stderr):
        if stream:
            stream.close()
    return code


def registering_and_looking():
    with Muster() as muster:
        servers = Servers(muster)
        tap.expect(servers.run("register", "web", "http@10.0.0.1:80", "--id", "a", "--tags", "v1,v2", "--needs", "db",
                               "--metadata", "x=1", "--weight", "3").code, 0)
        tap.expect(servers.run("register", "web", "http@10.0.0.2:80", "--id", "b/2").code, 0)
        tap.expect([(item["service"], item["instances"], item["offered"]) for item in servers.json("ls")["services"]],
                   [("web", 2, 2)])
        tap.expect(servers.json("ls", "x")["services"], [])
        shown = servers.json("show", "web")["instances"]
        tap.expect([(item["instance"], item["tags"], item["needs"]) for item in shown],
                   [("a", "v1, v2", "db"), ("b/2", "", "")])
        tap.expect([item["instance"] for item in servers.json("show", "web/b/2")["instances"]], ["b/2"])
        tap.expect(servers.run("show", "web/c").code, 1)
        done = servers.run("show", "nobody")
        tap.expect((done.code, done.out, done.err.startswith("muster show: ")), (1, "", True))
        tap.expect(servers.run("deregister", "web/b/2").code, 0)
        tap.expect(servers.run("deregister", "web/b/2").code, 1)
        tap.expect(servers.ids("web"), ["a"])


def wrong_words_are_told():
    with Muster() as muster:
        servers = Servers(muster)
        for words in (["show"], ["show", "a", "b"], ["why", "a/b", "--last", "5m"], ["history", "--since", "soon"],
                      ["drain", "x", "--foo"], ["register", "web"],
                      ["wait"], ["run", "--name", "x", "--", "true"], ["graph", "x"],
                      ["ls", "--output", "xml"], ["register", "web", "h:1", "--metadata", "a"]):
            done = servers.run(*words)
            tap.expect((done.code, done.err.startswith(f"muster {words[0]}: "), words), (2, True, words))
        done = servers.run("register", "web", "nowhere")
        tap.expect((done.code, "address" in done.err), (1, True))


def orders_take_instances_out():
    with Muster() as muster:
        servers = Servers(muster)
        for instance in ("a", "b"):
            servers.run("register", "web", f"http@10.0.0.1:{80 + ord(instance)}", "--id", instance)
        tap.expect(servers.run("drain", "web/a", "--reason", "new version").code, 0)
        tap.expect(servers.offered("web"), ["b"])
        why = servers.run("why", "web/a")
        tap.expect((why.code, "new version" in why.out), (1, True))
        tap.expect(servers.run("drain", "web/a", "--end").code, 0)
        tap.expect(servers.offered("web"), ["a", "b"])
        tap.expect(servers.run("maintenance", "web", "--for", "1h").code, 0)
        tap.expect(servers.offered("web"), [])
        tap.expect(servers.run("maintenance", "web", "--end").code, 0)
        tap.expect(servers.run("why", "web/a").code, 0)


def drain_waits_until_it_has_left():
    with Muster() as muster:
        servers = Servers(muster)
        servers.run("register", "web", "http@10.0.0.1:80", "--id", "a")
        servers.run("register", "web", "http@10.0.0.2:80", "--id", "b")
        tap.expect(servers.run("drain", "web/b", "--wait").code, 0)  # nothing is under way there
        tap.expect(servers.run("drain", "web/b", "--gone", "--timeout", "200ms").code, 1)
        draining = servers.start("drain", "web/a", "--gone")
        wait_for(lambda: servers.offered("web"), [])
        tap.expect(servers.run("deregister", "web/a").code, 0)
        tap.expect(draining.wait(SECONDS), 0)


def history_is_kept():
    with Muster() as muster:
        servers = Servers(muster)
        servers.run("register", "web", "http@10.0.0.1:80", "--id", "a")
        wait_for(lambda: servers.kinds("web"), ["registered"])
        revision = servers.json("history", "web")["entries"][0]["revision"]
        servers.run("deregister", "web/a")
        wait_for(lambda: servers.kinds("web/a"), ["deregistered", "registered"])
        tap.expect(servers.json("history", "web", "--at", f"r{revision}")["instances"][0]["instance"], "a")
        tap.expect(servers.run("history", "--at", "r1").code, 2)
        tap.expect(len(servers.json("history", "--since", "1h", "--limit", "1")["entries"]), 1)


def changes_are_seen_live():
    with Muster() as muster:
        servers = Servers(muster)
        servers.run("register", "web", "http@10.0.0.1:80", "--id", "a")
        watch = servers.start("watch", "web", "--count", "2", "--output", "json", stdout=subprocess.PIPE)
        while watch.poll() is None:
            servers.run("drain", "web/a")
            servers.run("drain", "web/a", "--end")
        kinds = [json.loads(line)["instance"] for line in watch.stdout]
        tap.expect((end(watch), kinds), (0, ["a", "a"]))


def the_graph_shows_needs_and_circles():
    with Muster() as muster:
        servers = Servers(muster)
        servers.run("register", "web", "http@10.0.0.1:80", "--needs", "db")
        tap.expect([(item["service"], item["needs"]) for item in servers.json("graph")["services"]],
                   [("db", ""), ("web", "db")])
        dot = servers.run("graph", "--dot").out
        tap.expect('"web" -> "db"' in dot, True)
        servers.run("register", "db", "http@10.0.0.1:81", "--needs", "web")
        tap.expect(servers.run("graph").code, 1)


def waiting_for_services():
    with Muster() as muster:
        servers = Servers(muster)
        done = servers.run("wait", "db", "--timeout", "100ms")
        tap.expect((done.code, "db" in done.err), (1, True))
        waiting = servers.start("wait", "db", "log")
        servers.run("register", "db", "tcp@10.0.0.1:1")
        servers.run("register", "log", "tcp@10.0.0.1:2")
        tap.expect(waiting.wait(SECONDS), 0)


def run_registers_what_listens_and_passes_its_code_on():
    with Muster() as muster:
        servers = Servers(muster)
        port = free_port()
        program = servers.run_program(port, "--needs", "db")
        tap.expect(program.stderr.readable(), True)
        servers.run("register", "db", "tcp@10.0.0.1:1")
        tap.expect(program.stdout.readline(), "up\n")
        wait_for(lambda: servers.offered("web"), [f"127.0.0.1:{port}"])
        program.stdin.write("end\n")
        program.stdin.flush()
        tap.expect(end(program), 7)
        tap.expect(servers.ids("web") or [], [])
        wait_for(lambda: servers.kinds("web")[0], "deregistered")


def run_drains_on_sigterm():
    with Muster() as muster:
        servers = Servers(muster)
        port = free_port()
        program = servers.run_program(port, "--drain", "300ms")
        wait_for(lambda: servers.offered("web"), [f"127.0.0.1:{port}"])
        program.send_signal(signal.SIGTERM)
        wait_for(lambda: servers.offered("web"), [])
        tap.expect(end(program), 9)
        wait_for(lambda: "deregistered" in servers.kinds("web"), True)
        tap.expect(any("drain" in kind for kind in servers.kinds("web")), True)


def run_leaves_the_drains_of_others():
    with Muster() as muster:
        servers = Servers(muster)
        port = free_port()
        program = servers.run_program(port)
        wait_for(lambda: servers.offered("web"), [f"127.0.0.1:{port}"])
        tap.expect(servers.run("drain", f"web/127.0.0.1:{port}", "--reason", "new disk", "--for", "1h").code, 0)
        program.send_signal(signal.SIGTERM)
        end(program)
        again = servers.run_program(port)
        wait_for(lambda: servers.ids("web"), [f"127.0.0.1:{port}"])
        tap.expect(servers.offered("web"), [])
        again.send_signal(signal.SIGTERM)
        end(again)


def the_end_of_a_program_is_seen_at_once():
    """Both kill -9 of the program and of `muster run` itself."""
    with Muster() as muster:
        servers = Servers(muster)
        for victim in ("program", "runner"):
            port = free_port()
            program = servers.run_program(port)
            wait_for(lambda: servers.offered("web"), [f"127.0.0.1:{port}"])
            child = int(subprocess.check_output(["pgrep", "-P", str(program.pid)], text=True).split()[0])
            os.kill(child if victim == "program" else program.pid, signal.SIGKILL)
            tap.expect(end(program), 128 + signal.SIGKILL if victim == "program" else -signal.SIGKILL)
            wait_for(lambda: servers.offered("web"), [])
            wait_for(lambda: servers.ids("web") or [], [])


def a_command_that_is_not_there():
    with Muster() as muster:
        servers = Servers(muster)
        done = servers.run("run", "--name", "web", "--port", str(free_port()), "--", "/nonexistent")
        tap.expect((done.code, "/nonexistent" in done.err), (127, True))


def run_waits_for_the_port_of_its_own_program():
    with Muster() as muster:
        servers = Servers(muster)
        port = free_port()
        with socket.create_server(("127.0.0.1", port)):
            place = f"127.0.0.1:{port}"
            program = servers.run_program(port, program=LATE)
            wait_for(program.stderr.readline,
                     f"muster run: waiting: at {place} another program takes connections (--any-listener: register "
                     "it)\n")
            tap.expect(servers.ids("web") or [], [])
            knowing = servers.run_program(port, "--id", "knowing", "--any-listener", program=LATE)
            wait_for(lambda: servers.offered("web"), ["knowing"])
            knowing.send_signal(signal.SIGKILL)
            knowing.stdin.close()
            knowing.stdout.read()  # to the end of its program, which finds the port in use
            end(knowing)
            wait_for(lambda: servers.ids("web") or [], [])
        wait_for(program.stderr.readline, f"muster run: waiting: the program takes no connections at {place} yet\n")
        program.stdin.write("listen\n")
        program.stdin.flush()
        wait_for(lambda: servers.offered("web"), [place])
        program.send_signal(signal.SIGTERM)
        tap.expect(end(program), 9)


def run_knows_what_its_program_has_started():
    with Muster() as muster:
        servers = Servers(muster)
        port = free_port()
        program = servers.run_program(port, program=WITH_AN_ORPHAN)
        wait_for(lambda: servers.offered("web"), [f"127.0.0.1:{port}"])
        program.stdin.write("end\n")
        program.stdin.flush()
        tap.expect(end(program), 0)
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(b"x")  # the orphan ends


def run_says_what_it_waits_for():
    with Muster() as muster:
        servers = Servers(muster)
        program = servers.run_program(free_port(), "--needs", "db")
        wait_for(program.stderr.readline,
                 "muster run: waiting for db: it has no instance that may be used\n")
        program.send_signal(signal.SIGTERM)
        tap.expect(end(program), 128 + signal.SIGTERM)
        done = servers.run("run", "--name", "web", "--port", "80", "--host", "no.such.invalid", "--", "true")
        tap.expect((done.code, "--host \"no.such.invalid\": " in done.err), (2, True))


def a_registry_that_stopped_holds_up_no_signal():
    with Muster() as muster:
        servers = Servers(muster)
        port = free_port()
        program = servers.run_program(port)
        wait_for(lambda: servers.offered("web"), [f"127.0.0.1:{port}"])
        muster.freeze()
        began = time.monotonic()
        program.send_signal(signal.SIGTERM)
        tap.expect(end(program), 9)
        tap.expect(time.monotonic() - began < 5, True)  # which a request that waits takes
        muster.signal(signal.SIGCONT)
        wait_for(lambda: servers.ids("web") or [], [])


def what_is_held_survives_the_registry():
    with Muster() as muster:
        servers = Servers(muster)
        port = free_port()
        program = servers.run_program(port)
        wait_for(lambda: servers.offered("web"), [f"127.0.0.1:{port}"])
        held = servers.start("register", "db", "tcp@10.0.0.1:1", "--hold", stderr=subprocess.PIPE)
        tap.expect(held.stderr.readline(), "muster register: registered\n")
        muster.signal(signal.SIGKILL)
        muster.end()
        tap.expect("lost" in held.stderr.readline(), True)
        muster.start_again()
        tap.expect(held.stderr.readline(), "muster register: registered\n")
        wait_for(lambda: servers.offered("web"), [f"127.0.0.1:{port}"])
        held.kill()
        end(held)
        wait_for(lambda: servers.ids("db") or [], [])
        program.send_signal(signal.SIGTERM)
        end(program)


def a_registry_without_its_data_gets_all_back():
    with Muster() as muster:
        servers = Servers(muster)
        held = servers.start("register", "db", "tcp@10.0.0.1:1", "--hold", stderr=subprocess.PIPE)
        tap.expect(held.stderr.readline(), "muster register: registered\n")
        muster.signal(signal.SIGKILL)
        muster.end()
        shutil.rmtree(muster.path / "data")
        muster.start_again()
        wait_for(lambda: servers.offered("db"), ["10.0.0.1:1"])
        held.kill()
        end(held)


CASES = [
    ("registering and looking", registering_and_looking),
    ("wrong words are told", wrong_words_are_told),
    ("orders take instances out and bring them back", orders_take_instances_out),
    ("drain waits until it has left", drain_waits_until_it_has_left),
    ("history is kept", history_is_kept),
    ("changes are seen live", changes_are_seen_live),
    ("the graph shows needs and circles", the_graph_shows_needs_and_circles),
    ("compose#374: waiting for services", waiting_for_services),
    ("run registers what listens and passes its exit code on", run_registers_what_listens_and_passes_its_code_on),
    ("run drains on SIGTERM", run_drains_on_sigterm),
    ("run leaves the drains of others as they are", run_leaves_the_drains_of_others),
    ("run waits for the port of its own program", run_waits_for_the_port_of_its_own_program),
    ("run knows what its program has started", run_knows_what_its_program_has_started),
    ("run says what it waits for", run_says_what_it_waits_for),
    ("a registry that stopped holds up no signal", a_registry_that_stopped_holds_up_no_signal),
    ("etcd#11746: the end of a program is seen at once", the_end_of_a_program_is_seen_at_once),
    ("a command that is not there is exit code 127", a_command_that_is_not_there),
    ("etcd#10821: what is held survives the registry", what_is_held_survives_the_registry),
    ("spring-cloud-consul#197: a registry without its data gets all back", a_registry_without_its_data_gets_all_back),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
