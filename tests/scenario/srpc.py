#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The header registry as its clients know it, and beside the other protocols."""

import json
import signal
import sys

from etcd_curl import b64, curl
from lib import Muster, ask, tap, wait_for

PATH = "/srpc/registry"


def request(muster, method, path=PATH, **headers):
    """One request on a connection of its own."""
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close", "Content-Length: 0"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    with muster.connect() as connection:
        return ask(connection, "\r\n".join([*lines, "", ""]))


def register(muster, address, path=PATH, **headers):
    tap.expect(request(muster, "POST", path, Srpc_Servers=address, **headers).status, 200)


def servers(muster, path=PATH, **headers):
    answer = request(muster, "GET", path, **headers)
    tap.expect((answer.status, answer.body), (200, b""))
    return answer.headers["srpc-servers"]


def registers_and_lists():
    with Muster() as muster:
        tap.expect(servers(muster), "")
        for address in "tcp@10.0.0.2:1", "tcp@10.0.0.1:2", "http@10.0.0.3:3", "tcp@10.0.0.1:2":
            register(muster, address)
        tap.expect(servers(muster), "http@10.0.0.3:3,tcp@10.0.0.1:2,tcp@10.0.0.2:1")


def addresses_are_answered_verbatim():
    with Muster() as muster:
        for address in "tcp@[::]:43210", "whatever they call it", "unix@/run/x.sock":
            register(muster, address)
        tap.expect(servers(muster), "tcp@[::]:43210,unix@/run/x.sock,whatever they call it")


def heartbeats_keep_and_silence_ends():
    with Muster("--set", "srpc.ttl=1s") as muster:
        register(muster, "tcp@10.0.0.1:1")
        register(muster, "tcp@10.0.0.2:2")

        def beat():
            register(muster, "tcp@10.0.0.1:1")
            return servers(muster)

        wait_for(beat, "tcp@10.0.0.1:1")  # the other one has gone, this one was renewed all the time
        wait_for(lambda: servers(muster), "")


def bad_requests():
    with Muster() as muster:
        for headers in {}, {"Srpc_Servers": ""}, {"Srpc_Servers": "tcp@a:1,tcp@b:2"}:
            answer = request(muster, "POST", **headers)
            tap.expect((answer.status, b"Srpc-Servers" in answer.body), (500, True))
        for method in "PUT", "DELETE", "PATCH":
            tap.expect(request(muster, method).status, 405)
        tap.expect(request(muster, "POST", f"{PATH}/a%zz", Srpc_Servers="tcp@a:1").status, 500)
        tap.expect(servers(muster), "")


def head_is_no_method_of_it():
    with Muster() as muster:
        status, _ = curl("--head", f"http://{muster.address()}{PATH}")
        tap.expect(status, 405)


def names_are_registries_of_their_own():
    with Muster("--set", "srpc.service=nameless") as muster:
        register(muster, "tcp@h:1")
        register(muster, "tcp@h:2", f"{PATH}/log")
        register(muster, "tcp@h:3", Srpc_Service="log")
        register(muster, "tcp@h:4", f"{PATH}/two%20words%2Fone%20slash")
        tap.expect(servers(muster), "tcp@h:1")
        tap.expect(servers(muster, f"{PATH}/nameless"), "tcp@h:1")
        tap.expect(servers(muster, f"{PATH}/log"), "tcp@h:2,tcp@h:3")
        tap.expect(servers(muster, Srpc_Service="two words/one slash"), "tcp@h:4")
        tap.expect(servers(muster, f"{PATH}/unknown"), "")


def one_header_however_long():
    with Muster() as muster:
        addresses = sorted(f"tcp@10.{n // 256}.{n % 256}.1:{n + 1}" for n in range(4000))
        with muster.connect() as connection:
            for address in addresses:
                head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nSrpc-servers: {address}\r\n\r\n"
                tap.expect(ask(connection, head).status, 200)
        tap.expect(servers(muster).split(","), addresses)


def survives_a_restart():
    with Muster() as muster:
        register(muster, "tcp@h:1")
        muster.start_again(signal.SIGKILL)
        tap.expect(servers(muster), "tcp@h:1")


def other_protocols_see_it_and_it_sees_them():
    with Muster() as muster:
        register(muster, "tcp@10.0.0.1:1", f"{PATH}/web")
        put(muster, "/muster/services/web/b", json.dumps({"address": "10.0.0.2:2", "protocol": "http"}))
        put(muster, "/muster/services/web/c", json.dumps({"address": "[fd00::1]:3"}))
        wait_for(lambda: servers(muster, f"{PATH}/web"), "http@10.0.0.2:2,tcp@10.0.0.1:1,tcp@[fd00::1]:3")
        tap.expect(count(muster, "/muster/services/web/"), 3)


def zero_is_for_ever():
    with Muster("--set", "srpc.ttl=0") as muster:
        register(muster, "tcp@h:1")
        tap.expect(servers(muster), "tcp@h:1")
        instance = json.loads(muster.get("/api/v1/services/srpc").body)["instances"][0]
        tap.expect("lease" in instance, False)


def what_has_a_comma_is_in_no_list():
    with Muster() as muster:
        register(muster, "tcp@10.0.0.1:1", f"{PATH}/web")
        for key, record in {
            "a": {"address": "10.0.0.2,10.0.0.3:80"},
            "b": {"address": "10.0.0.2:2", "protocol": "x,y"},
            "c": {"address": "tcp@z:3"},
        }.items():
            put(muster, f"/muster/services/web/{key}", json.dumps(record))
        wait_for(lambda: servers(muster, f"{PATH}/web"), "tcp@10.0.0.1:1,tcp@z:3")


def put(muster, key, value):
    body = json.dumps({"key": b64(key), "value": b64(value)})
    tap.expect(curl(f"http://{muster.address()}/v3/kv/put", body=body)[0], 200)


def count(muster, prefix):
    end = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    body = json.dumps({"key": b64(prefix), "range_end": b64(end), "count_only": True})
    return int(json.loads(curl(f"http://{muster.address()}/v3/kv/range", body=body)[1])["count"])


CASES = [
    ("addresses are registered and listed, sorted", registers_and_lists),
    ("addresses are answered verbatim", addresses_are_answered_verbatim),
    ("a heartbeat keeps an address, silence ends it", heartbeats_keep_and_silence_ends),
    ("with a time of 0 an address stays for ever", zero_is_for_ever),
    ("bad requests get 500 with words, other methods 405", bad_requests),
    ("HEAD is no method of it", head_is_no_method_of_it),
    ("each name is a registry of its own", names_are_registries_of_their_own),
    ("one header however long the list", one_header_however_long),
    ("registrations survive a restart", survives_a_restart),
    ("what has a comma is in no list", what_has_a_comma_is_in_no_list),
    ("other protocols see it, and it sees them", other_protocols_see_it_and_it_sees_them),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
