#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""A drain through the gateway: nothing new comes, and it is over when nothing is under way, by count."""

import subprocess
import sys
import threading

from api_lib import call, instance_path
from gateway_lib import OK, Gateway, Instance
from lib import BINARY, SECONDS, environment, run, tap, wait_for


def holders(gateway, instance):
    return call(gateway, "GET", f"{instance_path(instance.service, instance.name)}/holders").json


def a_drain_waits_for_what_is_under_way():
    may_answer = threading.Event()

    def answer(request, _):
        if b"/slow" in request.head:
            may_answer.wait()
        return OK

    with Gateway() as gateway, Instance(gateway, answer) as instance:
        env = environment(MUSTER_ADDR=f"http://{gateway.address()}")
        name = f"{instance.service}/{instance.name}"
        tap.expect(run("drain", name, "--wait", "--timeout", "10s", env=env).code, 0)
        tap.expect(run("drain", name, "--end", env=env).code, 0)
        wait_for(lambda: gateway.ask(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n").status, 200)
        with gateway.dial() as client:
            client.send(f"POST {instance.path}slow HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n")
            while not instance.next().target.endswith("slow"):
                pass
            wait_for(lambda: [each["state"] for each in holders(gateway, instance)["holders"]], ["waiting"])
            late = run("drain", name, "--wait", "--timeout", "300ms", env=env)
            tap.expect((late.code, f"POST {instance.path}slow, waiting" in late.err), (1, True))
            wait_for(lambda: gateway.ask(f"GET {instance.path} HTTP/1.1\r\nHost: a\r\n\r\n").status, 503)
            draining = subprocess.Popen([BINARY, "drain", name, "--wait"], env=env)
            told = holders(gateway, instance)
            tap.expect((told["picked"], told["in_flight"]), (False, 1))
            tap.expect(told["holders"][0]["state"], "waiting")
            tap.expect(draining.poll(), None)
            may_answer.set()
            tap.expect(client.answer("POST").status, 200)
            tap.expect(draining.wait(SECONDS), 0)


CASES = [("a drain waits for what is under way, and tells who holds it", a_drain_waits_for_what_is_under_way)]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
