# SPDX-License-Identifier: Apache-2.0
"""Whether what clients were told is what a store of one copy would have told them, in one order of its changes.

The order needs no search: a change has a revision of its own, and what changes nothing says at which revision it was
done. So the server's own history, heard by a watch, is replayed through a simple model of etcd, and each answer must be
the model's at its revision. Then:
- every answered change is in the history: none is lost;
- every revision of the history is one change that a client asked for, whole and once: none is made up or repeated; a
  change without an answer may be there or not;
- what began after another one ended has a later revision: the order is the one that clients saw.
"""

import collections
import dataclasses
import math

Pair = collections.namedtuple("Pair", "key value create mod version lease")


@dataclasses.dataclass
class Operation:
    """
    What a client asked, and what it was told. The request is one of:
        ("put", key, value, lease)      answer: the previous pair or None
        ("delete", key)                 the same
        ("get", key)                    the pair or None
        ("all",)                        all pairs
        ("revoke", lease)               None
        ("txn", condition, requests)    (whether it held, an answer for each request); a condition is a key and its
                                        mod revision or None; when it does not hold, the key is got instead
    """

    request: tuple
    start: float
    end: float = math.inf  # no answer
    answer: object = None
    revision: int = 0  # by the answer, or by what is found in the history
    changes: bool = True  # whether it made its revision


class Wrong(Exception):
    """The history cannot be."""


class History:
    def __init__(self):
        self.pairs = {}
        self.revision = 1
        self.changes = 0
        self.unanswered = 0

    def check(self, commits, operations):
        """
        Checks the next part: commits is a list of (revision, events), an event a pair, or a key that is deleted;
        operations are all that began after the last check.
        """
        revisions = [revision for revision, _ in commits]
        if revisions != list(range(self.revision + 1, self.revision + 1 + len(commits))):
            raise Wrong(f"revisions after {self.revision} are {revisions}")
        by_revision = collections.defaultdict(list)
        for operation in operations:
            if operation.end != math.inf:
                by_revision[operation.revision].append(operation)
        lost = [revision for revision in by_revision if not self.revision <= revision <= self.revision + len(commits)]
        if lost:
            raise Wrong(f"answered, but not in the history: {by_revision[min(lost)]}")
        unanswered = [operation for operation in operations if operation.end == math.inf]

        self.check_reads(by_revision[self.revision])
        for revision, events in commits:
            self.replay(revision, events, by_revision[revision], unanswered)
        check_real_time(operations)

    def replay(self, revision, events, answered, unanswered):
        """One change. Takes it out of those without an answer when it was one of them."""
        makers = []
        for operation in answered:
            answer, changes = run(operation.request, self.pairs, revision)
            # A revocation does not tell whether there were keys: it made the revision if it could have.
            if changes and changes == events and operation.answer == answer:
                makers.append(operation)
        # A revocation behind the deletion of the lease's last key is told the same revision, and changed nothing: it is
        # then judged like a read. So is whatever else claims to have made the revision.
        makers.sort(key=lambda operation: operation.request[0] == "revoke")
        if not makers:
            makers = [op for op in unanswered if run(op.request, self.pairs, revision)[1] == events]
            if not makers:
                raise Wrong(f"nobody asked for revision {revision}: {events}; its answers: {answered}")
            makers.sort(key=lambda operation: operation.start)  # of deletions that are alike, the one asked for first
            unanswered.remove(makers[0])
            makers[0].revision = revision
            self.unanswered += 1
        self.changes += 1
        for event in events:
            if isinstance(event, Pair):
                self.pairs[event.key] = event
            else:
                del self.pairs[event]
        self.revision = revision
        self.check_reads([operation for operation in answered if operation is not makers[0]])

    def check_reads(self, operations):
        """Those that changed nothing, at the current revision."""
        for operation in operations:
            answer, changes = run(operation.request, self.pairs, self.revision + 1)
            if changes or answer != operation.answer:
                raise Wrong(f"at revision {self.revision} {operation} should have been told {answer}")
            operation.changes = False

    def keys_of(self, lease):
        return sorted(pair.key for pair in self.pairs.values() if pair.lease == lease)


def check_real_time(operations):
    """What began after another one ended comes behind it."""
    placed = [operation for operation in operations if operation.revision]
    ended = collections.deque(sorted(placed, key=lambda operation: operation.end))
    latest = None
    for operation in sorted(placed, key=lambda operation: operation.start):
        while ended and ended[0].end < operation.start:
            before = ended.popleft()
            if latest is None or before.revision > latest.revision:
                latest = before
        if latest and operation.revision < latest.revision + operation.changes:
            raise Wrong(f"{operation} began after the end of {latest}")


# -------- the model


def run(request, pairs, revision):
    """The answer and the events of a request, were it the one that makes the revision."""
    written = {}
    answer = execute(request, pairs, written, revision)
    return answer, [key if pair is None else pair for key, pair in written.items()]


def execute(request, pairs, written, revision):
    kind, *arguments = request
    if kind == "txn":
        condition, requests = arguments
        if condition is not None:
            pair = pairs.get(condition[0])
            if (pair.mod if pair else 0) != condition[1]:
                return False, [pair]
        return True, [execute(inner, pairs, written, revision) for inner in requests]
    if kind == "all":
        return [pairs[key] for key in sorted(pairs)]
    if kind == "revoke":
        written.update({key: None for key in sorted(pairs) if pairs[key].lease == arguments[0]})
        return None
    key = arguments[0]
    pair = written.get(key, pairs.get(key))
    if kind == "put":
        create, version = (pair.create, pair.version + 1) if pair else (revision, 1)
        written[key] = Pair(key, arguments[1], create, revision, version, arguments[2])
    elif kind == "delete" and pair:
        written[key] = None
    return pair
