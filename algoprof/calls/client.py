"""The way in: `client(...)` and the `Client` that knows a platform."""

import math
import sys
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn, Self, cast

from algoprof.calls.access.platforms import Platform, locate
from algoprof.calls.algorithms import Algorithm
from algoprof.calls.data.failures import nameless
from algoprof.calls.data.files import DataFile
from algoprof.calls.data.folders import DataDirectory
from algoprof.calls.data.local import SCHEME, LocalDataDirectory, LocalDataFile
from algoprof.calls.data.objects import Data
from algoprof.calls.data.uris import parse as parse_uri
from algoprof.calls.management.insights import check, deadline, report
from algoprof.calls.official.methods import NOT_OFFERED, refusing
from algoprof.calls.references import Reference, parse
from algoprof.calls.retries import Retries, checked
from algoprof.calls.wire.transport import Transport
from algoprof.errors import ConfigurationError


def client(
    api_key: str | None = None,
    api_address: str | None = None,
    ca_cert: str | bool | None = None,
    bearer_token: str | None = None,
    *,
    grace: float = 10.0,
    retries: int = 0,
    data: str | PathLike[str] | None = None,
    account: str | None = None,
) -> "Client":
    """Return a client for a platform.

    Args:
        api_key: the API key; else `ALGORITHMIA_API_KEY`, else the key of the server on this machine, for this machine,
            else that of the default account, for its address.
        api_address: the platform's address; else `algoprof.apiAddress`, else `ALGORITHMIA_API`, else where
            `algoprof serve` served last, else that of the default account, else the public platform.
        ca_cert: file or folder of certificates to trust, for a platform with a certificate of its own. False trusts
            whoever answers, which gives the key to whoever stands in between.
        bearer_token: a JWT, used where there is no key; else `ALGORITHMIA_BEARER_TOKEN`.
        grace: seconds that an answer may take beyond a call's timeout.
        retries: how often a call is tried again, within its timeout, where the algorithm has certainly not run: nobody
            listened, HTTP 429, or 503 with a `Retry-After`. Each attempt is a `Call`.
        data: the folder that `algoprof serve --data` was given: its server is called, with its key.
        account: a profile of the official client's configuration file, `~/.algorithmia/config`: its address is called,
            with its key.

    Raises:
        ConfigurationError: if one of them cannot be meant; the message never shows a key.

    >>> client("simSecret", "http://127.0.0.1:8080").algo("demo/Routes").set_options(timeout=60)
    <Algorithm demo/Routes at http://127.0.0.1:8080>
    """
    platform, ca_cert = located(api_key, api_address, ca_cert, bearer_token, grace, data=data, account=account)
    return Client(platform, Transport(platform, ca_cert), grace=float(grace), retries=checked(retries))


def located(
    api_key: str | None,
    api_address: str | None,
    ca_cert: str | bool | None,
    bearer_token: str | None,
    grace: float,
    *,
    data: str | PathLike[str] | None,
    account: str | None,
) -> tuple[Platform, str | bool | None]:
    """Return the platform that a client's arguments name, and the certificates to trust.

    Raises:
        ConfigurationError: if one of them cannot be meant.
    """
    if not api_address and data is None and account is None:
        api_address = vars(sys.modules["algoprof"]).get("apiAddress")  # as the official client has it
    folder = None if data is None else Path(data)
    platform = locate(api_key, api_address, bearer_token, data=folder, account=account)
    ca_cert = platform.ca_cert or None if ca_cert is None else ca_cert
    if not isinstance(ca_cert, str | bool | None) or (isinstance(ca_cert, str) and not Path(ca_cert).exists()):
        raise ConfigurationError(f"ca_cert is {str(ca_cert)[:200]!r}, but there is no such file or folder")
    if isinstance(grace, bool) or not isinstance(grace, (int, float)) or not 0 <= grace < math.inf:
        raise ConfigurationError(f"grace is a number of seconds from 0 on, not {grace!r:.80}")
    return platform, ca_cert


def at(reference: str, address: str) -> Reference:
    """Return the algorithm that a text names on the platform of an address.

    Raises:
        ConfigurationError: if it names no algorithm, or one on another platform.
    """
    named = parse(reference)
    if named.address and named.address.lower() != address.lower():
        raise ConfigurationError(
            f"{reference[:200]!r} is not at {address}: pass its address to the client as api_address"
        )
    return named


class Client:
    """A client for one platform; made by `client`. It may be used from many threads, and as a context manager.

    Args:
        platform: the platform.
        transport: what carries the calls.
        grace: seconds that an answer may take beyond a call's timeout.
        retries: how often a call is tried again where that is safe.
    """

    def __init__(
        self,
        platform: Platform,
        transport: Transport,
        *,
        grace: float,
        retries: Retries = Retries(),  # noqa: B008  (never changed)
    ) -> None:
        self._platform = platform
        self._transport = transport
        self._grace = grace
        self._retries = retries
        self._data = Data(platform, transport)

    def __repr__(self) -> str:
        return f"<Client of {self.address}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def address(self) -> str:
        """The platform's address."""
        return self._platform.address

    def algo(self, reference: str) -> Algorithm:
        """Return an algorithm to call.

        Args:
            reference: `OWNER/NAME` or `OWNER/NAME/VERSION`, also with `algo://` before it, as a full URL on this
                platform, or with options behind it, such as `?timeout=9`.

        Raises:
            ConfigurationError: if it names no algorithm, or one on another platform.
        """
        return Algorithm(
            at(reference, self.address), self._platform, self._transport, grace=self._grace, retries=self._retries
        )

    def get_algorithm_errors(self, algorithm_id: str) -> Any:
        """Return the error log of an algorithm as the platform tells it, as the official client does.

        `algo(...).errors()` gives the same rows as `ErrorRecord`.

        Args:
            algorithm_id: its id, as `algo(...).get_algorithm_id()` gives it, or `OWNER/NAME`.

        Raises:
            ManagementError: if the platform does not tell.
        """
        return self.algo(algorithm_id).get_errors()

    def report_insights(self, insights: Mapping[str, str | float]) -> None:
        """Report metrics of the execution that this process is in: for an algorithm, before it returns.

        They go to `v1/insights` of the client's address; where that is the public platform to `http://localhost:9000`,
        as the platform has it for its algorithms. It takes 10 s at most, and no more than the run around it has left.

        Args:
            insights: texts, numbers and booleans by name; the platform takes 25 of an execution.

        Raises:
            ConfigurationError: if a name or a value is none of those.
            ManagementError: if they are refused, or nobody takes them.
        """
        request = report(self._platform, insights)
        check(self._platform, self._transport.send(request, deadline()))

    def username(self) -> str:
        """Return the name of the account that the key belongs to.

        Raises:
            DataApiError: if the platform does not tell.
        """
        first = next(self.dir("data://").list(), None)
        if first is None:
            raise nameless(self._platform)
        return first.path

    def file(self, dataUrl: str, cleanup: bool = True) -> DataFile:  # noqa: ARG002, N803  (the official signature)
        """Return a file of the data API; whether it is there is not asked.

        Args:
            dataUrl: `data://OWNER/COLLECTION/FILE`, where `.my` is the caller; that of another connector, such as
                `s3://...`; or `file://...`, one of this machine: a `LocalDataFile`, with the methods that make sense.
            cleanup: what the official client knows; what is fetched to be read is always removed here.

        Raises:
            ConfigurationError: if it names none.

        >>> client("simKey", "http://127.0.0.1:8080").file("data://.my/photos/cat.jpg")
        <DataFile data://.my/photos/cat.jpg>
        """
        if isinstance(dataUrl, str) and dataUrl.startswith(SCHEME):
            return cast("DataFile", LocalDataFile(self, dataUrl))
        uri = parse_uri(dataUrl)
        if not uri.names:
            raise ConfigurationError(f"{dataUrl!r} is no file: it looks like data://.my/COLLECTION/FILE")
        return DataFile(self._data, uri)

    def dir(self, dataUrl: str) -> DataDirectory:  # noqa: N803  (the official name)
        """Return a folder of the data API; whether it is there is not asked.

        Args:
            dataUrl: `data://OWNER/COLLECTION`, that of another connector, or `file://...`, one of this machine: a
                `LocalDataDirectory`, which lists names.

        Raises:
            ConfigurationError: if it names none.
        """
        if isinstance(dataUrl, str) and dataUrl.startswith(SCHEME):
            return cast("DataDirectory", LocalDataDirectory(self, dataUrl))
        return DataDirectory(self._data, parse_uri(dataUrl))

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name in NOT_OFFERED:
            return refusing(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def close(self) -> None:
        """Close the connections; a later call opens new ones."""
        self._transport.close()
