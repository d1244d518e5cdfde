# SPDX-License-Identifier: Apache-2.0
"""What the scenarios of etcd's protocol share: the same cases run against etcd itself and against muster.

    def a_key_is_put(server):
        tap.expect(server.etcdctl("put", "k", "v"), "OK\n")

    sys.exit(main([("a key is put", a_key_is_put)]))

An expectation that does not hold for etcd is a wrong expectation; one that holds for etcd alone is a fault of muster.
Where etcd is not on the machine, its half is skipped. Beside a sanitized muster it is left out, as that runs beside the
release build, too. Cases share a server: each keeps to keys of its own.
"""

import contextlib
import io
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

DEBIAN_PYTHON = "/usr/bin/python3"
TOOLS = pathlib.Path(__file__).resolve().parent.parent.parent / "build/tools/usr"
sys.path.append(str(TOOLS / "lib/python3/dist-packages"))
try:
    import etcd3
    import etcd3.etcdrpc as rpc
    import grpc
except ImportError:
    # The modules are Debian's, and so is the Python that finds them.
    if sys.executable != DEBIAN_PYTHON and os.path.exists(DEBIAN_PYTHON):
        os.execv(DEBIAN_PYTHON, [DEBIAN_PYTHON, *sys.argv])
    etcd3 = rpc = grpc = None

from lib import SANITIZED, SECONDS, Muster, free_port, tap  # noqa: E402

PATH = os.environ.get("PATH", "") + f":{TOOLS}/bin"
ETCDCTL_ENVIRONMENT = {**os.environ, "ETCDCTL_API": "3"}
PATIENT = (f"--dial-timeout={SECONDS}s", f"--command-timeout={SECONDS}s")  # by itself etcdctl gives up after 2 s


def program(name):
    found = shutil.which(name, path=PATH)
    if not found:
        raise tap.Skip(f"there is no {name}")
    return found


def etcdctl_words(endpoint, *words):
    """The command line of an etcdctl that is as patient as we are."""
    return [program("etcdctl"), f"--endpoints={endpoint}", *PATIENT, *words]


class Server:
    """What both servers can be asked."""

    host = "127.0.0.1"

    def etcdctl(self, *words, typed=None, fails=False):
        """The output of etcdctl; with fails its complaint, from a run that must fail."""
        done = subprocess.run(
            etcdctl_words(f"{self.host}:{self.port}", *words),
            env=ETCDCTL_ENVIRONMENT,
            input=typed,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if (done.returncode != 0) != fails:
            raise AssertionError(f"etcdctl {' '.join(words)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stderr if fails else done.stdout

    def etcdctl_start(self, *words):
        """One that goes on; what it says can be read while it does."""
        words = etcdctl_words(f"{self.host}:{self.port}", *words)
        return subprocess.Popen(words, env=ETCDCTL_ENVIRONMENT, stdout=subprocess.PIPE, text=True)

    def etcdctl_json(self, *words):
        return json.loads(self.etcdctl(*words, "-w", "json"))

    @contextlib.contextmanager
    def python(self, **login):
        """A client of python3-etcd3. The thread of its watches is ended, too: it would ask again without end, and can
        crash an interpreter that ends under it."""
        if etcd3 is None:
            raise tap.Skip("there is no etcd3 for Python")
        client = etcd3.client(self.host, self.port, timeout=SECONDS, **login)
        try:
            yield client
        finally:
            watching = client.watcher._callback_thread
            with contextlib.redirect_stderr(io.StringIO()):  # where the thread complains of the closed channel
                client.close()
                if watching:
                    watching.join(SECONDS)

    def channel(self):
        if grpc is None:
            raise tap.Skip("there is no grpcio for Python")
        return grpc.insecure_channel(f"{self.host}:{self.port}")


class MusterServer(Server):
    def __init__(self, stack, *arguments, env=None):
        self.muster = stack.enter_context(Muster(*arguments, env=env))
        self.port = int(self.muster.address().rsplit(":", 1)[1])

    def kill(self):
        self.muster.process.kill()
        self.muster.end()

    def start_again(self):
        self.muster.start_again()


class EtcdServer(Server):
    def __init__(self, stack):
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="muster-etcd-"))
        self.port, peer = free_port(), free_port()
        self.words = [program("etcd"), "--data-dir", folder, "--log-level", "error", "--unsafe-no-fsync"]
        self.words += ["--bcrypt-cost", "4"]
        self.words += ["--listen-client-urls", f"http://127.0.0.1:{self.port}"]
        self.words += ["--advertise-client-urls", f"http://127.0.0.1:{self.port}"]
        self.words += ["--listen-peer-urls", f"http://127.0.0.1:{peer}"]
        self.words += ["--initial-advertise-peer-urls", f"http://127.0.0.1:{peer}"]
        self.words += ["--initial-cluster", f"default=http://127.0.0.1:{peer}"]
        self.process = None
        stack.callback(self.kill)
        self.start_again()

    def start_again(self):
        self.process = subprocess.Popen(self.words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + SECONDS
        while not self.answers():
            if time.monotonic() > deadline or self.process.poll() is not None:
                raise AssertionError("etcd did not start")

    def answers(self):
        done = subprocess.run(
            [program("etcdctl"), f"--endpoints=127.0.0.1:{self.port}", "--command-timeout=1s", "get", "ready"],
            env=ETCDCTL_ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        return done.returncode == 0 or "user name is empty" in done.stderr  # which auth says

    def kill(self):
        if self.process:
            self.process.kill()
            self.process.wait(SECONDS)


def failure(call, *arguments):
    """Code and text of the error that a gRPC call ends with."""
    try:
        call(*arguments, timeout=SECONDS)
    except grpc.RpcError as error:
        return error.code().name, error.details()
    raise AssertionError("the call succeeded")


def main(cases, muster_only=(), settings=()):
    """Runs each (words, function) with etcd, then with a muster of these settings; then those that etcd has nothing to
    do with."""
    with contextlib.ExitStack() as stack:
        servers = {}

        def bind(kind, case):
            def run():
                if kind not in servers:
                    servers[kind] = kind(stack)
                case(servers[kind])

            return run

        kinds = [("etcd", EtcdServer)] if not SANITIZED else []
        kinds.append(("muster", lambda stack: MusterServer(stack, *settings)))
        both = [(f"{name}: {words}", bind(kind, case)) for name, kind in kinds for words, case in cases]
        return tap.main(both + [(f"muster: {words}", case) for words, case in muster_only])
