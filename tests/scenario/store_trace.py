#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The setting store.trace: what passes between clients and the store, in the log."""

import base64
import json
import sys

from lib import Muster, ask, tap


def post(muster, path, **request):
    body = json.dumps(request)
    head = f"POST /v3/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    with muster.connect() as connection:
        return ask(connection, head + body)


def b64(text):
    return base64.b64encode(text.encode()).decode()


def traced(muster):
    """But for what the catalogue does at the start: it reads all keys, and remembers where its revisions begin."""
    lines = [line.split("msg=store ")[1] for line in muster.log().splitlines() if "msg=store " in line]
    return [line for line in lines if " end=" not in line and " actor=catalogue " not in line]


def each_change_is_a_line():
    with Muster("--set", "store.trace=changes") as muster:
        for i in range(50):
            tap.expect(post(muster, "kv/put", key=b64(f"k{i}"), value=b64("secret")).status, 200)
        post(muster, "kv/put", key=b64("k"), lease="77")
        post(muster, "kv/range", key=b64("k"))
        lines = traced(muster)
        tap.expect(len(lines), 51)
        tap.expect(lines[7].startswith('what=put key=k7 count=1 actor="etcd 127.0.0.1:'), True)
        tap.expect(" outcome=ok revision=9 took=" in lines[7], True)
        tap.expect("lease=77 " in lines[50] and 'outcome="no lease"' in lines[50], True)
        tap.expect("secret" in muster.log(), False)


def reads_are_told_on_demand():
    with Muster("--set", "store.trace=all") as muster:
        post(muster, "kv/range", key=b64("k"))
        post(muster, "lease/keepalive", ID="77")
        lines = traced(muster)
        tap.expect(lines[0].startswith("what=range key=k outcome=ok revision=1 took="), True)
        tap.expect(lines[1].startswith('what=touch lease=77 outcome="no lease"'), True)


def by_default_nothing_is_told():
    with Muster() as muster:
        post(muster, "kv/put", key=b64("k"))
        tap.expect(traced(muster), [])


CASES = [
    ("each change is a line, without values, and none is left out", each_change_is_a_line),
    ("reads and heartbeats are told on demand", reads_are_told_on_demand),
    ("by default nothing is told", by_default_nothing_is_told),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
