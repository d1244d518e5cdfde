#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Watches against a model: whatever a watcher goes through, what it knows in the end is what there is.

Clients register, change, drain and deregister at random, while watchers follow: all or some services, quick and slow
ones, some of which drop their connection now and then and resume. At the end each must know exactly what the server
answers to whoever asks.
"""

import os
import random
import sys
import threading

from api_lib import Events, call, get, instance_path, register
from lib import Muster, tap

SERVICES = [f"s{number}" for number in range(12)]
N_WRITERS, N_STEPS = 3, 150
END = "zz"  # the service whose coming ends the test; after all others by name


class Watcher(threading.Thread):
    """Knows instances by (service, id), by nothing but the events of its stream."""

    def __init__(self, muster, seed, services, drops):
        super().__init__()
        self.muster, self.random = muster, random.Random(seed)
        self.services = (*services, END) if services else ()
        self.query = "&".join(f"service={name}" for name in self.services)
        self.drops = drops
        self.known, self.last, self.is_at_end, self.failure = {}, None, False, None

    def apply(self, event):
        if event.event == "reset":
            self.known.clear()
        elif event.event == "snapshot":
            name = event.data["name"]
            self.known = {key: value for key, value in self.known.items() if key[0] != name}
            self.known |= {(name, instance["id"]): instance for instance in event.data["instances"]}
            self.is_at_end |= name == END and bool(event.data["instances"])
        elif event.event == "change":
            self.apply_change(event.data)
        self.last = event.id or self.last

    def apply_change(self, change):
        key = (change["service"], change["instance"])
        had = self.known.get(key)
        if change["after"] is None:
            self.known.pop(key, None)
        elif not had or had["revision"] <= change["revision"]:
            self.known[key] = change["after"]
        self.is_at_end |= change["service"] == END

    def follow(self):
        headers = {"Last-Event-ID": self.last} if self.last else {}
        if not self.last:
            self.known.clear()
        with Events(self.muster, f"/api/v1/watch?{self.query}", headers=headers) as events:
            left = self.random.randrange(60) if self.drops else sys.maxsize
            while left > 0 and not self.is_at_end:
                self.apply(events.next())
                left -= 1

    def run(self):
        try:
            while not self.is_at_end:
                self.follow()
        except Exception as failure:  # told by the thread that waits for this one
            self.failure = failure


def write(muster, seed):
    own = random.Random(seed)
    for step in range(N_STEPS):
        service, name = own.choice(SERVICES), f"i{own.randrange(6)}"
        path = instance_path(service, name)
        action = own.randrange(5)
        if action <= 1:
            register(muster, service, name, f"10.0.0.{own.randrange(9)}:80", weight=step % 9, ttl_ms=0)
        elif action == 2:
            call(muster, "DELETE", path)
        else:
            call(muster, "PUT" if action == 3 else "DELETE", path + "/drain")


def what_is_there(muster):
    names = [service["name"] for service in get(muster, "/api/v1/services").json["services"]]
    shown = [get(muster, f"/api/v1/services/{name}").json for name in names]
    return {(service["name"], one["id"]): one for service in shown for one in service["instances"]}


def every_watcher_ends_up_right():
    seed = int(os.environ.get("MUSTER_TEST_SEED", random.randrange(1 << 32)))
    print(f"# MUSTER_TEST_SEED={seed}")
    with Muster() as muster:
        watchers = [Watcher(muster, seed + number, SERVICES[:4] if number % 3 == 0 else (), number % 2 == 1)
                    for number in range(9)]
        writers = [threading.Thread(target=write, args=(muster, seed + 100 + number)) for number in range(N_WRITERS)]
        for thread in (*watchers, *writers):
            thread.start()
        for writer in writers:
            writer.join()
        register(muster, END, "one", ttl_ms=0)
        there = what_is_there(muster)
        for number, watcher in enumerate(watchers):
            watcher.join()
            if watcher.failure:
                raise watcher.failure
            names = watcher.services or {name for name, _ in there}
            tap.expect((number, watcher.known), (number, {key: one for key, one in there.items() if key[0] in names}))


CASES = (every_watcher_ends_up_right,)

if __name__ == "__main__":
    sys.exit(tap.main([(case.__name__.replace("_", " "), case) for case in CASES]))
