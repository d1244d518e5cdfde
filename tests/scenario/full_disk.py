#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# variants: release asan
"""A disk of 24 MB, in a mount namespace of our own: the store never stays full of what nobody needs."""

import base64
import ctypes
import os
import subprocess
import sys
import tempfile

from api_lib import call
from lib import Muster, tap, wait_for

CLONE_NEWNS = 0x00020000
DISK = "24m"
VALUE = base64.b64encode(os.urandom(60_000)).decode()


def small_disk():
    """From now on temporary folders are made there."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) != 0:
        raise tap.Skip("a mount namespace is not allowed here: " + os.strerror(ctypes.get_errno()))
    folder = tempfile.mkdtemp(prefix="muster-disk-")
    for words in (["--make-rprivate", "/"], ["-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", folder]):
        done = subprocess.run(["mount", *words], capture_output=True, text=True)
        if done.returncode != 0:
            os.rmdir(folder)
            raise tap.Skip("no file system can be mounted here: " + done.stderr.strip())
    return folder


def key(n):
    return base64.b64encode(b"key%d" % n).decode()


def put(muster, n):
    return call(muster, "POST", "/v3/kv/put", {"key": key(n), "value": VALUE}).status


def delete(muster, n):
    return call(muster, "POST", "/v3/kv/deleterange", {"key": key(n)}).status


def put_soon(muster, n):
    wait_for(lambda: put(muster, n), 200)


def a_small_disk_is_enough_for_ever():
    tempfile.tempdir, before = small_disk(), tempfile.gettempdir()
    try:
        with Muster() as muster:
            for n in range(1500):  # four times the disk
                put_soon(muster, n % 30)
            muster.start_again(9)
            n = 0
            while put(muster, n) == 200 or not all(put(muster, n) != 200 for _ in range(20)):
                n += 1
            tap.expect(n > 60, True)
            tap.expect(muster.get("/livez").status, 200)
            for each in range(n):
                wait_for(lambda each=each: delete(muster, each), 200)
            put_soon(muster, 0)
            muster.wait_for_log("the disk is full")
            muster.wait_for_log("there is room on the disk again")
    finally:
        folder, tempfile.tempdir = tempfile.tempdir, before
        subprocess.run(["umount", folder], check=False)
        os.rmdir(folder)


CASES = [
    ("etcd#9992: a small disk is enough for ever", a_small_disk_is_enough_for_ever),
]

if __name__ == "__main__":
    sys.exit(tap.main(CASES))
