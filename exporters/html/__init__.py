"""A run as one page that needs nothing else: no server, no network, no other file."""

from algoprof.exporters.html.page import render

__all__ = ["render"]
