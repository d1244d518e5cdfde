# SPDX-License-Identifier: Apache-2.0
"""What benches share: servers pinned to one core, the load to another, CPU time from the kernel's own accounts.

Every figure is a ratio against a peer that does the same work, the two taking turns in one run, since the speed of a
machine drifts; what is quoted is the median of the ratios of neighbouring turns. CPU time per operation is steadier
than operations per second, where load and server share a machine.
"""
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

SERVER_CORE, LOAD_CORE = 0, max(os.cpu_count() - 1, 0)


def need(program):
    """The path of a program, or the end of the bench."""
    path = shutil.which(program)
    if not path:
        sys.exit(f"{program} is not there: ./dev deps bench")
    return path


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """A server pinned to a core, with all its processes; ended on leaving the `with`."""

    def __init__(self, name, command, port, core=SERVER_CORE):
        self.name, self.command, self.port, self.core = name, command, port, core

    def __enter__(self):
        self.output = tempfile.TemporaryFile()
        self.started = time.monotonic()
        self.process = subprocess.Popen(["taskset", "-c", str(self.core), *self.command], stdout=self.output,
                                        stderr=self.output, stdin=subprocess.DEVNULL, start_new_session=True)
        deadline = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return self
            except OSError:
                if self.process.poll() is not None or time.monotonic() > deadline:
                    self.output.seek(0)
                    sys.exit(f"{self.name} does not listen:\n{self.output.read().decode(errors='replace')}")
                time.sleep(0.01)

    def __exit__(self, *_):
        self.stop(signal.SIGTERM)

    def stop(self, how):
        """Ends it by a signal; it may be entered again."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, how)
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self.output.close()

    def pids(self):
        """The process and its children."""
        pids = [self.process.pid]
        for pid in pids:
            with open(f"/proc/{pid}/task/{pid}/children") as children:
                pids += [int(child) for child in children.read().split()]
        return pids

    def cpu_seconds(self):
        """Time on a processor, of all threads, those that have ended too, user and system."""
        return sum(time.clock_gettime(~pid << 3 | 2) for pid in self.pids())  # as clock_getcpuclockid(3) makes it

    def thread_cpu_seconds(self, name):
        """The same, of the threads of that name that are there."""
        total = 0
        for pid in self.pids():
            for task in os.scandir(f"/proc/{pid}/task"):
                with open(f"{task.path}/comm") as comm, open(f"{task.path}/schedstat") as times:
                    total += int(times.read().split()[0]) if comm.read().strip() == name else 0
        return total / 1e9

    def memory_bytes(self, kind="Pss"):
        """Memory that is the server's own: proportional set size of all its processes, or a part of it."""
        total = 0
        for pid in self.pids():
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += next(int(line.split()[1]) for line in rollup if line.startswith(f"{kind}:"))
        return total * 1024


def load(command):
    """Runs a load generator on the other core and gives what it printed."""
    result = subprocess.run(["taskset", "-c", str(LOAD_CORE), *command], capture_output=True, text=True, timeout=120)
    if result.returncode != 0:
        sys.exit(f"{command[0]} failed:\n{result.stdout}{result.stderr}")
    return result.stdout


def median(values):
    return statistics.median(values)


def table(rows):
    """Prints rows of texts in columns, the first row as their heads."""
    widths = [max(len(str(row[i])) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        print("  ".join(str(cell).ljust(width) if i == 0 else str(cell).rjust(width)
                        for i, (cell, width) in enumerate(zip(row, widths))).rstrip())


def verdict(what, value, aim, unit=""):
    """Says beside its aim whether a figure met it; never fails: an honest miss is a result."""
    print(f"{what}: {value:.3g}{unit}, aim at most {aim:g}{unit}: {'met' if value <= aim else 'MISSED'}")
