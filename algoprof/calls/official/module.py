"""What `import algoprof as Algorithmia` finds beside our own names: the official client's module, as callers use it."""

import sys

from algoprof.calls.algorithms import Algorithm
from algoprof.calls.client import Client, client
from algoprof.calls.data.files import DataFile
from algoprof.calls.data.folders import DataDirectory
from algoprof.errors import NotOffered

apiKey: str | None = None  # noqa: N816  (the official name)
"""The key of the default client; `Algorithmia.apiKey = ...` sets it."""
apiAddress: str | None = None  # noqa: N816
"""The address of the default client; `Algorithmia.apiAddress = ...` sets it."""

_default: list[tuple[object, object, Client]] = []  # at most one, with the key and address it was made of


def algo(algoRef: str) -> Algorithm:  # noqa: N803
    """Return an algorithm to call, with the default client.

    Args:
        algoRef: `OWNER/NAME` or `OWNER/NAME/VERSION`.

    >>> import algoprof as Algorithmia
    >>> Algorithmia.algo("demo/Routes/1.0.0").reference
    Reference(owner='demo', name='Routes', version='1.0.0', query={}, address='')
    """
    return getDefaultClient().algo(algoRef)


def file(dataUrl: str) -> DataFile:  # noqa: N803
    """Return a file of the data API, with the default client.

    >>> import algoprof as Algorithmia
    >>> Algorithmia.file("data://.my/photos/cat.jpg").getName()
    'cat.jpg'
    """
    return getDefaultClient().file(dataUrl)


def dir(dataUrl: str) -> DataDirectory:  # noqa: A001, N803
    """Return a folder of the data API, with the default client."""
    return getDefaultClient().dir(dataUrl)


def getDefaultClient() -> Client:  # noqa: N802
    """Return the client of the module's own functions, made anew when `apiKey` or `apiAddress` has changed."""
    module = vars(sys.modules["algoprof"])
    key, address = module.get("apiKey"), module.get("apiAddress")
    if not _default or _default[0][:2] != (key, address):
        _default[:] = [(key, address, client(key, address))]
    return _default[0][2]


class ADK:
    """Refuses: it is what an algorithm is made with, not what calls one.

    >>> ADK(print)
    Traceback (most recent call last):
        ...
    algoprof.errors.NotOffered: algoprof does not offer ADK: write `from Algorithmia import ADK`
    """

    def __init__(self, *_: object, **__: object) -> None:
        raise NotOffered("ADK", "from Algorithmia import ADK")


handler = Handler = ADK
"""What algorithms were made with before."""
