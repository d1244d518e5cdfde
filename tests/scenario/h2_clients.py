#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""HTTP/2 with clients that others wrote: curl, nghttp, h2load."""

import re
import signal
import subprocess
import sys
import threading

from lib import SECONDS, Muster, folder, make_certificate, read_to_end, tap


def program(*words):
    """What a client prints; it must end well."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=SECONDS * 3)
    if done.returncode != 0:
        raise AssertionError(f"{words[0]} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return done.stdout


def curl(muster, path, *options, scheme="http"):
    form = "%{http_version} %{http_code} %{stderr}"
    return program("curl", "--silent", "--show-error", "--write-out", form, *options,
                   f"{scheme}://{muster.address()}{path}")


def curl_by_prior_knowledge():
    with Muster() as muster:
        tap.expect(curl(muster, "/livez", "--http2-prior-knowledge"), "ok\n2 200 ")
        tap.expect(curl(muster, "/livez", "--http2-prior-knowledge", "--head").splitlines()[0], "HTTP/2 200 ")
        tap.expect(curl(muster, "/nope", "--http2-prior-knowledge").endswith("2 404 "), True)


def curl_by_alpn():
    with folder() as path:
        cert, key = make_certificate(path, "server")
        with Muster("--set", f"tls.cert={cert}", "--set", f"tls.key={key}") as muster:
            text = curl(muster, "/livez", "--http2", "--cacert", str(cert), scheme="https")
            tap.expect(text, "ok\n2 200 ")


def curl_uploads_what_nobody_wants():
    with Muster() as muster:
        body = muster.path / "body"
        for size in (1000, 300_000):
            body.write_bytes(b"x" * size)
            text = curl(muster, "/livez", "--http2-prior-knowledge", "--data-binary", f"@{body}")
            tap.expect(text.endswith("2 405 "), True)


def curl_waits_for_100():
    with Muster() as muster:
        text = curl(muster, "/livez", "--http2-prior-knowledge", "--header", "expect: 100-continue", "--data", "x")
        tap.expect(text.endswith("2 405 "), True)


def nghttp_asks_many_at_once():
    with Muster() as muster:
        text = program("nghttp", "--stat", "--null-out", "--multiply=50", f"http://{muster.address()}/metrics")
        tap.expect(len(re.findall(r"\b200\b.*/metrics", text)), 50)


def nghttp_is_content_with_padding_trailers_and_continuations():
    with Muster() as muster:
        text = program("nghttp", "--padding=100", "--trailer=x-end: yes", "--continuation",
                       f"http://{muster.address()}/livez")
        tap.expect(text, "ok\n")


def requests_done(text):
    return re.search(r"requests: .*? (\d+) succeeded, (\d+) failed, (\d+) errored", text).groups()


def h2load_at_full_speed():
    with Muster() as muster:
        text = program("h2load", "--requests=20000", "--clients=20", "--max-concurrent-streams=20",
                       f"http://{muster.address()}/livez")
        tap.expect(requests_done(text), ("20000", "0", "0"))


def narrow_windows_let_large_answers_through():
    with Muster() as muster:
        text = program("h2load", "--requests=200", "--clients=4", "--max-concurrent-streams=10", "--window-bits=10",
                       "--connection-window-bits=12", f"http://{muster.address()}/metrics")
        tap.expect(requests_done(text), ("200", "0", "0"))


def stopping_under_load_loses_nothing():
    """SIGTERM while h2load asks: what was begun is answered; the rest is refused in order, by GOAWAY."""
    with Muster() as muster:
        load = subprocess.Popen(
            ["h2load", "--duration=60", "--clients=4", "--max-concurrent-streams=10",
             f"http://{muster.address()}/livez"],
            stdout=subprocess.PIPE, text=True,
        )
        while muster.metric('muster_http_requests_total{protocol="http2",code="2xx"') < 1000:
            pass
        muster.signal(signal.SIGTERM)
        tap.expect(muster.end(), 0)
        load.kill()
        load.communicate()


CASES = [
    ("curl by prior knowledge", curl_by_prior_knowledge),
    ("curl by ALPN over TLS", curl_by_alpn),
    ("curl may upload what nobody wants", curl_uploads_what_nobody_wants),
    ("curl is not made to wait for 100", curl_waits_for_100),
    ("nghttp asks for much at once", nghttp_asks_many_at_once),
    ("padding, trailers and continuations", nghttp_is_content_with_padding_trailers_and_continuations),
    ("h2load at full speed", h2load_at_full_speed),
    ("narrow windows let large answers through", narrow_windows_let_large_answers_through),
    ("stopping under load ends in order", stopping_under_load_loses_nothing),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
