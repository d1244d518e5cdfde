#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan tsan
"""Users, roles and permissions of etcd v3, with etcdctl, python3-etcd3, bare gRPC and JSON, against etcd and muster."""

import contextlib
import functools
import json
import subprocess
import sys

from etcd_curl import b64, curl, plain, refusal, url
from etcd_lib import (ETCDCTL_ENVIRONMENT, SECONDS, MusterServer, etcd3, etcdctl_words, failure, main,
                      rpc, tap)
from lib import Muster, folder, make_certificate, run

ROOT = "--user=root:r00t"
ALICE = "--user=alice:secret"  # reads a/, writes a/b/, may do anything with the key c
COST = ("--set", "auth.bcrypt_cost=4")


def complains(server, text, *words):
    said = server.etcdctl(*words, fails=True)
    if f"Error: {text}\n" not in said:
        raise AssertionError(f"etcdctl {' '.join(words)} does not say {text!r}:\n{said}")


@contextlib.contextmanager
def guarded(server):
    """Auth is on, with root and alice."""
    for words in (
        ("user", "add", "root:r00t"),
        ("role", "add", "root"),
        ("user", "grant-role", "root", "root"),
        ("user", "add", "alice:secret"),
        ("role", "add", "dev"),
        ("role", "grant-permission", "dev", "read", "a/", "--prefix=true"),
        ("role", "grant-permission", "dev", "write", "a/b/", "--prefix=true"),
        ("role", "grant-permission", "dev", "readwrite", "c"),
        ("user", "grant-role", "alice", "dev"),
        ("auth", "enable"),
    ):
        server.etcdctl(*words)
    try:
        yield
    finally:
        server.etcdctl(ROOT, "auth", "disable")
        for words in (("user", "delete", "root"), ("user", "delete", "alice"), ("role", "delete", "dev"),
                      ("role", "delete", "root"), ("del", "", "--prefix")):
            server.etcdctl(*words)


def administration(server):
    tap.expect(server.etcdctl("user", "add", "bob:pass"), "User bob created\n")
    complains(server, "etcdserver: user name already exists", "user", "add", "bob:pass")
    tap.expect(server.etcdctl("user", "add", "cert", "--no-password"), "User cert created\n")
    tap.expect(server.etcdctl("user", "list"), "bob\ncert\n")
    tap.expect(server.etcdctl("role", "add", "r"), "Role r created\n")
    complains(server, "etcdserver: role name already exists", "role", "add", "r")
    tap.expect(server.etcdctl("role", "grant-permission", "r", "readwrite", "foo", "fop"), "Role r updated\n")
    tap.expect(server.etcdctl("role", "grant-permission", "r", "read", "foo", "fop"), "Role r updated\n")
    tap.expect(server.etcdctl("role", "grant-permission", "r", "write", "one"), "Role r updated\n")
    tap.expect(server.etcdctl("role", "get", "r"), "Role r\nKV Read:\n\t[foo, fop) (prefix foo)\nKV Write:\n\tone\n")
    complains(server, "etcdserver: role name not found", "role", "grant-permission", "no", "read", "foo")
    complains(server, "etcdserver: role name not found", "role", "get", "no")
    complains(server, "etcdserver: permission is not granted to the role", "role", "revoke-permission", "r", "two")
    complains(server, "etcdserver: role name not found", "role", "revoke-permission", "no", "two")
    server.etcdctl("role", "revoke-permission", "r", "one")
    tap.expect(server.etcdctl("user", "grant-role", "bob", "r"), "Role r is granted to user bob\n")
    server.etcdctl("user", "grant-role", "bob", "r")
    complains(server, "etcdserver: role name not found", "user", "grant-role", "bob", "no")
    complains(server, "etcdserver: user name not found", "user", "grant-role", "no", "r")
    tap.expect(server.etcdctl("user", "get", "bob"), "User: bob\nRoles: r\n")
    complains(server, "etcdserver: role is not granted to the user", "user", "revoke-role", "bob", "no")
    complains(server, "etcdserver: user name not found", "user", "get", "no")
    complains(server, "etcdserver: user name not found", "user", "delete", "no")
    tap.expect(server.etcdctl("role", "delete", "r"), "Role r deleted\n")
    complains(server, "etcdserver: role name not found", "role", "delete", "r")
    tap.expect(server.etcdctl("user", "get", "bob"), "User: bob\nRoles:\n")
    for user in ("bob", "cert"):
        tap.expect(server.etcdctl("user", "delete", user), f"User {user} deleted\n")


def switching_on(server):
    """Without any user it is refused; etcdctl then makes what is missing of the root role by itself."""
    with server.channel() as channel:
        auth = rpc.AuthStub(channel)
        tap.expect(failure(auth.AuthEnable, rpc.AuthEnableRequest()),
                   ("FAILED_PRECONDITION", "etcdserver: root user does not exist"))
        server.etcdctl("user", "add", "root:r00t")
        tap.expect(failure(auth.AuthEnable, rpc.AuthEnableRequest()),
                   ("FAILED_PRECONDITION", "etcdserver: root user does not have root role"))
        tap.expect(failure(auth.Authenticate, rpc.AuthenticateRequest(name="root", password="r00t")),
                   ("FAILED_PRECONDITION", "etcdserver: authentication is not enabled"))
    tap.expect(server.etcdctl("--user=root:r00t", "auth", "enable"), "Authentication Enabled\n")
    complains(server, "etcdserver: user name is empty", "auth", "enable")
    tap.expect(server.etcdctl(ROOT, "auth", "enable"), "Authentication Enabled\n")
    complains(server, "etcdserver: invalid auth management", ROOT, "user", "delete", "root")
    complains(server, "etcdserver: invalid auth management", ROOT, "role", "delete", "root")
    complains(server, "etcdserver: invalid auth management", ROOT, "user", "revoke-role", "root", "root")
    tap.expect(server.etcdctl(ROOT, "auth", "disable"), "Authentication Disabled\n")
    server.etcdctl("user", "delete", "root")
    server.etcdctl("role", "delete", "root")


def keys(server):
    with guarded(server):
        denied = "etcdserver: permission denied"
        complains(server, "etcdserver: user name is empty", "put", "a/b/1", "v")
        complains(server, "etcdserver: authentication failed, invalid user ID or password",
                  "--user=alice:wrong", "put", "a/b/1", "v")
        complains(server, "etcdserver: authentication failed, invalid user ID or password",
                  "--user=nobody:secret", "put", "a/b/1", "v")
        tap.expect(server.etcdctl(ALICE, "put", "a/b/1", "v"), "OK\n")
        tap.expect(server.etcdctl(ALICE, "put", "a/b/1", "w", "--prev-kv"), "OK\na/b/1\nv\n")
        tap.expect(server.etcdctl(ALICE, "get", "a/", "--prefix", "--print-value-only"), "w\n")
        complains(server, denied, ALICE, "put", "a/1", "v")
        complains(server, denied, ALICE, "get", "b")
        complains(server, denied, ALICE, "get", "a", "--prefix")
        complains(server, denied, ALICE, "get", "a/", "--from-key")
        tap.expect(server.etcdctl(ALICE, "put", "c", "v"), "OK\n")
        complains(server, denied, ALICE, "put", "c0", "v")
        complains(server, denied, ALICE, "del", "a/", "--prefix")
        tap.expect(server.etcdctl(ALICE, "del", "a/b/", "--prefix", "--prev-kv"), "1\na/b/1\nw\n")
        tap.expect(server.etcdctl(ROOT, "get", "", "--prefix", "--keys-only"), "c\n\n")
        server.etcdctl(ROOT, "role", "revoke-permission", "dev", "c")
        complains(server, denied, ALICE, "put", "c", "v")


def transactions(server):
    with guarded(server):
        good = 'mod("c") = "0"\n\nput a/b/1 v\n\nget c\n\n'
        tap.expect(server.etcdctl(ALICE, "txn", typed=good), "SUCCESS\n\nOK\n")
        for bad in (good.replace('"c"', '"x"'), good.replace("put a/b/1", "put a/1"), good.replace("get c", "get x")):
            said = server.etcdctl(ALICE, "txn", typed=bad, fails=True)
            tap.expect("etcdserver: permission denied" in said, True)


def administrators(server):
    """What only root may. Older releases of etcd let everybody compact, so that is tested with muster alone."""
    with guarded(server):
        for words in (("user", "list"), ("role", "list"), ("user", "add", "x:x"), ("role", "add", "x"),
                      ("user", "get", "root"), ("role", "get", "root"), ("auth", "disable")):
            complains(server, "etcdserver: permission denied", ALICE, *words)
        for words in (("defrag",), ("endpoint", "hashkv")):
            tap.expect("permission denied" in server.etcdctl(ALICE, *words, fails=True), True)
        tap.expect(server.etcdctl(ALICE, "user", "get", "alice"), "User: alice\nRoles: dev\n")
        tap.expect(server.etcdctl(ALICE, "role", "get", "dev").startswith("Role dev\nKV Read:\n\t[a/, a0)"), True)
        tap.expect("alice\nroot\n" in server.etcdctl(ROOT, "user", "list"), True)
        server.etcdctl(ALICE, "endpoint", "status")
        server.etcdctl(ALICE, "alarm", "list")
        server.etcdctl(ALICE, "member", "list")


def token_of(channel, name, password):
    return rpc.AuthStub(channel).Authenticate(rpc.AuthenticateRequest(name=name, password=password)).token


def tokens(server):
    with guarded(server), server.channel() as channel:
        put = rpc.KVStub(channel).Put
        asked = rpc.PutRequest(key=b"c", value=b"1")
        alice, root = token_of(channel, "alice", "secret"), token_of(channel, "root", "r00t")
        tap.expect(alice != token_of(channel, "alice", "secret"), True)
        put(asked, metadata=[("token", alice)])
        for bad in ("", "x", alice[:-1], "0" * len(alice)):
            tap.expect(failure(functools.partial(put, metadata=[("token", bad)]), asked),
                       ("UNAUTHENTICATED", "etcdserver: invalid auth token"))
        tap.expect(failure(put, asked), ("INVALID_ARGUMENT", "etcdserver: user name is empty"))
        rpc.AuthStub(channel).UserChangePassword(
            rpc.AuthUserChangePasswordRequest(name="alice", password="new"), metadata=[("token", root)])
        tap.expect(failure(functools.partial(put, metadata=[("token", alice)]), asked),
                   ("UNAUTHENTICATED", "etcdserver: invalid auth token"))
        put(asked, metadata=[("token", token_of(channel, "alice", "new"))])


def watches(server):
    with guarded(server), server.channel() as channel:
        def first_answer(token, key):
            requests = iter([rpc.WatchRequest(create_request=rpc.WatchCreateRequest(key=key))])
            metadata = [("token", token)] if token else []
            answers = rpc.WatchStub(channel).Watch(requests, metadata=metadata, timeout=SECONDS)
            answer = next(answers)
            answers.cancel()
            return answer.created, answer.canceled, answer.watch_id, answer.cancel_reason

        alice = token_of(channel, "alice", "secret")
        tap.expect(first_answer(alice, b"a/1"), (True, False, 0, ""))
        tap.expect(first_answer(alice, b"b"),
                   (True, True, -1, "rpc error: code = PermissionDenied desc = etcdserver: permission denied"))
        tap.expect(first_answer(None, b"b"),
                   (True, True, -1, "rpc error: code = InvalidArgument desc = etcdserver: user name is empty"))
        tap.expect(first_answer("x", b"b"),
                   (True, True, -1, "rpc error: code = Unauthenticated desc = etcdserver: invalid auth token"))


def leases(server):
    """Who could not write a lease's keys can neither revoke it nor put another key on it."""
    with guarded(server), server.channel() as channel:
        stub, put = rpc.LeaseStub(channel), rpc.KVStub(channel).Put
        root, alice = ([("token", token_of(channel, *user))] for user in (("root", "r00t"), ("alice", "secret")))
        stub.LeaseGrant(rpc.LeaseGrantRequest(ID=7, TTL=100), metadata=root)
        put(rpc.PutRequest(key=b"x", lease=7), metadata=root)
        denied = ("PERMISSION_DENIED", "etcdserver: permission denied")
        tap.expect(failure(functools.partial(put, metadata=alice), rpc.PutRequest(key=b"c", lease=7)), denied)
        tap.expect(failure(functools.partial(stub.LeaseRevoke, metadata=alice), rpc.LeaseRevokeRequest(ID=7)), denied)
        stub.LeaseGrant(rpc.LeaseGrantRequest(ID=8, TTL=100), metadata=alice)
        put(rpc.PutRequest(key=b"c", lease=8), metadata=alice)
        stub.LeaseRevoke(rpc.LeaseRevokeRequest(ID=8), metadata=alice)
        stub.LeaseRevoke(rpc.LeaseRevokeRequest(ID=7), metadata=root)


def locks(server):
    with guarded(server):
        complains(server, "etcdserver: permission denied", ALICE, "lock", "x", "true")
        server.etcdctl(ALICE, "lock", "a/b/lock", "true")
        for path, name in (("lock/lock", "name"), ("election/leader", "name"), ("election/campaign", "name")):
            tap.expect(as_json(server, "alice", "secret", path, {name: b64("x")})[2], "etcdserver: permission denied")


def python_client(server):
    with guarded(server), server.python(user="alice", password="secret") as client:
        client.call_credentials = None  # which today's grpcio takes over TLS only; the token is in client.metadata too
        use_python_client(client)


def use_python_client(client):
    client.put("c", "1")
    tap.expect(client.get("c")[0], b"1")
    lease = client.lease(100)
    client.put("c", "2", lease=lease)
    tap.expect(lease.refresh()[0].TTL, 100)
    lease.revoke()
    tap.expect(client.get("c"), (None, None))
    tap.expect(failure(lambda timeout: client.put("x", "1")), ("PERMISSION_DENIED", "etcdserver: permission denied"))


def as_json(server, name, password, path, request):
    """Status, code and words of the answer to a request with a user's token."""
    status, text = curl(url(server, "auth/authenticate"), body=json.dumps({"name": name, "password": password}))
    tap.expect(status, 200)
    token = json.loads(text)["token"]
    status, text = curl("-H", f"Authorization: {token}", url(server, path), body=json.dumps(request))
    answer = json.loads(text)
    return status, answer.get("code"), answer.get("message", answer)


def json_clients(server):
    with guarded(server):
        put = {"key": b64("c"), "value": b64("1")}
        tap.expect(refusal(server, "kv/put", put), (400, 3, "etcdserver: user name is empty"))
        tap.expect(refusal(server, "auth/authenticate", {"name": "alice", "password": "x"}),
                   (400, 3, "etcdserver: authentication failed, invalid user ID or password"))
        status, text = curl("-H", "Authorization: x", url(server, "kv/put"), body=json.dumps(put))
        tap.expect((status, json.loads(text)["message"]), (401, "etcdserver: invalid auth token"))
        tap.expect(as_json(server, "alice", "secret", "kv/put", put)[0], 200)
        tap.expect(as_json(server, "alice", "secret", "kv/put", {"key": b64("x")}),
                   (403, 7, "etcdserver: permission denied"))
        told = as_json(server, "root", "r00t", "auth/role/get", {"role": "dev"})[2]
        shown = [(one.get("permType", "READ"), plain(one["key"]), plain(one.get("range_end", "")))
                 for one in told["perm"]]
        tap.expect(shown, [("READ", "a/", "a0"), ("WRITE", "a/b/", "a/b0"), ("READWRITE", "c", "")])
        for path, request in (
            ("auth/user/add", {"name": "json", "password": "1"}),
            ("auth/user/changepw", {"name": "json", "password": "2"}),
            ("auth/role/add", {"name": "jrole"}),
            ("auth/role/grant", {"name": "jrole", "perm": {"permType": "WRITE", "key": b64("k")}}),
            ("auth/user/grant", {"user": "json", "role": "jrole"}),
            ("auth/user/get", {"name": "json"}),
            ("auth/role/revoke", {"role": "jrole", "key": b64("k")}),
            ("auth/user/revoke", {"name": "json", "role": "jrole"}),
            ("auth/role/delete", {"role": "jrole"}),
            ("auth/user/delete", {"name": "json"}),
            ("auth/user/list", {}),
            ("auth/role/list", {}),
            ("auth/enable", {}),
        ):
            tap.expect((path, as_json(server, "root", "r00t", path, request)[0]), (path, 200))


# -------- muster's own


def what_newer_releases_keep():
    """What etcd 3.6 asks for, and the one that the tests have here does not yet."""
    with contextlib.ExitStack() as stack:
        server = MusterServer(stack, *COST)
        stack.enter_context(guarded(server))
        complains(server, "etcdserver: permission denied", ALICE, "compact", "1")
        for words in (("lease", "grant", "10"), ("lease", "list"), ("member", "list"), ("alarm", "list")):
            tap.expect("etcdserver: user name is empty" in server.etcdctl(*words, fails=True), True)
        lease = server.etcdctl(ROOT, "lease", "grant", "100").split()[1]
        server.etcdctl(ROOT, "put", "x", "", f"--lease={lease}")
        server.etcdctl(ALICE, "lease", "timetolive", lease)
        tap.expect("permission denied" in server.etcdctl(ALICE, "lease", "timetolive", lease, "--keys", fails=True),
                   True)
        tap.expect(as_json(server, "root", "r00t", "auth/status", {})[2]["enabled"], True)
        tap.expect(as_json(server, "alice", "secret", "auth/status", {})[0], 403)
        tap.expect(as_json(server, "root", "r00t", "auth/role/grant",
                           {"name": "dev", "perm": {"key": b64("b"), "range_end": b64("a")}}),
                   (400, 3, "etcdserver: invalid auth management"))


def no_way_around():
    """Front ends other than etcd's ask the same users."""
    with contextlib.ExitStack() as stack:
        server = MusterServer(stack, *COST)
        stack.enter_context(guarded(server))
        why = f"http://127.0.0.1:{server.port}/api/v1/store/why?key=c"
        snapshot = f"http://127.0.0.1:{server.port}/api/v1/store/snapshot"
        tap.expect([curl(why)[0], curl("-H", "Authorization: x", why)[0], curl(snapshot)[0]], [401, 401, 401])
        with server.channel() as channel:
            alice, root = token_of(channel, "alice", "secret"), token_of(channel, "root", "r00t")
        tap.expect(curl("-H", f"Authorization: {alice}", why), (403, "permission denied\n"))
        tap.expect(curl("-H", f"Authorization: {root}", why)[0], 200)
        done = run("store", "why", "c", "--address", f"http://127.0.0.1:{server.port}")
        tap.expect((done.code, "this needs a user" in done.err), (1, True))
        tap.expect(curl(f"http://127.0.0.1:{server.port}/health")[0], 200)


def users_outlive_a_restart():
    with contextlib.ExitStack() as stack:
        server = MusterServer(stack, *COST)
        stack.enter_context(guarded(server))
        with server.channel() as channel:
            old = token_of(channel, "root", "r00t")
        server.kill()
        server.start_again()
        complains(server, "etcdserver: user name is empty", "get", "c")
        tap.expect(server.etcdctl(ALICE, "put", "c", "v"), "OK\n")
        complains(server, "etcdserver: permission denied", ALICE, "get", "x")
        status, _ = curl("-H", f"Authorization: {old}", url(server, "kv/range"), body=json.dumps({"key": b64("c")}))
        tap.expect(status, 401)


def locked_out():
    """auth.ignore lets everybody in, to set another password."""
    with folder() as place:
        words = [*COST, "--data", str(place)]
        with contextlib.ExitStack() as stack:
            server = MusterServer(stack, *words)
            server.etcdctl("user", "add", "root:lost")
            server.etcdctl("--user=root:lost", "auth", "enable")
            complains(server, "etcdserver: user name is empty", "get", "k")
        with contextlib.ExitStack() as stack:
            server = MusterServer(stack, *words, "--set", "auth.ignore=true")
            tap.expect("auth.ignore" in server.muster.log(), True)
            server.etcdctl("get", "k")
            server.etcdctl("user", "passwd", "root", "--interactive=false", typed="r00t\n")
        with contextlib.ExitStack() as stack:
            server = MusterServer(stack, *words)
            complains(server, "etcdserver: user name is empty", "get", "k")
            server.etcdctl(ROOT, "get", "k")


def certificates():
    """The common name of a client's certificate is the user."""
    with folder() as place:
        ca, _ = make_certificate(place, "ca")
        cert, key = make_certificate(place, "server", ca="ca")
        for name in ("root", "alice", "mallory"):
            make_certificate(place, name, ca="ca")
        settings = (f"tls.cert={cert}", f"tls.key={key}", f"tls.ca={ca}", "tls.client_auth=optional")
        with Muster(*COST, *(word for setting in settings for word in ("--set", setting))) as muster:

            def etcdctl(name, *words):
                shown = [f"--cert={place / name}.crt", f"--key={place / name}.key"] if name else []
                done = subprocess.run(
                    etcdctl_words(f"https://{muster.address()}", f"--cacert={ca}", *shown, *words),
                    env=ETCDCTL_ENVIRONMENT,
                    capture_output=True,
                    text=True,
                    timeout=SECONDS,
                )
                return done.stdout if done.returncode == 0 else done.stderr.splitlines()[-1]

            for words in (("user", "add", "root", "--no-password"), ("role", "add", "root"),
                          ("user", "grant-role", "root", "root"), ("user", "add", "alice", "--no-password"),
                          ("role", "add", "r"), ("role", "grant-permission", "r", "readwrite", "c"),
                          ("user", "grant-role", "alice", "r"), ("auth", "enable")):
                etcdctl(None, *words)
            tap.expect(etcdctl(None, "put", "c", "1"), "Error: etcdserver: user name is empty")
            tap.expect(etcdctl("root", "put", "x", "1"), "OK\n")
            tap.expect(etcdctl("alice", "put", "c", "1"), "OK\n")
            tap.expect(etcdctl("alice", "put", "x", "1"), "Error: etcdserver: permission denied")
            tap.expect(etcdctl("mallory", "put", "c", "1"), "Error: etcdserver: permission denied")
            etcdctl("root", "user", "add", "bob:secret")
            etcdctl("root", "user", "grant-role", "bob", "r")
            if etcd3 is not None:
                port = int(muster.address().rsplit(":", 1)[1])
                login = {"user": "bob", "password": "secret"}
                with etcd3.client("localhost", port, str(ca), timeout=SECONDS, **login) as client:
                    use_python_client(client)
            tap.expect(etcdctl("root", "auth", "disable"), "Authentication Disabled\n")


sys.exit(
    main(
        [
            ("users and roles are administered", administration),
            ("auth is switched on when there is a root", switching_on),
            ("keys are kept from who has no permission", keys),
            ("every part of a transaction is looked at", transactions),
            ("only root administers, and all see themselves", administrators),
            ("a token is good until the password changes", tokens),
            ("a watch that is not permitted is created and canceled", watches),
            ("a lease is as good as its keys", leases),
            ("locks and elections are keys", locks),
            ("the Python client logs in", python_client),
            ("JSON clients show their token as authorization", json_clients),
        ],
        [
            ("what newer releases of etcd keep, muster keeps", what_newer_releases_keep),
            ("other front ends are no way around", no_way_around),
            ("users outlive a restart, tokens do not", users_outlive_a_restart),
            ("who is locked out gets back in by auth.ignore", locked_out),
            ("a client certificate's common name is a user", certificates),
        ],
        COST,
    )
)
