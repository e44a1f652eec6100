"""The exporters named as the formats are: each writes a file for every run that ends."""

import os
import re
import tempfile
from collections import deque
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from algoprof.errors import ConfigurationError
from algoprof.exporters.formats.catalogue import Format, format_named
from algoprof.exporters.protocol import Context, ExporterFactory
from algoprof.profiles.batch import Batch
from algoprof.profiles.tree import Profile

KEPT = 100
"""So many files of one format a process keeps, the newest: a server that runs for months must not fill the disk."""

_LONGEST_NAME = 60
_UNFIT = re.compile(r"[^A-Za-z0-9._-]+")


class FileExporter:
    """Writes `RUN-TIME-ID.ENDING` into a folder for every run that ends, mode 0600, in one step.

    A run that gets near its timeout is written then, with what is open marked, and again when it ends: if the timeout
    kills it, the file tells what it was at.

    Args:
        form: the format.
        context: its setting `profile_dir` names the folder, which is made.

    Raises:
        ConfigurationError: if the folder cannot be made.

    >>> from algoprof.settings import Settings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     exporter = FileExporter(format_named("csv"), Context(Settings(profile_dir=folder)))
    ...     exporter.export(Batch((Profile("job", (), run_id="ab" * 16, started_ns=10**18),)))
    ...     os.listdir(folder)
    ['job-20010909T014640-abababab.csv']
    """

    def __init__(self, form: Format, context: Context) -> None:
        self._form = form
        self._folder = Path(context.settings.profile_dir).absolute()  # the program may go elsewhere later
        self._written: deque[Path] = deque()
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                f"exporter {form.name!r} cannot write to {self._folder} ({error.strerror or error}):"
                " set ALGOPROF_PROFILE_DIR or configure(profile_dir=...)"
            ) from error

    def export(self, batch: Batch) -> None:
        """Write the files of a batch's runs.

        Raises:
            OSError: if some could not be written; the others are.
        """
        failed: OSError | None = None
        for profile in batch.profiles:
            try:
                self._write(profile)
            except OSError as error:
                failed = error
        if failed is not None:
            raise failed

    def shutdown(self, deadline: float) -> None:
        """Do nothing: nothing is held."""

    def _write(self, profile: Profile) -> None:
        content = self._form.render(profile)
        path = self._folder / file_name(profile, self._form)
        handle, temporary = tempfile.mkstemp(dir=self._folder, prefix=".writing-")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content if isinstance(content, bytes) else content.encode("utf-8", "backslashreplace"))
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise
        if path not in self._written:
            self._written.append(path)
        while len(self._written) > KEPT:
            self._written.popleft().unlink(missing_ok=True)


def file_name(profile: Profile, form: Format) -> str:
    """Return what the file of a run is called: the same while it is open and when it has ended.

    >>> file_name(Profile("plan routes/2", (), run_id="ab" * 16), format_named("chrome"))
    'plan_routes_2-19700101T000000-abababab.trace.json'
    """
    name = _UNFIT.sub("_", profile.name)[:_LONGEST_NAME].lstrip(".-") or "run"
    began = datetime.fromtimestamp(profile.started_ns // 10**9, UTC).strftime("%Y%m%dT%H%M%S")
    return f"{name}-{began}-{_UNFIT.sub('', profile.run_id[:8]) or profile.pid}{form.endings[0]}"


chrome: ExporterFactory = partial(FileExporter, format_named("chrome"))
collapsed: ExporterFactory = partial(FileExporter, format_named("collapsed"))
csv: ExporterFactory = partial(FileExporter, format_named("csv"))
html: ExporterFactory = partial(FileExporter, format_named("html"))
json: ExporterFactory = partial(FileExporter, format_named("json"))
markdown: ExporterFactory = partial(FileExporter, format_named("markdown"))
perfetto: ExporterFactory = partial(FileExporter, format_named("perfetto"))
pprof: ExporterFactory = partial(FileExporter, format_named("pprof"))
speedscope: ExporterFactory = partial(FileExporter, format_named("speedscope"))
