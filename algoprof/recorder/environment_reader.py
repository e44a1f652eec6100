"""From the words of an environment record to an `Environment`, and to what a run cost."""

from collections.abc import Sequence
from dataclasses import dataclass

from algoprof.profiles.environment import Environment
from algoprof.recorder import layout as at

Words = Sequence[int]


@dataclass(frozen=True, slots=True)
class EnvironmentRecord:
    """What the file says of what was around a run.

    Args:
        run: the record of the run.
        process: the record of the process, with what was counted when it was last observed.
        is_open: whether the run had not ended, so that what it counted is known from the process's record.
    """

    run: Words
    process: Words
    is_open: bool

    def environment(self, python: str) -> Environment:
        """Return it as plain data."""
        quota, load = self._fact(at.ENVIRONMENT_CPU_QUOTA), self._fact(at.ENVIRONMENT_LOAD)
        return Environment(
            python=python,
            cpu_count=self._fact(at.ENVIRONMENT_CPU_COUNT),
            cpu_quota=None if quota is None else quota / 1e6,
            load_average=None if load is None else load / 1e6,
            memory_limit=self._fact(at.ENVIRONMENT_MEMORY_LIMIT),
            memory_peak=self._peak(at.ENVIRONMENT_MEMORY_PEAK),
            group_memory_peak=self._peak(at.ENVIRONMENT_GROUP_PEAK),
            periods=self._counted(at.ENVIRONMENT_PERIODS),
            throttled_periods=self._counted(at.ENVIRONMENT_THROTTLED_PERIODS),
            throttled_ns=self._counted(at.ENVIRONMENT_THROTTLED),
            gc_pauses=self._counted(at.ENVIRONMENT_GC_PAUSES),
            gc_paused_ns=self._counted(at.ENVIRONMENT_GC_PAUSED),
            gc_longest_ns=self._fact(at.ENVIRONMENT_GC_LONGEST),
        )

    @property
    def cpu_ns(self) -> int | None:
        """Processor time of the process during the run, as far as it was observed; None if it was not."""
        return self._counted(at.ENVIRONMENT_CPU)

    @property
    def allocation_peak(self) -> int | None:
        """The most that was allocated during the run over what was when it began, in bytes; None if not measured."""
        return self._fact(at.ENVIRONMENT_ALLOCATION_PEAK)

    def _fact(self, word: int) -> int | None:
        return self.run[word] if self.run[word] >= 0 else None

    def _peak(self, word: int) -> int | None:
        highest = max(self.run[word], self.process[word] if self.is_open else -1)
        return highest if highest >= 0 else None

    def _counted(self, word: int) -> int | None:
        if self.run[word] >= 0 or not self.is_open:
            return self._fact(word)
        before, now = self.run[word + at.ENVIRONMENT_BEFORE], self.process[word]
        return max(0, now - before) if before >= 0 and now >= 0 else None
