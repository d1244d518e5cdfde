# SPDX-License-Identifier: Apache-2.0
"""Asking etcd or muster in JSON, with curl."""

import base64
import contextlib
import json
import subprocess

from etcd_lib import program
from lib import SECONDS, tap


def b64(text):
    return base64.b64encode(text.encode()).decode()


def plain(encoded):
    return base64.b64decode(encoded).decode()


def url(server, path, version="v3"):
    return f"http://127.0.0.1:{server.port}/{version}/{path}"


def curl(*words, body=None):
    """Status and body of one request."""
    command = [program("curl"), "-sS", "--max-time", str(SECONDS), "-w", "\n%{http_code}", *words]
    if body is not None:
        command += ["--data-binary", "@-"]
    done = subprocess.run(command, input=body, capture_output=True, text=True, timeout=SECONDS, check=True)
    text, _, status = done.stdout.rpartition("\n")
    return int(status), text


def post(server, path, request, version="v3"):
    """What a request that succeeds is answered with."""
    status, text = curl(url(server, path, version), body=json.dumps(request))
    if status != 200:
        raise AssertionError(f"{path}: {status} {text}")
    return json.loads(text)


def refusal(server, path, body):
    """Status, code and words; the words come twice, for clients old and new."""
    status, text = curl(url(server, path), body=body if isinstance(body, str) else json.dumps(body))
    error = json.loads(text)
    tap.expect(error["error"], error["message"])
    return status, error["code"], error["message"]


@contextlib.contextmanager
def stream(server, path, request):
    """The lines of an answer that goes on, as they come."""
    process = subprocess.Popen(
        [program("curl"), "-sSN", "--max-time", str(SECONDS), url(server, path), "-d", json.dumps(request)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield (json.loads(line)["result"] for line in process.stdout)
    finally:
        process.kill()
        process.stdout.close()
        process.wait(SECONDS)


class Waiting:
    """A request that is answered when its time has come."""

    def __init__(self, server, path, request):
        self.process = subprocess.Popen(
            [program("curl"), "-sS", "--max-time", str(SECONDS), url(server, path), "-d", json.dumps(request)],
            stdout=subprocess.PIPE,
            text=True,
        )

    def answer(self):
        text, _ = self.process.communicate(timeout=SECONDS)
        return json.loads(text)

    def is_waiting(self):
        return self.process.poll() is None

    def go_away(self):
        self.process.kill()
        self.process.communicate(timeout=SECONDS)
