#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""Locks and elections that the server keeps, as JSON, over gRPC and beside etcdctl's own, against etcd and muster."""

import sys
import time

from etcd_curl import Waiting, b64, plain, post, refusal, stream
from etcd_lib import EtcdServer, failure, main, tap
from lib import SECONDS


def grant(server):
    return post(server, "lease/grant", {"TTL": "300"})["ID"]


def keys_of(server, name):
    """The line for a name, oldest first."""
    request = {"key": b64(f"{name}/"), "range_end": b64(f"{name}0"), "sort_target": "CREATE", "keys_only": True}
    return [plain(pair["key"]) for pair in post(server, "kv/range", request).get("kvs", [])]


def until(server, name, n):
    """Waits until so many stand in the line."""
    deadline = time.monotonic() + SECONDS
    while len(keys := keys_of(server, name)) != n:
        if time.monotonic() > deadline:
            raise AssertionError(f"{keys} and not {n} keys")
    return keys


def key_of(name, lease):
    return f"{name}/{int(lease):x}"


def lock_and_unlock(server):
    lease = grant(server)
    held = post(server, "lock/lock", {"name": b64("lu"), "lease": lease})
    tap.expect(sorted(held), ["header", "key"])
    tap.expect(plain(held["key"]), key_of("lu", lease))
    pair = post(server, "kv/range", {"key": held["key"]})["kvs"][0]
    tap.expect((pair["lease"], pair["create_revision"]), (lease, held["header"]["revision"]))
    # The holder may ask again.
    tap.expect(post(server, "lock/lock", {"name": b64("lu"), "lease": lease})["key"], held["key"])
    tap.expect(list(post(server, "lock/unlock", {"key": held["key"]})), ["header"])
    tap.expect(keys_of(server, "lu"), [])
    tap.expect(list(post(server, "lock/unlock", {"key": held["key"]})), ["header"])


def locks_go_round_in_order(server):
    name, leases, waiting = "order", [grant(server) for _ in range(4)], []
    held = post(server, "lock/lock", {"name": b64(name), "lease": leases[0]})["key"]
    for i, lease in enumerate(leases[1:], 2):
        waiting.append(Waiting(server, "lock/lock", {"name": b64(name), "lease": lease}))
        until(server, name, i)
    for lease, waiter in zip(leases[1:], waiting):
        tap.expect([w.is_waiting() for w in waiting[waiting.index(waiter):]].count(False), 0)
        post(server, "lock/unlock", {"key": held})
        held = waiter.answer()["key"]
        tap.expect(plain(held), key_of(name, lease))
    post(server, "lock/unlock", {"key": held})


def a_lease_that_ends_gives_the_lock_on(server):
    first, second = grant(server), grant(server)
    post(server, "lock/lock", {"name": b64("ends"), "lease": first})
    waiter = Waiting(server, "lock/lock", {"name": b64("ends"), "lease": second})
    until(server, "ends", 2)
    post(server, "lease/revoke", {"ID": first})
    tap.expect(plain(waiter.answer()["key"]), key_of("ends", second))


def who_goes_away_loses_its_place(server):
    leases = [grant(server) for _ in range(3)]
    held = post(server, "lock/lock", {"name": b64("away"), "lease": leases[0]})["key"]
    second = Waiting(server, "lock/lock", {"name": b64("away"), "lease": leases[1]})
    until(server, "away", 2)
    third = Waiting(server, "lock/lock", {"name": b64("away"), "lease": leases[2]})
    until(server, "away", 3)
    second.go_away()
    tap.expect(until(server, "away", 2), [key_of("away", leases[0]), key_of("away", leases[2])])
    tap.expect(third.is_waiting(), True)
    post(server, "lock/unlock", {"key": held})
    tap.expect(plain(third.answer()["key"]), key_of("away", leases[2]))


def who_waits_without_a_lease_is_told(server):
    if isinstance(server, EtcdServer):
        raise tap.Skip("etcd 3.4 gives the lock to who has lost its place; since 3.5 it does as is said here")
    first, second = grant(server), grant(server)
    held = post(server, "lock/lock", {"name": b64("lost"), "lease": first})["key"]
    waiter = Waiting(server, "lock/lock", {"name": b64("lost"), "lease": second})
    until(server, "lost", 2)
    post(server, "lease/revoke", {"ID": second})
    post(server, "lock/unlock", {"key": held})
    answer = waiter.answer()
    tap.expect((answer["code"], answer["message"]), (2, "mutex: session is expired"))


def a_lock_without_a_lease_lasts_a_minute(server):
    key = post(server, "lock/lock", {"name": b64("minute")})["key"]
    lease = post(server, "kv/range", {"key": key})["kvs"][0]["lease"]
    tap.expect(plain(key), key_of("minute", lease))
    tap.expect(post(server, "lease/timetolive", {"ID": lease})["grantedTTL"], "60")


def errors_are_plain(server):
    for path, request, words in (
        ("lock/lock", {"name": b64("e"), "lease": "77"}, "etcdserver: requested lease not found"),
        ("lock/unlock", {}, "etcdserver: key is not provided"),
        ("election/campaign", {"name": b64("e"), "lease": "77"}, "etcdserver: requested lease not found"),
        ("election/leader", {"name": b64("nobody")}, "election: no leader"),
        ("election/proclaim", {"value": b64("v")}, '"leader" field must be provided'),
        ("election/proclaim", {"leader": {}, "value": b64("v")}, "etcdserver: key is not provided"),
        ("election/resign", {}, '"leader" field must be provided'),
    ):
        tap.expect((path, refusal(server, path, request)), (path, (500, 2, words)))


def etcdctl_stands_in_the_same_line(server):
    lease = grant(server)
    held = post(server, "lock/lock", {"name": b64("shared"), "lease": lease})["key"]
    process = server.etcdctl_start("lock", "shared", "echo", "held")
    until(server, "shared", 2)
    tap.expect(process.poll(), None)
    post(server, "lock/unlock", {"key": held})
    text, _ = process.communicate(timeout=SECONDS)
    tap.expect((process.returncode, text), (0, "held\n"))
    tap.expect(until(server, "shared", 0), [])


def an_election(server):
    name, first, second = "el", grant(server), grant(server)
    won = post(server, "election/campaign", {"name": b64(name), "lease": first, "value": b64("one")})
    leader = won["leader"]
    tap.expect((plain(leader["name"]), plain(leader["key"]), leader["lease"]), (name, key_of(name, first), first))
    tap.expect(leader["rev"], won["header"]["revision"])
    waiter = Waiting(server, "election/campaign", {"name": b64(name), "lease": second, "value": b64("two")})
    until(server, name, 2)
    answer = post(server, "election/leader", {"name": b64(name)})["kv"]
    tap.expect((answer["key"], plain(answer["value"])), (leader["key"], "one"))
    # The leader may campaign again, and thereby change what it says.
    again = post(server, "election/campaign", {"name": b64(name), "lease": first, "value": b64("three")})["leader"]
    tap.expect(again, leader)
    post(server, "election/proclaim", {"leader": leader, "value": b64("four")})
    answer = post(server, "election/leader", {"name": b64(name)})["kv"]
    tap.expect((plain(answer["value"]), answer["version"], answer["lease"]), ("four", "3", first))
    wrong = {**leader, "rev": str(int(leader["rev"]) + 1)}
    tap.expect(refusal(server, "election/proclaim", {"leader": wrong, "value": b64("x")}),
               (500, 2, "election: not leader"))
    tap.expect(list(post(server, "election/resign", {"leader": wrong})), ["header"])
    tap.expect(waiter.is_waiting(), True)
    post(server, "election/resign", {"leader": leader})
    tap.expect(plain(waiter.answer()["leader"]["key"]), key_of(name, second))
    tap.expect(refusal(server, "election/proclaim", {"leader": leader, "value": b64("x")}),
               (500, 2, "election: not leader"))


def an_observer_sees_every_proposal(server):
    name, first, second = "obs", grant(server), grant(server)

    def campaign(lease, value):
        return {"name": b64(name), "lease": lease, "value": b64(value)}

    with stream(server, "election/observe", {"name": b64(name)}) as answers:

        def seen():
            pair = next(answers)["kv"]
            return plain(pair["key"]), plain(pair["value"])

        leader = post(server, "election/campaign", campaign(first, "a"))["leader"]
        tap.expect(seen(), (key_of(name, first), "a"))
        for value in ("b", "c", "d"):
            post(server, "election/proclaim", {"leader": leader, "value": b64(value)})
        tap.expect([seen() for _ in "bcd"], [(key_of(name, first), value) for value in "bcd"])
        waiter = Waiting(server, "election/campaign", campaign(second, "e"))
        until(server, name, 2)
        post(server, "election/resign", {"leader": leader})
        leader = waiter.answer()["leader"]
        tap.expect(seen(), (key_of(name, second), "e"))
        with stream(server, "election/observe", {"name": b64(name)}) as late:
            tap.expect(plain(next(late)["kv"]["value"]), "e")
        post(server, "lease/revoke", {"ID": second})
        leader = post(server, "election/campaign", campaign(first, "f"))["leader"]
        tap.expect(seen(), (key_of(name, first), "f"))


def the_same_over_grpc(server):
    """Messages by hand: field 1 is the name, and field 2 of a lock's answer the key."""
    with server.channel() as channel:
        lock = channel.unary_unary("/v3lockpb.Lock/Lock")
        answer = lock(b"\x0a\x02gr", timeout=SECONDS)
        key = keys_of(server, "gr")[0].encode()
        tap.expect(answer.endswith(b"\x12" + bytes([len(key)]) + key), True)
        unlock = channel.unary_unary("/v3lockpb.Lock/Unlock")
        unlock(b"\x0a" + bytes([len(key)]) + key, timeout=SECONDS)
        tap.expect(keys_of(server, "gr"), [])
        leader = channel.unary_unary("/v3electionpb.Election/Leader")
        tap.expect(failure(leader, b"\x0a\x02gr"), ("UNKNOWN", "election: no leader"))


CASES = [
    ("a lock is taken and given back", lock_and_unlock),
    ("a lock goes round in the order of asking", locks_go_round_in_order),
    ("a lease that ends gives its lock on", a_lease_that_ends_gives_the_lock_on),
    ("who goes away loses its place", who_goes_away_loses_its_place),
    ("who waits and loses its lease is told", who_waits_without_a_lease_is_told),
    ("a lock without a lease lasts a minute", a_lock_without_a_lease_lasts_a_minute),
    ("errors have words and no code of their own", errors_are_plain),
    ("etcdctl's locks stand in the same line", etcdctl_stands_in_the_same_line),
    ("an election from campaign to resignation", an_election),
    ("an observer sees every proposal", an_observer_sees_every_proposal),
    ("the same over gRPC", the_same_over_grpc),
]

if __name__ == "__main__":
    sys.exit(main(CASES))
