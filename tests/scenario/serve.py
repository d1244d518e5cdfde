#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""muster serve: starting, what it answers, what it refuses to start with, stopping."""

import json
import os
import signal
import socket
import stat
import sys

from lib import SECONDS, Muster, ask, folder, receive_to_end, run, start, tap


def serves_and_stops():
    with Muster() as muster:
        answer = muster.get("/livez")
        tap.expect((answer.status, answer.body), (200, b"ok\n"))
        tap.expect((muster.get("/readyz").status, muster.get("/readyz").body), (200, b"ok\n"))
        muster.signal(signal.SIGTERM)
        tap.expect(muster.end(), 0)


def interrupt_stops_too():
    with Muster() as muster:
        muster.signal(signal.SIGINT)
        tap.expect(muster.end(), 0)


def answers_like_etcd_where_it_says_so():
    with Muster() as muster:
        tap.expect(json.loads(muster.get("/health").body), {"health": "true", "reason": ""})
        tap.expect(list(json.loads(muster.get("/version").body)), ["version", "etcdserver", "etcdcluster", "storage"])


def what_is_not_there_is_said():
    with Muster() as muster:
        answer = muster.get("/nope")
        tap.expect((answer.status, answer.body), (404, b"nothing here answers GET /nope\n"))
        with muster.connect() as connection:
            answer = ask(connection, "DELETE /livez HTTP/1.1\r\nHost: x\r\n\r\n")
            tap.expect((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))
            # The connection goes on.
            tap.expect(ask(connection, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status, 200)


def head_has_no_body():
    with Muster() as muster, muster.connect() as connection:
        connection.sendall(b"HEAD /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        head, body = receive_to_end(connection).split(b"\r\n\r\n", 1)
        tap.expect((b"content-length: 3" in head.lower(), body), (True, b""))


def the_gateway_says_when_there_is_no_such_service():
    with Muster() as muster:
        answer = muster.get("/shop/cart", role="gateway")
        tap.expect((answer.status, answer.body), (404, b"no route and no service for this path"))


def both_http_versions_on_one_port():
    with Muster() as muster, muster.connect() as connection:
        # The preface of HTTP/2 and empty settings; the server's settings answer them.
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0")
        frame = connection.recv(9)
        tap.expect(frame[3], 4)
        tap.expect(muster.get("/livez").status, 200)


def roles_open_their_listeners_only():
    with Muster("--role", "registry") as muster:
        tap.expect([role for role, _ in muster.addresses], ["registry"])
    with Muster("--role", "gateway") as muster:
        tap.expect([role for role, _ in muster.addresses], ["gateway"])
        tap.expect((muster.path / "data").exists(), False)


def many_listeners():
    with Muster(listen=("127.0.0.1:0", "[::1]:0", "127.0.0.1:0")) as muster:
        for index in range(3):
            tap.expect(muster.get("/livez", index=index).status, 200)


def a_unix_socket_listens():
    with folder() as place, Muster(listen=(f"unix:{place}/sock",)) as muster:
        path = place / "sock"
        tap.expect(muster.get("/livez").status, 200)
        tap.expect(stat.S_IMODE(path.stat().st_mode), 0o660)
        status = run("status", "--address", f"unix:{path}")
        tap.expect((status.code, status.err), (0, ""))
        muster.signal(signal.SIGTERM)
        tap.expect(muster.end(), 0)
        tap.expect(path.exists(), False)


def a_port_in_use_is_one_line():
    with Muster() as muster:
        address = muster.address()
        second = run("serve", "--listen", address, "--gateway", "127.0.0.1:0", "--data", str(muster.path / "other"))
        tap.expect(second.code, 2)
        tap.expect(second.err.count("\n"), 1)
        tap.expect(second.err.startswith("muster: --listen: "), True)
        tap.expect(address in second.err and "in use" in second.err, True)
        third = run("serve", "--listen", "127.0.0.1:0", "--gateway", address, "--data", str(muster.path / "other"))
        tap.expect((third.code, third.err.startswith("muster: --gateway: ")), (2, True))
        tap.expect(muster.get("/livez").status, 200)


def a_port_in_use_by_somebody_else_is_one_line():
    with socket.create_server(("127.0.0.1", 0)) as foreign, Muster() as muster:
        address = "127.0.0.1:%d" % foreign.getsockname()[1]
        second = run("serve", "--listen", address, "--gateway", "127.0.0.1:0", "--data", str(muster.path / "other"))
        tap.expect((second.code, "in use" in second.err), (2, True))


def a_locked_folder_is_one_line():
    with Muster() as muster:
        data = str(muster.path / "data")
        second = run("serve", "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--data", data)
        tap.expect(second.code, 2)
        tap.expect(
            second.err,
            f"muster: the data folder {data} is in use by process {muster.process.pid}; expected a folder of its own\n",
        )
        muster.process.kill()
        muster.process.wait()
        # The lock ends with the process: nothing has to be cleaned up by hand.
        third = run("serve", "--listen", "nonsense", "--data", data)
        tap.expect(third.code, 2)


def the_data_folder_is_found_by_the_standards():
    with folder() as home:
        for variables, expected in (
            ({"HOME": str(home)}, ".local/state/muster"),
            ({"HOME": str(home), "XDG_STATE_HOME": str(home / "xdg")}, "xdg/muster"),
            ({"HOME": str(home), "STATE_DIRECTORY": str(home / "unit")}, "unit"),
        ):
            with Muster("--data", "", env={"XDG_STATE_HOME": "", **variables}):
                tap.expect(stat.S_IMODE((home / expected).stat().st_mode), 0o700)
                tap.expect((home / expected / "lock").exists(), True)


def the_pidfile_is_there_while_it_serves():
    with folder() as place, Muster("--pidfile", f"{place}/pid") as muster:
        tap.expect((place / "pid").read_text(), f"{muster.process.pid}\n")
        muster.signal(signal.SIGTERM)
        tap.expect(muster.end(), 0)
        tap.expect((place / "pid").exists(), False)


def being_reachable_without_protection_is_warned_about_once():
    with Muster() as muster:
        tap.expect("level=warn" in muster.log(), False)
    with Muster(listen=("0.0.0.0:0",)) as muster:
        warnings = [line for line in muster.log().splitlines() if "level=warn" in line]
        tap.expect(len(warnings), 1)
        tap.expect("other machines can reach the registry" in warnings[0], True)
        tap.expect(muster.address() in warnings[0], True)


def a_misspelt_variable_is_pointed_at():
    with Muster(env={"MUSTER_LOG_LEVL": "debug", "MUSTER_PORT": "tcp://10.0.0.1:2379"}) as muster:
        warnings = [line for line in muster.log().splitlines() if "level=warn" in line]
        tap.expect(len(warnings), 1)
        tap.expect("name=MUSTER_LOG_LEVL meant=MUSTER_LOG_LEVEL" in warnings[0], True)


def the_log_can_be_json():
    with Muster("--log-format", "json") as muster:
        lines = [json.loads(line) for line in muster.log().splitlines()]
        tap.expect([line["msg"] for line in lines], ["store opened", "listening", "listening", "ready"])


def a_person_sees_what_there_is():
    leader, follower = os.openpty()
    with folder() as place:
        process = start(
            *("serve", "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0", "--data", f"{place}/data"),
            stdin=follower,
            stdout=follower,
            stderr=follower,
        )
        os.close(follower)
        screen = b""
        while b"Ctrl-C" not in screen:
            screen += os.read(leader, 4096)
        process.send_signal(signal.SIGINT)
        tap.expect(process.wait(SECONDS), 0)
        os.close(leader)
    text = screen.decode()
    for part in (
        *("is ready", "  registry  127.0.0.1:", "  gateway   127.0.0.1:", "HTTP/1.1, HTTP/2"),
        *("muster status --address", "/readyz", "/metrics"),
    ):
        tap.expect((part, part in text), (part, True))


def the_service_manager_is_told():
    with folder() as place, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        path = f"{place}/notify"
        manager.bind(path)
        manager.settimeout(SECONDS)

        def tells():
            return next(message for message in iter(lambda: manager.recv(4096), None) if message != b"WATCHDOG=1")

        with Muster(env={"NOTIFY_SOCKET": path, "WATCHDOG_USEC": "1000000"}) as muster:
            tap.expect(tells().startswith(b"READY=1"), True)
            tap.expect(manager.recv(4096), b"WATCHDOG=1")
            muster.signal(signal.SIGHUP)
            tap.expect(tells().startswith(b"RELOADING=1\nMONOTONIC_USEC="), True)
            tap.expect(tells(), b"READY=1")
            muster.signal(signal.SIGTERM)
            tap.expect(tells(), b"STOPPING=1")
            tap.expect(muster.end(), 0)


CASES = [
    ("it serves, and SIGTERM stops it", serves_and_stops),
    ("SIGINT stops it, too", interrupt_stops_too),
    ("/health answers as etcd does, /version gives the version", answers_like_etcd_where_it_says_so),
    ("an unknown path is 404, an unknown method 405", what_is_not_there_is_said),
    ("an answer to HEAD has a length and no body", head_has_no_body),
    ("a gateway without routes answers 404", the_gateway_says_when_there_is_no_such_service),
    ("one port speaks HTTP/1.1 and HTTP/2", both_http_versions_on_one_port),
    ("a role opens its listeners only", roles_open_their_listeners_only),
    ("any number of listeners", many_listeners),
    ("a Unix socket listens, and is gone afterwards", a_unix_socket_listens),
    ("a port in use by another muster is one line and exit code 2", a_port_in_use_is_one_line),
    ("a port in use by another program is one line and exit code 2", a_port_in_use_by_somebody_else_is_one_line),
    ("a locked data folder is one line and exit code 2", a_locked_folder_is_one_line),
    ("the data folder is where XDG and systemd say", the_data_folder_is_found_by_the_standards),
    ("the pidfile is there while it serves", the_pidfile_is_there_while_it_serves),
    ("being reachable without protection is warned about once",
     being_reachable_without_protection_is_warned_about_once),
    ("a misspelt environment variable is pointed at", a_misspelt_variable_is_pointed_at),
    ("the log can be JSON", the_log_can_be_json),
    ("on a terminal it shows what there is and what to try", a_person_sees_what_there_is),
    ("the service manager is told of start, life, reload and stop", the_service_manager_is_told),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
