#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""TLS of the gateway's listeners, which have certificates of their own."""

import ssl
import subprocess
import sys

from lib import SECONDS, Muster, ask, folder, make_certificate, tap

REQUEST = "GET /nowhere HTTP/1.1\r\nHost: x\r\n\r\n"


def served_to(muster, name, role="gateway"):
    """The host name in the certificate that a client gets who asks for that name."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with muster.connect(role) as plain, context.wrap_socket(plain, server_hostname=name) as connection:
        der = connection.getpeercert(binary_form=True)
    return [host for host in ("one.example", "two.example") if host.encode() in der]


def a_client_gets_the_certificate_of_the_name_it_asks_for():
    with folder() as place:
        one = make_certificate(place, "one", hosts="DNS:one.example")
        two = make_certificate(place, "two", hosts="DNS:two.example")
        settings = ["--set", f"gateway.tls.cert={one[0]},{two[0]}", "--set", f"gateway.tls.key={one[1]},{two[1]}"]
        with Muster(*settings) as muster:
            tap.expect(served_to(muster, "two.example"), ["two.example"])
            tap.expect(served_to(muster, "one.example"), ["one.example"])
            tap.expect(served_to(muster, "other.example"), ["one.example"])
            tap.expect(muster.get("/livez").status, 200)  # the registry is another matter


def curl_speaks_https_to_the_gateway():
    with folder() as place:
        cert, key = make_certificate(place, "server")
        with Muster("--set", f"gateway.tls.cert={cert}", "--set", f"gateway.tls.key={key}") as muster:
            url = f"https://{muster.address('gateway')}/nowhere"
            for version in ("--http1.1", "--http2"):
                done = subprocess.run(
                    ["curl", "-sS", "-o", "/dev/null", version, "--cacert", str(cert)]
                    + ["-w", "%{http_code} %{http_version}", url],
                    capture_output=True, text=True, timeout=SECONDS, check=False,
                )
                tap.expect((done.stderr, done.stdout), ("", "404 2" if version == "--http2" else "404 1.1"))


def plain_http_is_answered_only_when_allowed():
    with folder() as place:
        cert, key = make_certificate(place, "server")
        settings = ["--set", f"gateway.tls.cert={cert}", "--set", f"gateway.tls.key={key}"]
        for words, status in (([], 400), (["--set", "gateway.tls.plain=true"], 404)):
            with Muster(*settings, *words) as muster, muster.connect("gateway") as plain:
                tap.expect(ask(plain, REQUEST).status, status)


CASES = [
    ("a client gets the certificate of the name it asks for", a_client_gets_the_certificate_of_the_name_it_asks_for),
    ("curl speaks https to the gateway, HTTP/1.1 and HTTP/2", curl_speaks_https_to_the_gateway),
    ("plain HTTP is answered only when allowed", plain_http_is_answered_only_when_allowed),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
