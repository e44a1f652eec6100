"""The exporter named `otlp`, and the one below it that takes any span exporter of the SDK."""

import logging
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from threading import local

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from algoprof.errors import AlgoprofError, ConfigurationError
from algoprof.exporters.otlp.calls import call_spans
from algoprof.exporters.otlp.runs import run_spans
from algoprof.exporters.otlp.spans import resource_of
from algoprof.exporters.protocol import Context
from algoprof.profiles.batch import Batch

_SPANS_AT_ONCE = 512


class SpanExporting:
    """Hands runs, sections and calls to one of the SDK's span exporters.

    Args:
        span_exporter: any.

    >>> from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
    >>> from algoprof.profiles.tree import Profile
    >>> memory = InMemorySpanExporter()
    >>> SpanExporting(memory).export(Batch((Profile("job", (), run_id="ab" * 16),)))
    >>> [span.name for span in memory.get_finished_spans()]
    ['job']
    """

    sends_spans = True

    def __init__(self, span_exporter: SpanExporter) -> None:
        self._span_exporter = span_exporter
        self._found = Resource.create()  # now: it uses threads, and at the program's end there are no new ones
        self._resources: dict[str, Resource] = {}

    def export(self, batch: Batch) -> None:
        """Send the spans of a batch.

        Raises:
            AlgoprofError: if some could not be sent.
        """
        sent = failed = 0
        spans = self._spans(batch)
        while part := list(islice(spans, _SPANS_AT_ONCE)):
            sent += len(part)
            if self._span_exporter.export(part) is not SpanExportResult.SUCCESS:
                failed += len(part)
        if failed:
            raise AlgoprofError(f"{failed} of {sent} spans were not taken by {self.describe()}")

    def shutdown(self, deadline: float) -> None:  # noqa: ARG002  (the SDK's exporters take no deadline)
        """Shut the span exporter down."""
        self._span_exporter.shutdown()

    def describe(self) -> str:
        """Return where the spans go, for messages."""
        return type(self._span_exporter).__name__

    def _spans(self, batch: Batch) -> Iterator[ReadableSpan]:
        for profile in batch.profiles:
            yield from run_spans(profile, self._resource(profile.program))
        for call in batch.calls:
            yield from call_spans(call, self._resource(Path(sys.argv[0]).name))

    def _resource(self, program: str) -> Resource:
        if program not in self._resources:
            self._resources = {program: resource_of(program, self._found)}  # one program is what there nearly always is
        return self._resources[program]


class OtlpExporter(SpanExporting):
    """Posts spans to the OTLP/HTTP endpoint that `OTEL_EXPORTER_OTLP_ENDPOINT` or `configure(otlp_endpoint=)` names.

    OpenTelemetry's other variables, such as `OTEL_EXPORTER_OTLP_HEADERS` and `OTEL_SERVICE_NAME`, hold as well.

    Args:
        context: its settings name the endpoint.

    Raises:
        ConfigurationError: if no endpoint is configured, or the extra `otlp` is not installed.
    """

    def __init__(self, context: Context) -> None:
        endpoint = context.settings.otlp_endpoint
        if not endpoint:
            raise ConfigurationError(
                "exporter 'otlp' has nowhere to send to: set OTEL_EXPORTER_OTLP_ENDPOINT or"
                " configure(otlp_endpoint=...), such as http://127.0.0.1:4318"
            )
        try:
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415  (an extra)
                OTLPSpanExporter,
            )
        except ImportError as error:
            raise ConfigurationError("exporter 'otlp' needs more: pip install 'algoprof[otlp]'") from error
        logging.getLogger(OTLPSpanExporter.__module__).addFilter(_once)
        self._endpoint = endpoint
        super().__init__(OTLPSpanExporter(endpoint=endpoint))

    def export(self, batch: Batch) -> None:
        """Send the spans of a batch.

        Raises:
            AlgoprofError: if some could not be sent.
        """
        _once.exporting.now = True
        try:
            super().export(batch)
        finally:
            _once.exporting.now = False

    def describe(self) -> str:
        """Return where the spans go, for messages; what may be secret in its URL is left out."""
        scheme, _, rest = self._endpoint.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2].partition('?')[0]}"


class _Once(logging.Filter):
    """Lets the first complaint about our exports through: a collector that is down would fill the log otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.exporting = local()
        self._heard = False

    def filter(self, record: logging.LogRecord) -> bool:  # noqa: ARG002  (all are the same to it)
        if not getattr(self.exporting, "now", False):
            return True
        first, self._heard = not self._heard, True
        return first


_once = _Once()
