#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What users of other registries suffer from, each as a scenario of the catalogue named after where it was reported.

Others have their test where the part is: etcd PR#5487 (crash or clean exit) in api_services.py; expiry in masses
(etcd#9360, #12105, #15247, #19441) in the tests of leases; slow watchers (etcd#16839, #17529) in those of watches.
"""

import signal
import sys

from api_lib import Events, call, deregister, get, instance_path, names, register
from lib import Muster, tap, wait_for
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


def a_removal_by_a_check_says_why():
    with Muster() as muster:
        check = {"type": "tcp", "interval_ms": 100, "timeout_ms": 1000, "to_fail": 2, "remove_after_ms": 200}
        register(muster, "db", "dead", "tcp@127.0.0.1:1", check=check)
        wait_for(lambda: kinds(muster, "db", "dead")[-1:], ["removed by its check"])
        tap.expect("refused" in timeline(muster, "db", "dead")[-1][2], True)
        tap.expect(call(muster, "GET", instance_path("db", "dead")).status, 404)


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


def maintenance_has_an_owner_and_an_end():
    with Muster() as muster:
        register(muster, "db", "one")
        path = instance_path("db", "one")
        tap.expect(call(muster, "PUT", path + "/maintenance", {"reason": "new disk", "for_ms": 4000}).status, 200)
        deregister(muster, "db", "one")
        register(muster, "db", "one")  # as its program does when it starts again
        muster.start_again(signal.SIGKILL)
        found = shown(muster, "db", "one")
        tap.expect((found["status"], found["offered"], found["maintenance"]["reason"]),
                   ("maintenance", False, "new disk"))
        wait_for(lambda: shown(muster, "db", "one")["status"], "up")
        wait_for(lambda: kinds(muster, "db", "one")[-1], "maintenance ended")


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


def a_lone_dead_instance_goes_at_once():
    with Muster(*QUICK) as muster:
        for name in "abc":
            register(muster, "db", name, ttl_ms=0)
        register(muster, "db", "dead", ttl_ms=300)
        wait_for(lambda: names(muster, "db"), ["a", "b", "c"])
        wait_for(lambda: kinds(muster, "db", "dead"), ["registered", "expired"])


def a_watcher_hears_of_its_service_only():
    with Muster() as muster, Events(muster, "/api/v1/watch?service=mine") as events:
        events.until("synced")
        for number in range(20):
            register(muster, "other", f"i{number}")
        register(muster, "mine", "one")
        change = events.next()
        tap.expect((change.event, change.data["service"]), ("change", "mine"))


def less_than_a_second_to_live():
    with Muster(*QUICK) as muster, Events(muster) as events:
        events.until("synced")
        register(muster, "db", "brief", ttl_ms=200)
        gone = events.until("change", "expired").data
        tap.expect(200 <= gone["silence_ms"] < 1500, True)


def a_ttl_check_that_passed_does_not_fail_by_a_restart():
    with Muster() as muster:
        register(muster, "db", "one", check={"type": "ttl", "interval_ms": 60000})
        tap.expect(call(muster, "POST", instance_path("db", "one") + "/check", {"passing": True}).status, 202)
        wait_for(lambda: shown(muster, "db", "one")["status"], "up")
        muster.start_again(signal.SIGKILL)
        tap.expect(shown(muster, "db", "one")["status"], "up")


def lost_history_is_told_and_made_good():
    with Muster() as muster:
        register(muster, "db", "one")
        with Events(muster, headers={"Last-Event-ID": "999999999"}) as events:
            tap.expect([events.next().event for _ in range(3)], ["reset", "snapshot", "synced"])


CASES = [
    ("etcd#5019: who deleted it is known", who_deleted_it_is_known),
    ("consul#1489: a removal by a check says why", a_removal_by_a_check_says_why),
    ("consul#1188: what was deregistered stays away until it registers again", what_was_deregistered_stays_away),
    ("consul#3268: maintenance has a reason and an end, and survives restarts", maintenance_has_an_owner_and_an_end),
    ("consul#2890: who comes and goes is the last resort", who_comes_and_goes_is_the_last_resort),
    ("nacos#1873: a mass loss does not empty the list", a_mass_loss_does_not_empty_the_list),
    ("eureka#1247: a lone dead instance goes at once", a_lone_dead_instance_goes_at_once),
    ("consul#3890: a watcher hears of its service only", a_watcher_hears_of_its_service_only),
    ("etcd#11746: less than a second to live", less_than_a_second_to_live),
    ("consul#3569: a TTL check does not fail by a restart", a_ttl_check_that_passed_does_not_fail_by_a_restart),
    ("etcd#8668: lost history is told and made good", lost_history_is_told_and_made_good),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
