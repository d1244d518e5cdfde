#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Instances from files, with a real muster: they come, go, are sent requests, and outlive what is wrong with a file."""

import contextlib
import http.server
import json
import os
import threading

from api_lib import get
from lib import Muster, folder, run, tap, wait_for

SETTINGS = ("--set", "catalog.flap_suppress=0")


def follow(path):
    return Muster(*SETTINGS, "--set", f"sources.file.paths={path}")


def entry(name, port=1, **members):
    return {"service": "web", "id": name, "address": f"127.0.0.1:{port}", **members}


def replace(path, entries):
    """As an editor or a deployment does it: whole, and in one moment."""
    new = path.with_name(f".{path.name}.new")
    new.write_text(entries if isinstance(entries, str) else json.dumps(entries))
    os.replace(new, path)


def instances(muster):
    answer = get(muster, "/api/v1/services/web")
    return answer.json["instances"] if answer.status == 200 else []


def names(muster):
    return sorted(one["id"] for one in instances(muster))


def statuses(muster):
    return [one["status"] for one in instances(muster)]


def source(muster):
    """What the status says of the first path."""
    return next(one for one in get(muster, "/api/v1/status").json["sources"] if one["name"] == "file")


def timeline(muster):
    entries = get(muster, "/api/v1/timeline?service=web&limit=1000").json["entries"]
    return [f"{one['kind']} by {one['actor']}: {one['evidence']}" for one in reversed(entries)]


@contextlib.contextmanager
def backend():
    """A server that answers its port; gives the port."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(str(self.server.server_port).encode())

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def from_a_file_to_a_request():
    with folder() as path, backend() as first, backend() as second:
        (path / "web.yaml").write_text(f"- service: web\n  address: http@127.0.0.1:{first}\n")
        with follow(path) as muster:
            wait_for(lambda: muster.get("/web", role="gateway").status, 200)
            replace(path / "web.yaml", f"- service: web\n  address: http@127.0.0.1:{second}\n")
            wait_for(lambda: names(muster), [f"http@127.0.0.1:{second}"])
            tap.expect(muster.get("/web", role="gateway").status, 200)
            replace(path / "web.yaml", "[]")
            wait_for(lambda: names(muster), [])
            place = path / "web.yaml"
            wait_for(
                lambda: [line for line in timeline(muster) if line.startswith(("registered", "deregistered"))][-1:],
                [f"deregistered by file: no longer in {place}"],
            )
            tap.expect(timeline(muster)[0], f"registered by file: {place}")


def a_check_of_a_file_is_looked_at():
    with folder() as path, backend() as port:
        replace(path / "web.json", [entry("one", port, check={"type": "http", "interval_ms": 100, "to_fail": 1})])
        with follow(path) as muster:
            wait_for(lambda: statuses(muster), ["up"])
            replace(path / "web.json", [entry("one", 1, check={"type": "tcp", "interval_ms": 100, "to_fail": 1})])
            wait_for(lambda: statuses(muster), ["failing"])


def what_is_wrong_is_told():
    with folder() as path:
        replace(path / "a.yaml", [entry("one")])
        with follow(path) as muster:
            replace(path / "a.yaml", "- service: web\n  address: 127.0.0.1:1\n  wieght: 3\n")
            words = f'{path}/a.yaml:3:3: "wieght" is no member of an instance, did you mean "weight"?'
            wait_for(lambda: source(muster)["trouble"], words)
            muster.wait_for_log("a.yaml:3:3")
            replace(path / "b.yaml", [entry("two")])
            wait_for(lambda: names(muster), ["one", "two"])
            tap.expect(source(muster)["trouble"], words)
            tap.expect(muster.metric("muster_file_broken"), 1)
            tap.expect(muster.metric("muster_file_files"), 2)
            tap.expect(muster.metric("muster_file_instances"), 2)
            told = run("status", "--address", muster.address())
            tap.expect("wieght" in told.out, True)
            tap.expect(muster.log().count("wieght"), 1)
            replace(path / "a.yaml", [entry("one"), entry("three")])
            wait_for(lambda: names(muster), ["one", "three", "two"])
            tap.expect(source(muster)["trouble"], "")


def a_killed_muster_brings_it_in_line():
    with folder() as path:
        replace(path / "a.yaml", [entry("one"), entry("two")])
        with follow(path) as muster:
            wait_for(lambda: names(muster), ["one", "two"])
            muster.signal(9)
            muster.process.wait()
            replace(path / "a.yaml", [entry("two"), entry("three")])
            muster.start_again()
            wait_for(lambda: names(muster), ["three", "two"])


def paths_that_come_later_and_links():
    with folder() as path:
        place = path / "not" / "yet"
        with follow(place) as muster:
            tap.expect(source(muster)["state"], "following")
            for number in ("1", "2"):
                (path / number).mkdir()
                replace(path / number / "a.yaml", [entry(number)])
            (path / "not").mkdir()
            (path / "not" / "yet").symlink_to(path / "1")
            wait_for(lambda: names(muster), ["1"])
            (path / "not" / "new").symlink_to(path / "2")
            os.replace(path / "not" / "new", place)
            wait_for(lambda: names(muster), ["2"])
            tap.expect(source(muster)["drifts"], 0)


def too_many_paths():
    many = ",".join(f"/nowhere/{i}" for i in range(17))
    with folder() as path:
        words = ("serve", "--data", str(path), "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
        done = run(*words, "--set", f"sources.file.paths={many}")
        tap.expect(done.code != 0, True)
        tap.expect("17 paths are more than the 16 that are accepted" in done.err, True)


CASES = [
    ("from a file to a request", from_a_file_to_a_request),
    ("a check of a file is looked at", a_check_of_a_file_is_looked_at),
    ("what is wrong is told once, with its place, and changes nothing", what_is_wrong_is_told),
    ("what a muster that was killed left is brought in line", a_killed_muster_brings_it_in_line),
    ("paths that come later, and links that are put elsewhere", paths_that_come_later_and_links),
    ("too many paths are refused", too_many_paths),
]

if __name__ == "__main__":
    raise SystemExit(tap.main(CASES))
