#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What users of other registries suffer from, each a scenario named after where it was reported: docs/complaints.md.

Here is what belongs to no single part. The others have their test where the part is, under the same kind of name.
"""

import signal
import sys
import time

from api_lib import Events, call, deregister, get, instance_path, names, register
from lib import Muster, receive_answer, tap, wait_for
from matrix import all_pairs, delete, grant, put

QUICK = ("--set", "store.min_ttl=100ms")


def shown(muster, service, name):
    return get(muster, instance_path(service, name)).json


def timeline(muster, service, name):
    """Kind, actor and evidence of what happened to the instance, the oldest first."""
    entries = get(muster, f"/api/v1/timeline?service={service}&instance={name}").json["entries"]
    return [(entry["kind"], entry["actor"], entry["evidence"]) for entry in reversed(entries)]


def kinds(muster, service, name):
    return [kind for kind, _, _ in timeline(muster, service, name)]


def who_deleted_it_is_known():
    with Muster() as muster:
        put(muster, "/muster/services/db/one", '{"address":"10.0.0.1:5432"}', grant(muster))
        delete(muster, "/muster/services/db/one")
        wait_for(lambda: kinds(muster, "db", "one"), ["registered", "deregistered"])
        tap.expect(timeline(muster, "db", "one")[-1][1].startswith("etcd 127.0.0.1:"), True)


def what_was_deregistered_stays_away():
    with Muster() as muster:
        register(muster, "db", "stale")
        register(muster, "db", "other")
        tap.expect(deregister(muster, "db", "stale").status, 200)
        tap.expect(call(muster, "POST", instance_path("db", "stale") + "/renew").status, 404)
        muster.start_again(signal.SIGKILL)
        tap.expect(names(muster, "db"), ["other"])
        register(muster, "db", "stale")
        tap.expect(names(muster, "db"), ["other", "stale"])


def who_comes_and_goes_is_the_last_resort():
    with Muster() as muster:
        register(muster, "db", "steady")
        for _ in range(5):
            register(muster, "db", "restless")
            deregister(muster, "db", "restless")
        register(muster, "db", "restless")
        state = lambda: (shown(muster, "db", "restless")["status"], names(muster, "db", "?offered=true"))  # noqa: E731
        wait_for(state, ("flapping", ["steady"]))
        tap.expect(shown(muster, "db", "restless")["last_resort"], True)
        wait_for(lambda: "flapping" in kinds(muster, "db", "restless"), True)


def a_mass_loss_does_not_empty_the_list():
    with Muster(*QUICK) as muster:
        register(muster, "db", "a", ttl_ms=0)
        for name in "bcd":
            register(muster, "db", name, ttl_ms=1000)
        wait_for(lambda: [shown(muster, "db", name)["status"] for name in "abcd"], ["up", "held", "held", "held"])
        # Clients of keys see exactly the keys.
        tap.expect(list(all_pairs(muster)), ["/muster/services/db/a"])
        # Who asks for those that get traffic is given the better ones, and never an empty list.
        tap.expect(names(muster, "db", "?offered=true"), ["a"])
        deregister(muster, "db", "a")
        tap.expect(names(muster, "db", "?offered=true"), ["b", "c", "d"])
        tap.expect(get(muster, "/api/v1/explain?service=db&instance=b").json["in_answer"], True)


def less_than_a_second_to_live():
    with Muster(*QUICK) as muster, Events(muster) as events:
        events.until("synced")

        def lives_ms():
            register(muster, "db", "brief", ttl_ms=200)
            lived_ms = events.until("change", "expired").data["silence_ms"]
            tap.expect(lived_ms >= 200, True)
            return lived_ms

        wait_for(lambda: lives_ms() < 1000, True)  # unless the machine is too busy for it, the first time


def a_ttl_check_that_passed_does_not_fail_by_a_restart():
    with Muster() as muster:
        register(muster, "db", "one", check={"type": "ttl", "interval_ms": 60000})
        tap.expect(call(muster, "POST", instance_path("db", "one") + "/check", {"passing": True}).status, 202)
        wait_for(lambda: shown(muster, "db", "one")["status"], "up")
        muster.start_again(signal.SIGKILL)
        tap.expect(shown(muster, "db", "one")["status"], "up")


def a_registry_that_stood_still_ends_nobody():
    with Muster(*QUICK) as muster, muster.connect() as connection:
        members = [f"one-{number}" for number in range(5)]
        for name in members:
            register(muster, "db", name, ttl_ms=4000)
        for name in members:
            wait_for(lambda name=name: kinds(muster, "db", name), ["registered"])
        muster.freeze()
        renewals = "".join(f"POST {instance_path('db', name)}/renew HTTP/1.1\r\nHost: x\r\n\r\n" for name in members)
        connection.sendall(renewals.encode())  # in time, but nobody reads it
        time.sleep(5)  # this is what is tested
        muster.signal(signal.SIGCONT)
        tap.expect([receive_answer(connection).status for _ in members[:1]], [200])
        tap.expect([shown(muster, "db", name)["status"] for name in members], ["up"] * 5)
        tap.expect({kind for name in members for kind in kinds(muster, "db", name)}, {"registered"})


def a_restart_gives_nobody_eternal_life():
    with Muster(*QUICK) as muster:
        register(muster, "db", "silent", ttl_ms=5000)
        wait_for(lambda: kinds(muster, "db", "silent"), ["registered"])
        for _ in range(3):
            muster.start_again(signal.SIGKILL)
            tap.expect(names(muster, "db"), ["silent"])
        wait_for(lambda: kinds(muster, "db", "silent"), ["registered", "expired"])


def weight_and_orders_survive_a_restart():
    with Muster() as muster:
        register(muster, "db", "one", weight=7)
        tap.expect(call(muster, "PUT", instance_path("db", "one") + "/maintenance", {"reason": "disk"}).status, 200)
        muster.start_again(signal.SIGKILL)
        one = shown(muster, "db", "one")
        tap.expect((one["weight"], one["status"], one["maintenance"]["reason"]), (7, "maintenance", "disk"))
        tap.expect(call(muster, "DELETE", instance_path("db", "one") + "/maintenance").status, 200)
        muster.start_again(signal.SIGKILL)
        tap.expect(shown(muster, "db", "one")["status"], "up")


CASES = [
    ("etcd#5019: who deleted it is known", who_deleted_it_is_known),
    ("consul#1188: what was deregistered stays away until it registers again", what_was_deregistered_stays_away),
    ("consul#2890: who comes and goes is the last resort", who_comes_and_goes_is_the_last_resort),
    ("nacos#1873: a mass loss does not empty the list", a_mass_loss_does_not_empty_the_list),
    ("etcd#11746: less than a second to live", less_than_a_second_to_live),
    ("etcd#15247: a registry that stood still ends nobody", a_registry_that_stood_still_ends_nobody),
    ("etcd#13294: a restart gives nobody eternal life", a_restart_gives_nobody_eternal_life),
    ("nacos#5243: weight and orders survive a restart", weight_and_orders_survive_a_restart),
    ("consul#3569: a TTL check does not fail by a restart", a_ttl_check_that_passed_does_not_fail_by_a_restart),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
