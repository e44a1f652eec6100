"""Where the time of an algorithm goes, told before its timeout and after its kill.

The public names, and nothing else. Whatever a decorated function needs is imported here; the rest loads on first use,
so that `import algoprof` costs a cold start next to nothing.
"""

from algoprof._version import __version__
from algoprof.budgets import Budget, budget
from algoprof.errors import AlgoprofError, BudgetExceeded
from algoprof.recorder import process as _process
from algoprof.recorder import snapshot
from algoprof.run_delivery import load_exporters as _load_exporters
from algoprof.runs import Run, profile
from algoprof.sections import DISABLED as _DISABLED
from algoprof.sections import section

TYPE_CHECKING = False
if TYPE_CHECKING:
    from algoprof.calls.async_client import AsyncClient
    from algoprof.calls.attempts import AlgoResponse
    from algoprof.calls.client import client
    from algoprof.calls.data.acl import Acl, AclType, ReadAcl
    from algoprof.calls.data.conversions import register_converter
    from algoprof.calls.official.instrumented import instrument
    from algoprof.calls.official.module import ADK as ADK
    from algoprof.calls.official.module import algo as algo
    from algoprof.calls.official.module import apiAddress as apiAddress
    from algoprof.calls.official.module import apiKey as apiKey
    from algoprof.calls.official.module import dir as dir  # noqa: A004
    from algoprof.calls.official.module import file as file
    from algoprof.calls.options import OutputType
    from algoprof.calls.recording import capture_calls
    from algoprof.delivery import flush
    from algoprof.profiles.tree import Node, Profile
    from algoprof.propagation import propagate
    from algoprof.settings import configure

__all__ = [
    "Acl",
    "AclType",
    "AlgoResponse",
    "AlgoprofError",
    "AsyncClient",
    "Budget",
    "BudgetExceeded",
    "Node",
    "OutputType",
    "Profile",
    "ReadAcl",
    "Run",
    "__version__",
    "budget",
    "capture_calls",
    "client",
    "configure",
    "flush",
    "instrument",
    "profile",
    "propagate",
    "register_converter",
    "section",
    "snapshot",
]

_LAZY = {
    "Acl": "algoprof.calls.data.acl",
    "AclType": "algoprof.calls.data.acl",
    "AlgoResponse": "algoprof.calls.attempts",
    "AsyncClient": "algoprof.calls.async_client",
    "Node": "algoprof.profiles.tree",
    "OutputType": "algoprof.calls.options",
    "Profile": "algoprof.profiles.tree",
    "ReadAcl": "algoprof.calls.data.acl",
    "capture_calls": "algoprof.calls.recording",
    "client": "algoprof.calls.client",
    "configure": "algoprof.settings",
    "flush": "algoprof.delivery",
    "instrument": "algoprof.calls.official.instrumented",
    "propagate": "algoprof.propagation",
    "register_converter": "algoprof.calls.data.conversions",
}

_OFFICIAL = ("ADK", "Handler", "algo", "apiAddress", "apiKey", "dir", "file", "getDefaultClient", "handler")
"""For `import algoprof as Algorithmia`; a star import does not have them, for one is a built-in's name."""

if not TYPE_CHECKING:  # a type checker sees the imports above, and a name that is not there

    def __getattr__(name: str) -> object:
        where = "algoprof.calls.official.module" if name in _OFFICIAL else _LAZY.get(name)
        if where is None:
            raise AttributeError(f"module 'algoprof' has no attribute {name!r}")
        from importlib import import_module  # noqa: PLC0415  (only needed here)

        with _process.importing():  # a forked child could not finish it
            value = globals()[name] = getattr(import_module(where), name)
        return value


def __dir__() -> list[str]:
    return __all__


_load_exporters()
if not _DISABLED:
    _process.sample_if_worker()
