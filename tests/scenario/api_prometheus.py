#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Debian's Prometheus finds its targets here, by http_sd: they appear, are scraped, and vanish."""

import contextlib
import http.client
import json
import shutil
import subprocess
import sys

from api_lib import address, call, deregister, get, instance_path, register
from lib import SECONDS, Muster, folder, free_port, tap, wait_for

CONFIG = """
global: {scrape_interval: 1s}
scrape_configs:
- job_name: muster
  http_sd_configs: [{url: "http://%s:%d/sd/prometheus", refresh_interval: 1s}]
  relabel_configs:
  - {source_labels: [__meta_muster_service], target_label: service}
  - {source_labels: [__meta_muster_instance], target_label: name}
  - {source_labels: [__meta_muster_tags], regex: ".*,canary,.*", target_label: canary, replacement: "yes"}
"""


@contextlib.contextmanager
def prometheus(muster):
    program = shutil.which("prometheus")
    if not program:
        raise tap.Skip("prometheus is not there")
    with folder() as place:
        (place / "config.yml").write_text(CONFIG % address(muster))
        port = free_port()
        words = [program, f"--config.file={place}/config.yml", f"--storage.tsdb.path={place}/data"]
        with (place / "log").open("w") as log:
            process = subprocess.Popen([*words, f"--web.listen-address=127.0.0.1:{port}"], stdout=log, stderr=log)
        try:
            yield port
        finally:
            process.kill()
            process.wait(SECONDS)


def targets(port):
    """Of each target its address, service, name, canary and health; None while Prometheus is not there yet."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS)
    try:
        connection.request("GET", "/api/v1/targets?state=active")
        active = json.loads(connection.getresponse().read())["data"]["activeTargets"]
    except (OSError, ValueError):
        return None
    finally:
        connection.close()
    labels = [(target["labels"], target["health"]) for target in active]
    return sorted((l["instance"], l["service"], l["name"], l.get("canary"), health) for l, health in labels)


def targets_appear_and_vanish():
    with Muster() as muster, prometheus(muster) as port:
        own = "%s:%d" % address(muster)
        wait_for(lambda: targets(port), [])
        register(muster, "muster", "self", f"http://{own}", tags=["canary", "x"], ttl_ms=0)
        register(muster, "unix", "no-port", "unix@/run/x", ttl_ms=0)
        wait_for(lambda: targets(port), [(own, "muster", "self", "yes", "up")])
        call(muster, "PUT", instance_path("muster", "self") + "/drain")
        deregister(muster, "unix", "no-port")
        tap.expect(len(get(muster, "/sd/prometheus").json), 1)
        deregister(muster, "muster", "self")
        wait_for(lambda: targets(port), [])


def groups_say_all_there_is_to_say():
    with Muster() as muster:
        register(muster, "web", "one", "http@[::1]:80", zone="a", tags=["x", "y"], metadata={"team-name": "blue"})
        register(muster, "db", "one", "10.0.0.1:5432")
        group = get(muster, "/sd/prometheus?service=web&service=nope").json
        labels = {"service": "web", "instance": "one", "status": "up", "offered": "true", "protocol": "http"}
        labels |= {"zone": "a", "tags": ",x,y,", "metadata_team_name": "blue"}
        wanted = {f"__meta_muster_{name}": value for name, value in labels.items()}
        tap.expect(group, [{"targets": ["[::1]:80"], "labels": wanted}])
        tap.expect(len(get(muster, "/sd/prometheus").json), 2)


CASES = (targets_appear_and_vanish, groups_say_all_there_is_to_say)

if __name__ == "__main__":
    sys.exit(tap.main([(case.__name__.replace("_", " "), case) for case in CASES]))
