#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""`muster store`: the same verbs on a running store, a stopped one and a saved one; damaged files; the way back."""

import contextlib
import json
import signal
import subprocess
import sys

from etcd_lib import Server
from lib import BINARY, SECONDS, Muster, ask, environment, folder, run, start, tap, wait_for


class Running(Server):
    """A muster as a server of etcd's protocol."""

    def __init__(self, muster):
        self.muster = muster
        self.port = int(muster.address().rsplit(":", 1)[1])

    def pairs(self):
        return self.etcdctl_json("get", "", "--prefix")


@contextlib.contextmanager
def filled(*arguments):
    """A running muster with some history: puts, a removal, bytes that are no text, a lease that has run out."""
    with Muster(*arguments) as muster:
        server = Running(muster)
        for i in range(1, 4):
            server.etcdctl("put", f"k{i}", f"value {i}")
        server.etcdctl("del", "k1")
        server.etcdctl("put", "quoted", 'a "quoted" \\ text')
        with server.python() as client:
            client.put(b"bytes\xff", b"\x00\x01\xfe")
        yield server


def stop(muster):
    muster.signal(signal.SIGTERM)
    tap.expect(muster.end(), 0)
    return str(muster.path / "data")


def store(*words, code=0):
    done = run("store", *words)
    if done.code != code:
        raise AssertionError(f"muster store {' '.join(words)}: {done.code}\n{done.out}{done.err}")
    return done


def told(*words, code=0):
    return json.loads(store(*words, "--output", "json", code=code).out)


def dump(*words):
    return [json.loads(line) for line in store("dump", *words, "-o", "json").out.splitlines()]


def address(server):
    return f"http://{server.muster.address()}"


def flip(path, offset):
    content = bytearray(path.read_bytes())
    content[offset] ^= 0x40
    path.write_bytes(content)


# ---------------------------------------------------------------------------------------- one surface


def a_dump_is_the_same_running_or_not():
    with filled() as server:
        data = str(server.muster.path / "data")
        options = ["--history", "--notes", "--docs"]
        by_folder, by_address = dump("--data", data, *options), dump("--address", address(server), *options)
        tap.expect(by_address, by_folder)
        text = store("dump", "--data", data, *options).out
        store("snapshot", str(server.muster.path / "saved"), "--data", data)
        stop(server.muster)
        tap.expect(dump("--data", data, *options), by_folder)
        tap.expect(dump("--file", str(server.muster.path / "saved"), *options), by_folder)
        tap.expect(store("dump", "--data", data, *options).out, text)

    kinds = [line["type"] for line in by_folder]
    tap.expect(kinds, ["store"] + 4 * ["key"] + 3 * ["put"] + ["delete"] + 2 * ["put"] + ["note", "document"])
    keys = [line for line in by_folder if line["type"] == "key"]
    tap.expect(keys[0], {"type": "key", "key_base64": "Ynl0ZXP/", "value_base64": "AAH+", "create_revision": 7,
                         "mod_revision": 7, "version": 1})
    tap.expect([line.get("key") for line in keys[1:]], ["k2", "k3", "quoted"])
    tap.expect(by_folder[-2]["what"], "deleted")
    tap.expect('key  "k2"  "value 2"  create_revision 3  mod_revision 3  version 1\n' in text, True)
    tap.expect('"a \\"quoted\\" \\\\ text"' in text, True)


def a_dump_may_be_of_a_prefix():
    with filled() as server:
        tap.expect([line.get("key") for line in dump("k", "--address", address(server))], [None, "k2", "k3"])
        tap.expect(store("dump", "nothing", "--address", address(server)).out.count("\n"), 1)


def reasons_are_told_running_or_not():
    with filled() as server:
        data = str(server.muster.path / "data")
        lease = server.etcdctl("lease", "grant", "5").split()[1]
        server.etcdctl("put", "short", "x", f"--lease={lease}")
        server.etcdctl("put", "long", "x", f"--lease={server.etcdctl('lease', 'grant', '600').split()[1]}")
        with server.python() as client:
            events, _ = client.watch(b"short", start_revision=8)
            tap.expect([type(next(events)).__name__ for _ in range(2)], ["PutEvent", "DeleteEvent"])

        changed = told("why", "k2", "--data", data)
        tap.expect((changed["exists"], [note["what"] for note in changed["notes"]]), (True, ["changed"]))
        tap.expect(changed["notes"][0]["by"].startswith("etcd 127.0.0.1:"), True)
        seen = [told("why", "k1", "--data", data), told("why", "short", "--data", data),
                told("why", "--lease", lease, "--data", data)]
        stop(server.muster)
        tap.expect([told("why", "k1", "--data", data), told("why", "short", "--data", data),
                    told("why", "--lease", lease, "--data", data)], seen)
        store("why", "never", "--data", data, code=1)

    deleted, expired, of_lease = (item["notes"] for item in seen)
    tap.expect([(note["what"], note["revision"]) for note in deleted], [("deleted", 5)])
    tap.expect([(note["what"], note["lease"]) for note in expired], [("expired", lease)])
    tap.expect(expired[0]["silence_ms"] >= 5000, True)
    tap.expect([(note["what"], note["key"]) for note in of_lease], [("expired", "short"), ("expired", "")])


def history_is_compacted_running_or_not():
    with filled() as server:
        data = str(server.muster.path / "data")
        tap.expect(told("compact", "3", "--data", data), {"compacted_revision": 3})
        tap.expect("forgotten already" in store("compact", "3", "--data", data, code=1).err, True)
        tap.expect("has not come to" in store("compact", "99", "--data", data, code=1).err, True)
        stop(server.muster)
        tap.expect(dump("--data", data)[0]["compacted_revision"], 3)
        tap.expect("forgotten already" in store("compact", "2", "--data", data, code=1).err, True)
        tap.expect(told("compact", "--data", data), {"compacted_revision": 7})
        with Muster("--data", data) as muster:
            server = Running(muster)
            tap.expect("compacted" in server.etcdctl("get", "k2", "--rev=6", fails=True), True)
            tap.expect(server.etcdctl("get", "k2", "--rev=7").splitlines(), ["k2", "value 2"])


def who_names_no_store_is_told():
    with folder() as place:
        tap.expect("there is no store in" in store("dump", "--data", str(place), code=1).err, True)
        tap.expect(list(place.iterdir()), [])
        (place / "store").mkdir()
        tap.expect("there is no store in" in store("check", "--data", str(place), code=1).err, True)
        store("dump", "--address", "http://127.0.0.1:1", code=3)
        store("dump", "--address", "http://127.0.0.1:1", "--data", str(place), code=2)
        store("snapshot", code=2)
        store("compact", "x", code=2)
        store("why", code=2)
        store("restore", "x", "--repair", code=2)
        tap.expect('did you mean "dump"' in store("dmp", code=2).err, True)


# ---------------------------------------------------------------------------------------- damage


def a_good_store_is_checked_running_or_not():
    with filled("--set", "store.snapshot_bytes=1M") as server:
        data = str(server.muster.path / "data")
        with server.python() as client:
            for _ in range(3):
                client.put("big", bytes(600_000))
        live = told("check", "--data", data)
        tap.expect((live["good"], live["revision"], live["keys"]), (True, 10, 5))
        stop(server.muster)
        stopped = told("check", "--data", data)
        tap.expect([stopped[name] for name in ("good", "revision", "keys", "cluster_id")],
                   [live[name] for name in ("good", "revision", "keys", "cluster_id")])
        tap.expect({item["kind"] for item in stopped["files"]}, {"log", "snapshot"})
        tap.expect({item["state"] for item in stopped["files"]}, {"whole"})


def damage_in_the_log_is_found_and_repaired():
    with filled() as server:
        data = stop(server.muster)
        log = sorted((server.muster.path / "data/store").glob("*.log"))[0]
        content = log.read_bytes()
        flip(log, content.index(b"value 3"))
        offset = content[: content.index(b"value 3")].rindex(b"value 2")

        bad = told("check", "--data", data, code=1)
        tap.expect((bad["good"], f"/{log.name} is damaged at offset " in bad["problem"]), (False, True))
        state = [item["state"] for item in bad["files"] if item["file"] == log.name][0]
        tap.expect(state.startswith("damaged at offset "), True)
        tap.expect(offset < int(state.split("offset ")[1].split(":")[0]) < content.index(b"value 3"), True)
        refused = run("serve", "--data", data, "--listen", "127.0.0.1:0", "--gateway", "127.0.0.1:0")
        tap.expect(refused.code, 2)
        # The command that the message names is the one that repairs.
        words = refused.err.split("`")[1].split()
        tap.expect(words[:4], ["muster", "store", "check", "--repair"])
        mended = told(*words[2:])
        tap.expect((mended["good"], mended["revision"], mended["lost_bytes"] > 0), (True, 3, True))
        tap.expect(told("check", "--data", data)["good"], True)
        with Muster("--data", data) as muster:
            tap.expect(Running(muster).pairs()["header"]["revision"], 3)


def a_torn_end_is_no_damage():
    with filled() as server:
        server.muster.signal(signal.SIGKILL)
        server.muster.end()
        log = sorted((server.muster.path / "data/store").glob("*.log"))[-1]
        flip(log, log.read_bytes().index(b"\x00\x01\xfe"))  # in the last record
        seen = told("check", "--data", str(server.muster.path / "data"))
        tap.expect((seen["good"], seen["revision"], seen["torn_bytes"] > 0), (True, 6, True))
        tap.expect("torn at offset" in seen["files"][-1]["state"], True)


def a_damaged_snapshot_is_found():
    with filled("--set", "store.snapshot_bytes=1M") as server:
        with server.python() as client:
            for _ in range(6):
                client.put("big", bytes(600_000))
        data = stop(server.muster)
        snapshot = sorted((server.muster.path / "data/store").glob("*.snapshot"))[-1]
        flip(snapshot, 200)
        seen = told("check", "--data", data, code=1)
        tap.expect(seen["good"], False)
        tap.expect([f"{snapshot.name} is damaged at offset" in item["state"] for item in seen["files"]
                    if item["file"] == snapshot.name], [True])


# ---------------------------------------------------------------------------------------- the way back


def a_saved_store_comes_back_as_it_was():
    with filled() as server, folder() as place:
        saved = place / "saved"
        lease = server.etcdctl("lease", "grant", "600").split()[1]
        server.etcdctl("put", "leased", "x", f"--lease={lease}")
        before = server.pairs()
        live = told("snapshot", str(saved), "--address", address(server))
        tap.expect((live["revision"], live["keys"]), (8, 5))
        server.etcdctl("put", "later", "x")
        restored = told("restore", str(saved), "--data", str(place / "back"))
        tap.expect([restored[name] for name in ("cluster_id", "revision", "keys", "leases")],
                   [live[name] for name in ("cluster_id", "revision", "keys", "leases")])
        with Muster("--data", str(place / "back")) as muster:
            again = Running(muster)
            after = again.pairs()
            tap.expect({**after["header"], "member_id": 0}, {**before["header"], "member_id": 0})
            tap.expect(after["kvs"], before["kvs"])
            tap.expect("leased" in again.etcdctl("lease", "timetolive", lease, "--keys"), True)
            with again.python() as client:
                events, _ = client.watch_prefix(b"k", start_revision=2)
                seen = [(type(event).__name__, event.key) for _, event in zip(range(4), events)]
            tap.expect(seen, [("PutEvent", b"k1"), ("PutEvent", b"k2"), ("PutEvent", b"k3"), ("DeleteEvent", b"k1")])
            again.etcdctl("put", "new", "x")
            tap.expect(again.pairs()["header"]["revision"], 9)


def a_stopped_store_is_saved_through_pipes():
    with filled() as server, folder() as place:
        data = stop(server.muster)
        saved = subprocess.run([BINARY, "store", "snapshot", "-", "--data", data], env=environment(),
                               capture_output=True, timeout=SECONDS)
        tap.expect((saved.returncode, saved.stderr), (0, b""))
        done = subprocess.run([BINARY, "store", "restore", "-", "--data", str(place)], env=environment(),
                              input=saved.stdout, capture_output=True, timeout=SECONDS)
        tap.expect((done.returncode, done.stderr), (0, b""))
        options = ["--history", "--notes", "--docs"]
        tap.expect(dump("--data", str(place), *options), dump("--data", data, *options))


def only_good_copies_go_into_empty_folders():
    with filled() as server, folder() as place:
        saved = place / "saved"
        store("snapshot", str(saved), "--address", address(server))
        refused = store("restore", str(saved), "--data", str(server.muster.path / "data"), code=1)
        tap.expect("is in use by process" in refused.err, True)
        data = stop(server.muster)
        tap.expect("there is a store in" in store("restore", str(saved), "--data", data, code=1).err, True)

        target = place / "target"
        for name, content, complaint in (
            ("garbage", b"hello", "no snapshot that muster made"),
            ("empty", b"", "no snapshot that muster made"),
            ("etcd", bytes(16) + b"\xed\xda\x0c\xed" + bytes(5000), "is a database of etcd"),
            ("cut", saved.read_bytes()[:-10], "damaged at offset"),
            ("flipped", saved.read_bytes()[:100] + b"?" + saved.read_bytes()[101:], "damaged at offset"),
        ):
            (place / name).write_bytes(content)
            tap.expect((name, complaint in store("restore", str(place / name), "--data", str(target), code=1).err),
                       (name, True))
        tap.expect(list(target.glob("store/*")), [])
        store("restore", str(saved), "--data", str(target))


def copies_are_few_and_clients_may_go():
    with filled() as server:
        with server.python() as client:
            for i in range(30):
                client.put(f"big{i}", bytes(1_000_000))
        request = b"GET /api/v1/store/snapshot HTTP/1.1\r\nHost: x\r\n\r\n"
        readers = [server.muster.connect() for _ in range(4)]
        for reader in readers:
            reader.sendall(request)
            tap.expect(reader.recv(12), b"HTTP/1.1 200")
        told_busy = server.muster.get("/api/v1/store/snapshot")
        tap.expect((told_busy.status, told_busy.body), (503, b"too many copies are being read\n"))
        # One more while the thread that wrote a copy still has it open.
        wait_for(lambda: len([name for name in server.muster.descriptors() if "backup.new (deleted)" in name]), 4)
        for reader in readers:
            reader.close()
        wait_for(lambda: [name for name in server.muster.descriptors() if "backup.new" in name], [])
        tap.expect(len(dump("--address", address(server))), 35)


def bad_questions_get_their_answer():
    with filled() as server:
        get = server.muster.get
        for query in ("", "?key=", "?lease=", "?lease=0", "?lease=xyz", "?key=a&lease=1", "?key=%zz"):
            answer = get("/api/v1/store/why" + query)
            tap.expect((query, answer.status), (query, 400))
        tap.expect(get("/api/v1/store/compaction").status, 405)
        for query in ("?revision=", "?revision=0", "?revision=-1", "?revision=x", "?revision=99999999999999999999"):
            with server.muster.connect() as connection:
                answer = ask(connection, f"POST /api/v1/store/compaction{query} HTTP/1.1\r\nHost: x\r\n\r\n")
                tap.expect((query, answer.status), (query, 400))
        answer = json.loads(get("/api/v1/store/why?key=k1").body)
        tap.expect((answer["exists"], answer["notes"][0]["what"]), (False, "deleted"))
        with server.python() as client:
            for _ in range(150):
                client.put("often", "x")
                client.delete("often")
        notes = json.loads(get("/api/v1/store/why?key=often").body)["notes"]
        tap.expect((len(notes), notes[-1]["revision"]), (100, 307))


def users_are_asked_for():
    with filled() as server:
        server.etcdctl("user", "add", "root:secret")
        server.etcdctl("user", "grant-role", "root", "root")
        server.etcdctl("auth", "enable")
        refused = store("dump", "--address", address(server), code=1)
        tap.expect("token" in refused.err and refused.err, refused.err)
        with server.muster.connect() as connection:
            body = '{"name": "root", "password": "secret"}'
            answer = ask(connection, "POST /v3/auth/authenticate HTTP/1.1\r\nHost: x\r\n"
                         f"Content-Length: {len(body)}\r\n\r\n{body}")
        token = json.loads(answer.body)["token"]
        tap.expect(dump("--address", address(server), "--token", token)[0]["revision"], 7)


def a_copy_that_cannot_be_written_leaves_nothing():
    with filled() as server, folder() as place:
        store("snapshot", str(place / "no/such/folder"), "--address", address(server), code=1)
        process = start("store", "snapshot", "-", "--address", address(server), stdout=subprocess.PIPE,
                        stderr=subprocess.PIPE)
        process.stdout.close()
        tap.expect(process.wait(SECONDS) in (0, 1, -signal.SIGPIPE), True)  # it may have been written before
        process.stderr.close()
        tap.expect(list(place.iterdir()), [])


sys.exit(
    tap.main(
        [
            ("a dump is the same running or not", a_dump_is_the_same_running_or_not),
            ("a dump may be of a prefix", a_dump_may_be_of_a_prefix),
            ("reasons are told running or not", reasons_are_told_running_or_not),
            ("history is compacted running or not", history_is_compacted_running_or_not),
            ("who names no store is told", who_names_no_store_is_told),
            ("a good store is checked running or not", a_good_store_is_checked_running_or_not),
            ("damage in the log is found and repaired", damage_in_the_log_is_found_and_repaired),
            ("a torn end is no damage", a_torn_end_is_no_damage),
            ("a damaged snapshot is found", a_damaged_snapshot_is_found),
            ("a saved store comes back as it was", a_saved_store_comes_back_as_it_was),
            ("a stopped store is saved through pipes", a_stopped_store_is_saved_through_pipes),
            ("only good copies go into empty folders", only_good_copies_go_into_empty_folders),
            ("copies are few and clients may go", copies_are_few_and_clients_may_go),
            ("bad questions get their answer", bad_questions_get_their_answer),
            ("users are asked for", users_are_asked_for),
            ("a copy that cannot be written leaves nothing", a_copy_that_cannot_be_written_leaves_nothing),
        ]
    )
)
