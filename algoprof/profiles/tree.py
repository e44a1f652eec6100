"""The call tree of a run, or of many runs merged: `Profile`, its `Node`s and their sampled `Span`s."""

import difflib
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from os import PathLike
from typing import Literal

from algoprof.profiles.environment import Environment
from algoprof.profiles.histogram import EMPTY, Histogram
from algoprof.profiles.samples import Sample

RunOutcome = Literal["ok", "error", "open", "killed", "merged"]
"""How a run ended: returned, raised, still open, cut off with its process; or: many runs merged into one tree."""

SpanKind = Literal["first", "slowest", "failed", "open"]
"""Why an occurrence was kept."""

Attribute = str | int | float | bool
"""What a section's attribute may hold."""


@dataclass(frozen=True, slots=True)
class Span:
    """One occurrence of a section, kept as a sample.

    Args:
        kind: why it was kept; one occurrence may be kept for several reasons, then under the first that applies.
        start_ns: when it began, nanoseconds since the Unix epoch.
        end_ns: when it ended; for an open one, when the profile was read or the process was killed.
        span_id: 64 bits, unique in its run.
        parent_id: the span id of the occurrence around it, 0 for none. That occurrence may not have been kept.
        thread: the native id of the thread that entered it.
        error: the name of the exception's type, or None.
        attributes: as given to `section`, within limits.
    """

    kind: SpanKind
    start_ns: int
    end_ns: int
    span_id: int
    parent_id: int = 0
    thread: int = 0
    error: str | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)

    @property
    def duration(self) -> float:
        """Seconds from start to end."""
        return (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True, slots=True)
class Node:
    """All occurrences of one section under one parent.

    Inside, times are integer nanoseconds; the properties give seconds.

    Args:
        name: the section's name.
        count: occurrences that ended, recursive ones included.
        closed_ns: the time of those, wall, added up.
        open_count: occurrences still open when the profile was read.
        open_ns: how long those had been open, added up.
        nested_ns: the part of closed and open time that nested children took.
        shortest_ns: the shortest occurrence that ended; 0 if none did.
        longest_ns: the longest one.
        errors: occurrences that ended with an exception.
        active_ns: the time its coroutine or generator really ran; None where nobody measured it.
        cpu_ns: the processor time of its thread in the occurrences that ended; None where nobody asked for it.
        device_ns: the time of the device, in those whose time is known; None where nobody asked for it.
        concurrent: whether it ran beside its parent, in another thread or task, rather than inside it.
        histogram: the durations of the occurrences that ended; a recursive one counts with the outermost.
        spans: a bounded sample of occurrences.
        children: the sections within, most time first.
        module: where the section is written; empty if unknown.
        line: the line in that module; 0 if unknown.
        inherited: whether it is the root `worker`: what other processes recorded in no section that is known.
    """

    name: str
    count: int = 0
    closed_ns: int = 0
    open_count: int = 0
    open_ns: int = 0
    nested_ns: int = 0
    shortest_ns: int = 0
    longest_ns: int = 0
    errors: int = 0
    active_ns: int | None = None
    cpu_ns: int | None = None
    device_ns: int | None = None
    concurrent: bool = False
    histogram: Histogram = EMPTY
    spans: tuple[Span, ...] = ()
    children: tuple["Node", ...] = ()
    module: str = ""
    line: int = 0
    inherited: bool = False

    @property
    def total_ns(self) -> int:
        """Wall time of every occurrence, the open ones up to the moment of reading, in nanoseconds."""
        return self.closed_ns + self.open_ns

    @property
    def self_ns(self) -> int:
        """Total minus the nested children, never below 0, in nanoseconds."""
        return max(0, self.total_ns - self.nested_ns)

    @property
    def total_time(self) -> float:
        """Wall time of every occurrence, the open ones up to the moment of reading, in seconds."""
        return self.total_ns / 1e9

    @property
    def self_time(self) -> float:
        """Total minus the nested children, never below 0, in seconds."""
        return self.self_ns / 1e9

    @property
    def active_time(self) -> float | None:
        """Seconds its coroutine or generator really ran; None where nobody measured it."""
        return None if self.active_ns is None else self.active_ns / 1e9

    @property
    def cpu_time(self) -> float | None:
        """Seconds of processor time, nested sections included; None where `with_options(cpu=True)` did not ask."""
        return None if self.cpu_ns is None else self.cpu_ns / 1e9

    @property
    def device_time(self) -> float | None:
        """Seconds that the device took, nested sections included; None where it was not asked for or not there."""
        return None if self.device_ns is None else self.device_ns / 1e9

    @property
    def open_time(self) -> float:
        """How long the open occurrences have been open, added up, in seconds."""
        return self.open_ns / 1e9

    @property
    def shortest(self) -> float:
        """The shortest occurrence that ended, in seconds; 0 if none did."""
        return self.shortest_ns / 1e9

    @property
    def longest(self) -> float:
        """The longest occurrence that ended, in seconds; 0 if none did."""
        return self.longest_ns / 1e9

    def quantile(self, q: float) -> float:
        """Return the duration in seconds below which a share `q` of the ended occurrences lies, within 4.4 %.

        Raises:
            ValueError: if `q` is not within 0 and 1.
        """
        return min(max(self.histogram.quantile(q), self.shortest), self.longest or math.inf)

    def walk(self) -> Iterator["Node"]:
        """Yield this node and all below it, parents first.

        >>> [node.name for node in Node("a", children=(Node("b"), Node("c"))).walk()]
        ['a', 'b', 'c']
        """
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))


@dataclass(frozen=True, slots=True)
class Profile:
    """The call tree of one run, or of many runs merged. Plain data: safe to keep, compare, pickle and send.

    Args:
        name: the run's name, or what a merged profile is called.
        roots: the trees, usually one, whose root is the run itself.
        outcome: how the run ended.
        run_id: 32 hexadecimal digits, also the run's trace id; empty for a merged profile.
        parent_run_id: the run around this one, in this process or another; empty if none.
        parent_span_id: the caller's span, if the run was asked for with a W3C trace context; else 0.
        request_id: what the server calls the request; empty without a server.
        started_ns: when the run began, nanoseconds since the Unix epoch.
        duration_ns: how long it took, or had taken when read or killed.
        timeout: the budget in seconds; None without one.
        budget_spent_ns: how much of the budget was gone before the run began (queue and load).
        budget_source: where the timeout comes from; empty without one.
        runs: how many runs it holds.
        failed_runs: how many of them raised.
        cpu_ns: processor time of the whole process meanwhile; for an open or killed run, as far as it was observed,
            which is once a second under a timeout; None if not measured.
        allocation_peak: the most that Python had allocated at once, over what it had when the run began, in bytes; None
            where `profile.with_options(allocations=True)` did not ask for it.
        folded: occurrences counted under another name, since there were too many nodes or levels.
        dropped: names, attributes, spans and device times left out, since there were too many or they came too late.
        inexact: whether several runs had to share a row, or a row was cut off half-written.
        part: whether it is a worker's part of the run `parent_run_id`, which another process opened.
        pid: the process.
        program: what that process runs.
        environment: what was around the run and explains its times.
        samples: where its threads were seen, the heaviest first; empty if nobody looked.
        sample_interval_ns: what one count of a sample stands for; 0 if nobody looked.
        samples_left_out: counts of samples that were too many to keep.
        samples_folded: counts, in the whole process, of stacks that found no room: they stand at the part that did.
        sampler: who looked: `signal`, `thread` or `py-spy`; empty if nobody did.
    """

    name: str
    roots: tuple[Node, ...]
    outcome: RunOutcome = "ok"
    run_id: str = ""
    parent_run_id: str = ""
    parent_span_id: int = 0
    request_id: str = ""
    started_ns: int = 0
    duration_ns: int = 0
    timeout: float | None = None
    budget_spent_ns: int = 0
    budget_source: str = ""
    runs: int = 1
    failed_runs: int = 0
    cpu_ns: int | None = None
    allocation_peak: int | None = None
    folded: int = 0
    dropped: int = 0
    inexact: bool = False
    part: bool = False
    pid: int = 0
    program: str = ""
    environment: Environment = field(default_factory=Environment)
    samples: tuple[Sample, ...] = ()
    sample_interval_ns: int = 0
    samples_left_out: int = 0
    samples_folded: int = 0
    sampler: str = ""

    @property
    def duration(self) -> float:
        """Seconds the run took, or had taken when it was read or killed."""
        return self.duration_ns / 1e9

    @property
    def cpu_time(self) -> float | None:
        """Processor time of the whole process during the run, in seconds; None if not measured."""
        return None if self.cpu_ns is None else self.cpu_ns / 1e9

    @property
    def sample_interval(self) -> float:
        """Seconds that one count of a sample stands for; 0 if nobody looked."""
        return self.sample_interval_ns / 1e9

    @property
    def budget_used_ratio(self) -> float | None:
        """The share of the timeout that is gone, what was spent before the run included; None without a timeout."""
        return None if not self.timeout else (self.budget_spent_ns + self.duration_ns) / 1e9 / self.timeout

    def node(self, *path: str) -> Node:
        """Return the node at a path of names, the root's first.

        Raises:
            KeyError: if there is none; its message lists the names that are near.

        >>> profile = Profile("job", (Node("job", children=(Node("load"),)),))
        >>> profile.node("job", "load").name
        'load'
        >>> profile.node("job", "laod")
        Traceback (most recent call last):
            ...
        KeyError: "no section 'laod' in job; near: load"
        """
        level, found, above = self.roots, None, self.name
        for name in path:
            found = next((node for node in level if node.name == name), None)
            if found is None:
                known = [node.name for node in level]
                near = difflib.get_close_matches(name, known, n=5) or known[:5] or ["nothing below it"]
                raise KeyError(f"no section {name!r} in {above}; near: {', '.join(near)}")
            level, above = found.children, name
        if found is None:
            raise KeyError("a path has at least one name, the root's")
        return found

    @property
    def bottleneck(self) -> Node | None:
        """The node whose self time holds the run back most; None if nothing was recorded.

        It is the largest self time in the run's own context. Where that node waits for sections beside it, in other
        threads or tasks, it is the largest among those, and its `concurrent` says so: where their own times add up to
        at least half of its.

        >>> fast, slow = Node("fast", 1, closed_ns=1), Node("slow", 1, closed_ns=8)
        >>> Profile("job", (Node("job", 1, closed_ns=10, nested_ns=9, children=(slow, fast)),)).bottleneck.name
        'slow'
        """
        busiest = max(self._own_context(), key=lambda node: node.self_ns, default=None)
        if busiest is None:
            return None
        beside = [below for child in busiest.children if child.concurrent for below in child.walk()]
        if any(busiest is root for root in self.roots):  # what it waits for may be in any worker
            beside += [node for root in self.roots if root.inherited for node in root.walk() if node is not root]
        if 2 * sum(node.self_ns for node in beside) < busiest.self_ns:
            return busiest
        return max(beside, key=lambda node: node.self_ns, default=busiest)

    def _own_context(self) -> Iterator[Node]:
        waiting = [root for root in self.roots if not root.inherited] or list(self.roots)
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(child for child in node.children if not child.concurrent)

    def paths(self) -> Iterator[tuple[tuple[str, ...], Node]]:
        """Yield each node with its path of names, parents first."""
        waiting: list[tuple[tuple[str, ...], Node]] = [((root.name,), root) for root in reversed(self.roots)]
        while waiting:
            path, node = waiting.pop()
            yield path, node
            waiting.extend(((*path, child.name), child) for child in reversed(node.children))

    def open_sections(self) -> list[tuple[tuple[str, ...], Node]]:
        """Return the paths and nodes with open occurrences, parents first."""
        return [(path, node) for path, node in self.paths() if node.open_count]

    def save(self, path: str | PathLike[str]) -> None:
        """Write the profile to a file, by convention named `*.algoprof`, replacing it in one step; mode 0600.

        Raises:
            OSError: if it cannot be written.
        """
        from algoprof.profiles.codec import save  # noqa: PLC0415  (the codec knows this module)

        save(self, path)

    @staticmethod
    def load(path: str | PathLike[str]) -> "Profile":
        """Read a profile from a file that `save` wrote.

        Raises:
            ProfileFileError: if it is not such a file; the message names the file and the reason.
            OSError: if it cannot be read.
        """
        from algoprof.profiles.codec import load  # noqa: PLC0415  (the codec knows this module)

        return load(path)
