"""The words for what is found: one sentence that says why, and what to try, the most promising first."""

from collections.abc import Callable

from algoprof.calls.diagnosis import choosing, hints, sources, surroundings
from algoprof.calls.diagnosis.findings import Found, Words
from algoprof.calls.diagnosis.reasons import Reason

_FOREIGN = (
    Reason.compilation_failed,
    Reason.compiler_missing,
    Reason.metadata_failed,
    Reason.module_missing,
    Reason.no_matching_distribution,
    Reason.no_wheel_for_this_python,
)
"""For these a package that has the name of one of Python's own modules is meant by mistake."""


def advise(found: Found) -> Words:
    """Return the words for a failure."""
    sentence, advice = _WORDS[found.reason](found)
    if hints.in_python(found.package) and not found.local and found.reason in _FOREIGN:
        sentence = f"{found.package} is a part of Python, and the package of that name cannot be installed"
        advice = (f"remove {found.package} from the requirements",)
    if found.local:
        advice = (
            *(one for one in advice if not one.startswith("take a")),
            f"correct it: it is the project's own, in {found.local}",
        )
    return Words(" ".join(sentence.split()), tuple(dict.fromkeys(filter(None, advice))))


_WORDS: dict[Reason, Callable[[Found], Words]] = {
    Reason.no_matching_distribution: choosing.no_matching_distribution,
    Reason.no_wheel_for_this_python: choosing.no_wheel,
    Reason.conflict: choosing.conflict,
    Reason.compiler_missing: sources.compiler_missing,
    Reason.library_missing: sources.library_missing,
    Reason.program_missing: sources.program_missing,
    Reason.compilation_failed: sources.compilation_failed,
    Reason.module_missing: sources.module_missing,
    Reason.metadata_failed: sources.metadata_failed,
    Reason.invalid_requirement: choosing.invalid_requirement,
    Reason.file_missing: surroundings.file_missing,
    Reason.hash_mismatch: choosing.hash_mismatch,
    Reason.damaged_package: choosing.damaged_package,
    Reason.access_denied: surroundings.access_denied,
    Reason.network: surroundings.network,
    Reason.disk_full: surroundings.disk_full,
    Reason.out_of_memory: surroundings.memory,
    Reason.killed: surroundings.memory,
    Reason.permission_denied: surroundings.permission_denied,
    Reason.externally_managed: surroundings.externally_managed,
    Reason.command_failed: surroundings.command_failed,
    Reason.unknown: surroundings.unknown,
}
