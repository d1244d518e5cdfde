#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""SIGHUP: what can change while serving changes, the rest is said."""

import signal
import ssl
import sys

from lib import Muster, ask, folder, make_certificate, receive_to_end, tap, wait_for


def reload(muster):
    """Sends SIGHUP and waits for the end of the reload; gives the lines of the log from it."""
    since = len(muster.log())
    muster.signal(signal.SIGHUP)
    muster.wait_for_log("reloaded", since)
    return muster.log()[since:]


def deadlines_change():
    with folder() as place:
        path = place / "muster.yaml"
        path.write_text("http:\n  head_timeout: 1h\n")
        with Muster("--config", str(path)) as muster:
            path.write_text("http:\n  head_timeout: 50ms\n")
            said = reload(muster)
            tap.expect('msg="setting changed" key=http.head_timeout' in said, True)
            with muster.connect() as slow:
                slow.sendall(b"GET /livez HTTP/1.1\r\n")
                tap.expect(receive_to_end(slow).startswith(b"HTTP/1.1 408 "), True)


def routes_change_and_connections_go_on():
    with folder() as place:
        path = place / "muster.yaml"
        path.write_text("gateway:\n  routes: /v1 service=nobody\n")
        with Muster("--config", str(path)) as muster, muster.connect("gateway") as connection:

            def statuses():
                return [ask(connection, f"GET /v{n} HTTP/1.1\r\nHost: x\r\n\r\n").status for n in (1, 2)]

            tap.expect(statuses(), [503, 404])  # routed, but nobody is there
            path.write_text("gateway:\n  routes: /v2 service=nobody\n")
            tap.expect('msg="setting changed" key=gateway.routes' in reload(muster), True)
            wait_for(statuses, [404, 503])
            path.write_text("gateway:\n  routes: /v1 service=nobody wrong\n")
            tap.expect("wrong" in reload(muster), True)
            tap.expect(statuses(), [404, 503])


def the_level_of_the_log_changes():
    with folder() as place:
        path = place / "muster.yaml"
        path.write_text("log:\n  level: error\n")
        with Muster("--config", str(path)) as muster:
            tap.expect(muster.log(), "")
            path.write_text("log:\n  level: info\n")
            tap.expect("configuration reloaded" in reload(muster), True)


def what_cannot_change_is_said_each_time():
    with folder() as place:
        path = place / "muster.yaml"
        path.write_text("workers: 1\n")
        with Muster("--config", str(path)) as muster:
            path.write_text("workers: 2\n")
            for _ in range(2):
                said = reload(muster)
                tap.expect('level=warn msg="setting changed, but needs a restart" key=workers' in said, True)
            tap.expect(muster.metric("muster_workers "), 1)
            path.write_text("workers: 1\n")
            tap.expect("needs a restart" in reload(muster), False)


def a_broken_file_changes_nothing():
    with folder() as place:
        path = place / "muster.yaml"
        path.write_text("http:\n  head_timeout: 1h\n")
        with Muster("--config", str(path)) as muster:
            path.write_text("http:\n  head_timeout: 50ms\n  head_timeouts: 1s\n")
            said = reload(muster)
            tap.expect("level=error" in said and "the old one stays in force" in said, True)
            tap.expect("muster.yaml:3: http.head_timeouts: unknown key" in said, True)
            tap.expect(muster.get("/livez").status, 200)
            path.unlink()
            tap.expect("cannot read" in reload(muster), True)
            tap.expect(muster.get("/livez").status, 200)


def served_name(muster):
    """The common name in the certificate that the server shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with muster.connect() as plain, context.wrap_socket(plain) as connection:
        der = connection.getpeercert(binary_form=True)
    return [name for name in ("first", "second") if name.encode() in der]


def certificates_are_read_again():
    with folder() as place:
        cert, key = make_certificate(place, "first")
        settings = ("--set", f"tls.cert={cert}", "--set", f"tls.key={key}")
        with Muster(*settings) as muster:
            tap.expect(served_name(muster), ["first"])
            context = ssl.create_default_context(cafile=str(cert))
            with muster.connect() as plain, context.wrap_socket(plain, server_hostname="localhost") as old:
                tap.expect(ask(old, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status, 200)
                fresh_cert, fresh_key = make_certificate(place, "second")
                fresh_cert.replace(cert)
                fresh_key.replace(key)
                reload(muster)
                # A connection that is there goes on; new ones get the new certificate.
                tap.expect(ask(old, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n").status, 200)
                tap.expect(served_name(muster), ["second"])
            key.write_text("no key")
            tap.expect("the old one stays in force" in reload(muster), True)
            tap.expect(served_name(muster), ["second"])


CASES = [
    ("deadlines change", deadlines_change),
    ("routes change, and connections go on", routes_change_and_connections_go_on),
    ("the log's level changes", the_level_of_the_log_changes),
    ("what cannot change is said, each time", what_cannot_change_is_said_each_time),
    ("a broken file changes nothing", a_broken_file_changes_nothing),
    ("certificates are read again, running connections go on", certificates_are_read_again),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
