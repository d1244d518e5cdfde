#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""What can be seen of the gateway's work: metrics, why a request went where it went, what is under way, logs, edges."""

import sys

from api_lib import deregister
from gateway_lib import CLOSE, Gateway, Instance
from lib import tap, wait_for

HEAD = "HTTP/1.1\r\nHost: a\r\n"


def labels(service, **more):
    return ",".join(f'{name}="{value}"' for name, value in {"service": service, **more}.items())


def answers(gateway, service):
    """How many answers of the 2xx class, without those of the test's own look whether it is there."""
    return gateway.metric("muster_gateway_requests_total{" + labels(service, code="2xx") + "}")


def metrics_tell_of_services_and_instances():
    with Gateway() as gateway, Instance(gateway) as instance:
        service, before = instance.service, answers(gateway, instance.service)
        for _ in range(5):
            tap.expect(gateway.ask(f"GET {instance.path} {HEAD}\r\n").status, 200)
        tap.expect(answers(gateway, service), before + 5)
        both = labels(service, instance=instance.name)
        tap.expect(gateway.metric("muster_gateway_instance_answers_total{" + labels(
            service, instance=instance.name, code="2xx") + "}"), before + 5)
        tap.expect(gateway.metric("muster_gateway_instance_connections_opened_total{" + both) >= 1, True)
        tap.expect(gateway.metric("muster_gateway_first_byte_seconds_count{" + labels(service)), before + 5)
        tap.expect(gateway.metric("muster_gateway_in_flight{" + labels(service)), 0)
        tap.expect(gateway.ask(f"GET /nobody/x {HEAD}\r\n").status, 404)
        tap.expect(gateway.metric('muster_gateway_unrouted_total{cause="NO_ROUTE"}') >= 1, True)


def what_a_service_counted_stays_when_its_instances_go():
    with Gateway() as gateway, Instance(gateway) as first, Instance(gateway, service=first.service) as second:
        for _ in range(10):
            tap.expect(gateway.ask(f"GET {first.path} {HEAD}\r\n").status, 200)
        before = answers(gateway, first.service)
        deregister(gateway, first.service, first.name)
        gone = 'muster_gateway_instance_in_flight{' + labels(first.service, instance=first.name)
        tap.expect(gateway.ask(f"GET {second.path} {HEAD}\r\n").status, 200)
        wait_for(lambda: gone in gateway.get("/metrics").body.decode(), False)
        tap.expect(answers(gateway, first.service) >= before + 1, True)


def why_a_request_failed_is_counted():
    with Gateway() as gateway, Instance(gateway, answer=lambda *_: CLOSE) as instance:
        tap.expect(gateway.ask(f"POST {instance.path} {HEAD}Content-Length: 1\r\n\r\nx").status, 502)
        tap.expect(gateway.metric("muster_gateway_failed_total{" + labels(
            instance.service, cause="TERMINATED")), 1)
        tap.expect(gateway.metric("muster_gateway_requests_total{" + labels(instance.service, code="5xx")), 1)


CASES = [
    ("metrics tell of services and instances", metrics_tell_of_services_and_instances),
    ("what a service counted stays when its instances go", what_a_service_counted_stays_when_its_instances_go),
    ("why a request failed is counted", why_a_request_failed_is_counted),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
