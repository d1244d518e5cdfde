#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""/metrics, as Prometheus reads it."""

import shutil
import subprocess
import sys
import time

from lib import Muster, tap


def prometheus_finds_nothing_to_complain_about():
    promtool = shutil.which("promtool")
    if not promtool:
        raise tap.Skip("promtool is not there")
    with Muster() as muster:
        muster.get("/nope")
        text = muster.get("/metrics").body
        done = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, timeout=20)
        tap.expect((done.returncode, done.stdout + done.stderr), (0, b""))


def the_type_says_which_format():
    with Muster() as muster:
        tap.expect(muster.get("/metrics").headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")


def what_is_counted_is_right():
    with Muster() as muster:
        for _ in range(3):
            muster.get("/livez")
        muster.get("/nope")
        ok, missing = ('muster_http_requests_total{protocol="http1",code="%s"}' % code for code in ("2xx", "4xx"))
        tap.expect((muster.metric(ok), muster.metric(missing)), (3, 1))
        tap.expect(muster.metric("muster_ready "), 1)


def the_process_is_described():
    with Muster() as muster:
        resident, opened = muster.metric("process_resident_memory_bytes"), muster.metric("process_open_fds")
        tap.expect(abs(resident - muster.resident_bytes()) < 4e6, True)
        tap.expect(5 < opened < 64, True)
        tap.expect(muster.metric("process_max_fds") > opened, True)
        tap.expect(muster.metric("process_cpu_seconds_total") > 0, True)
        uptime = muster.metric("muster_uptime_seconds")
        started = muster.metric("process_start_time_seconds")
        tap.expect(abs(time.time() - uptime - started) < 10, True)


CASES = [
    ("promtool finds nothing to complain about", prometheus_finds_nothing_to_complain_about),
    ("the type says which format it is", the_type_says_which_format),
    ("what is counted is right", what_is_counted_is_right),
    ("the process is described", the_process_is_described),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
