#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""The configuration as a user meets it: one line for each mistake, --check, and what wins over what."""

import re
import sys

from lib import ROOT, Muster, environment, folder, run, tap

# What is in the file, in the environment, on the command line; what is said. FILE stands for the file's name.
MISTAKES = [
    ("lisen: x\n", {}, [], 'FILE:1: lisen: unknown key, did you mean "listen"?'),
    ("http:\n  streems: 1\n", {}, [], 'FILE:2: http.streems: unknown key, did you mean "http.streams"?'),
    ("workers: many\n", {}, [], 'FILE:1: workers: "many" is not valid; expected a number from 0 to 64'),
    (
        "http:\n  head_timeout: 10\n", {}, [],
        'FILE:2: http.head_timeout: "10" is not valid; expected a duration such as 500ms, 10s or 5m, from 10ms to 1h',
    ),
    ("workers: 1\nworkers: 2\n", {}, [], 'FILE:2:1: the key "workers" is here twice, first in line 1'),
    ("- a\n", {}, [], "FILE:1: expected a mapping of keys"),
    ("log:\n  level: loud\n", {}, [], 'FILE:2: log.level: "loud" is not valid; expected debug, info, warn or error'),
    (
        "tls:\n  cert: [a.pem, b.pem]\n  key: [a.pem]\n", {}, [],
        "FILE:3: tls.key: expected as many files as tls.cert has, or none",
    ),
    (
        "gateway:\n  routes:\n    - /v1 service=a timout=5s\n", {}, [],
        'FILE:3: gateway.routes: "/v1 service=a timout=5s": "timout" is no word of a route, did you mean "timeout"?',
    ),
    (
        None, {}, ["--set", "gateway.routes=/v1"],
        '--set gateway.routes: "/v1": leads nowhere; expected service=NAME',
    ),
    (
        None, {}, ["--set", "gateway.hash=user"],
        '--set gateway.hash: "user" is not valid; expected address, header:NAME or cookie:NAME',
    ),
    (
        None, {"MUSTER_GATEWAY_TRUSTED": "10.0.0.0/33"}, [],
        'MUSTER_GATEWAY_TRUSTED: "10.0.0.0/33" is no range of addresses: expected an IP address, perhaps with /BITS',
    ),
    (
        None, {}, ["--set", "gateway.name=my gateway"],
        '--set gateway.name: is not valid; expected one word of up to 64 characters',
    ),
    (
        None, {}, ["--set", "gateway.tls.client_auth=require"],
        "--set gateway.tls.client_auth: needs TLS; expected gateway.tls.cert to be set, too",
    ),
    (
        None, {}, ["--set", "gateway.instance_key=/some.key"],
        "--set gateway.instance_key: expected gateway.instance_cert to be set, too",
    ),
    (None, {"MUSTER_WORKERS": "x"}, [], 'MUSTER_WORKERS: "x" is not valid; expected a number from 0 to 64'),
    (
        None, {}, ["--listen", "localhost"],
        '--listen: "localhost" is not an address; expected IP:PORT, [IPV6]:PORT, :PORT or unix:/PATH',
    ),
    (None, {}, ["--set", "worker=1"], '--set: worker: unknown key, did you mean "workers"?'),
    (None, {}, ["--lisen", ":1"], "--lisen: unknown flag, did you mean --listen?"),
    (None, {}, ["--config", "/nonexistent"], "/nonexistent: cannot read: No such file or directory"),
    (None, {"MUSTER_CONFIG": "/nonexistent"}, [], "/nonexistent: cannot read: No such file or directory"),
    (None, {}, ["--config", "/"], "/: cannot read: Is a directory"),
    (None, {}, ["now"], "now: unexpected argument (see: muster serve --help)"),
]


def each_mistake_is_one_line():
    with folder() as place:
        path = place / "muster.yaml"
        for text, variables, words, said in MISTAKES:
            if text is not None:
                path.write_text(text)
                words = ["--config", str(path), *words]
            for check in ([], ["--check"]):
                done = run("serve", *words, *check, env=environment(**variables))
                expected = f"muster: {said.replace('FILE', str(path))}\n"
                tap.expect((done.err, done.out, done.code), (expected, "", 2))


def a_missing_certificate_is_told():
    for key in ("tls.cert", "gateway.tls.cert", "gateway.instance_ca", "gateway.instance_cert"):
        done = run("serve", "--check", "--set", f"{key}=/nonexistent.pem")
        tap.expect(done.code, 2)
        tap.expect(done.err.startswith(f"muster: --set {key}: "), True)
        tap.expect("/nonexistent.pem" in done.err and done.err.count("\n") == 1, True)


def check_says_that_it_is_good_and_opens_nothing():
    with folder() as place, Muster() as muster:
        path = place / "muster.yaml"
        path.write_text(f'listen: "{muster.address()}"\ndata: {place}/data\n')
        done = run("serve", "--check", "--config", str(path))
        tap.expect((done.code, done.out, done.err), (0, "the configuration is good\n", ""))
        tap.expect((place / "data").exists(), False)


def each_source_wins_over_those_before():
    with folder() as place:
        path = place / "muster.yaml"
        path.write_text("workers: 1\n")

        def n_workers(*words, **variables):
            with Muster("--config", str(path), *words, env=variables) as muster:
                return muster.metric("muster_workers ")

        tap.expect(n_workers(), 1)
        tap.expect(n_workers(MUSTER_WORKERS="2"), 2)
        tap.expect(n_workers("--set", "workers=3", MUSTER_WORKERS="2"), 3)
        tap.expect(n_workers("--workers", "4", "--set", "workers=3", MUSTER_WORKERS="2"), 4)


def help_lists_every_key():
    done = run("serve", "--help")
    tap.expect((done.code, done.err), (0, ""))
    timeout = "http.head_timeout (default: 10s; reloaded by SIGHUP)"
    for part in ("--listen ADDR", "--set KEY=VALUE", timeout, "example:"):
        tap.expect((part, part in done.out), (part, True))


def the_documentation_lists_every_key():
    help_text = run("serve", "--help").out
    keys = re.findall(r"^  (\S+) \(default: (.*?)(; reloaded by SIGHUP)?\)\n      (.*)\n      (.*)$", help_text, re.M)
    tap.expect(len(keys) > 20, True)
    wanted = []
    for key, default, reloaded, text, value in keys:
        shown = "" if default == "empty" else f"`{default}`"
        wanted.append(f"| `{key}` | {shown} | {'applies' if reloaded else ''} | {text} | {value} |")
    document = (ROOT / "docs/configuration.md").read_text()
    section = document.split("## Settings", 1)[1].split("\n## ", 1)[0]
    tap.expect([line for line in section.splitlines() if line.startswith("| `")], wanted)


CASES = [
    ("each mistake is one line with its place and what was expected, exit code 2", each_mistake_is_one_line),
    ("a missing certificate is told", a_missing_certificate_is_told),
    ("--check says that the configuration is good and opens nothing", check_says_that_it_is_good_and_opens_nothing),
    ("flag > --set > environment > file > default", each_source_wins_over_those_before),
    ("--help lists every key", help_lists_every_key),
    ("docs/configuration.md says the same as --help", the_documentation_lists_every_key),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
