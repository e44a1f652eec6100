"""What is known of a run as a whole, for the formats that have a place for it."""

from algoprof._version import __version__
from algoprof.profiles.tree import Attribute, Profile

EXPORTER = f"algoprof {__version__}"
"""How a file names who wrote it."""


def title(profile: Profile) -> str:
    """Return one line that names a run and says how it ended.

    >>> title(Profile("job", (), outcome="killed", duration_ns=41 * 10**9, timeout=40.0))
    'job: killed after 41.000 s of 40 s'
    """
    budget = f" of {profile.timeout:g} s" if profile.timeout else ""
    if profile.outcome == "merged":
        return f"{profile.name}: {profile.runs} runs, {profile.duration:.3f} s"
    return f"{profile.name}: {profile.outcome} after {profile.duration:.3f} s{budget}"


def facts(profile: Profile) -> dict[str, Attribute]:
    """Return what is known, by names that OpenTelemetry's spans have too.

    >>> facts(Profile("job", (), run_id="ab" * 16))["algoprof.run_id"]
    'abababababababababababababababab'
    """
    known: dict[str, Attribute | None] = {
        "algoprof.run": profile.name,
        "algoprof.outcome": profile.outcome,
        "algoprof.run_id": profile.run_id,
        "algoprof.parent_run_id": profile.parent_run_id,
        "algoprof.request_id": profile.request_id,
        "algoprof.duration": profile.duration,
        "algoprof.runs": profile.runs,
        "algoprof.failed_runs": profile.failed_runs or None,
        "algoprof.budget.timeout": profile.timeout,
        "algoprof.budget.used_ratio": profile.budget_used_ratio,
        "algoprof.budget.source": profile.budget_source,
        "algoprof.folded": profile.folded or None,
        "algoprof.dropped": profile.dropped or None,
        "algoprof.inexact": profile.inexact or None,
        "process.pid": profile.pid or None,
        "process.program": profile.program,
        **{f"algoprof.environment.{name}": value for name, value in profile.environment.as_attributes().items()},
    }
    return {name: value for name, value in known.items() if value not in (None, "")}
