"""What files and folders have in common, under the official client's names."""

from enum import Enum
from typing import TYPE_CHECKING, Generic, TypeVar

from algoprof.calls.access.platforms import Platform
from algoprof.calls.data.operations import Operations
from algoprof.calls.data.plans import run, run_async
from algoprof.calls.data.uris import DataUri
from algoprof.calls.wire.plans import Carrier, Plan

if TYPE_CHECKING:
    from algoprof.calls.wire.async_transport import AsyncTransport

T = TypeVar("T")
Reached = TypeVar("Reached", "Data", "AsyncData")


class DataObjectType(Enum):
    """What something on the platform is."""

    file = 1
    directory = 2


class Data:
    """The data API of one platform, as a client reaches it.

    Args:
        platform: the platform.
        transport: what carries the requests.
    """

    def __init__(self, platform: Platform, transport: Carrier) -> None:
        self.operations = Operations(platform)
        self._transport = transport

    def run(self, plan: Plan[T], timeout: float | None = None) -> T:
        """Carry out an operation."""
        return run(plan, self._transport, timeout)


class AsyncData:
    """The data API of one platform, as a client for asyncio reaches it.

    Args:
        platform: the platform.
        transport: what carries the requests.
    """

    def __init__(self, platform: Platform, transport: "AsyncTransport") -> None:
        self.operations = Operations(platform)
        self._transport = transport

    async def run(self, plan: Plan[T], timeout: float | None = None) -> T:  # noqa: ASYNC109  (as the other has it)
        """Carry out an operation."""
        return await run_async(plan, self._transport, timeout)


class DataObject(Generic[Reached]):
    """A file or a folder on the platform, whether it is there or not.

    Args:
        data: the platform's data API.
        uri: which one it is.
    """

    data_object_type: DataObjectType

    def __init__(self, data: Reached, uri: DataUri) -> None:
        self._data: Reached = data
        self._uri = uri

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._uri}>"

    def __str__(self) -> str:
        return self.uri

    @property
    def uri(self) -> str:
        """What names it, such as `data://.my/photos/cat.jpg`: what an algorithm is told."""
        return str(self._uri)

    @property
    def path(self) -> str:
        """What names it, without `data://`."""
        return self._uri.path

    def getName(self) -> str:  # noqa: N802  (the official name)
        """Return the last part of its path."""
        return self._uri.name

    def is_file(self) -> bool:
        """Return whether this stands for a file."""
        return self.data_object_type is DataObjectType.file

    def is_dir(self) -> bool:
        """Return whether this stands for a folder."""
        return self.data_object_type is DataObjectType.directory

    def get_type(self) -> DataObjectType:
        """Return what this stands for."""
        return self.data_object_type
