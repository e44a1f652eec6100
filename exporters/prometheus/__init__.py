"""Prometheus: a scrape endpoint of its own, or an app for one that is there already.

Metric names, labels and bounds are in `metrics`.
"""

from algoprof.exporters.prometheus.apps import asgi_app, wsgi_app
from algoprof.exporters.prometheus.exporter import PrometheusExporter

__all__ = ["PrometheusExporter", "asgi_app", "wsgi_app"]
