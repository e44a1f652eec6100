"""The methods of the official client that are ours by name only, or need one request."""

from collections.abc import Callable
from typing import Any, NoReturn

from algoprof.calls.management.reaching import AsyncManagement, Management
from algoprof.calls.references import Reference
from algoprof.errors import NotOffered

_MANAGEMENT = frozenset(("create", "get_secrets", "set_secret", "update"))
NOT_OFFERED = frozenset(
    (
        "convert_type_id", "create_org", "create_user", "edit_org", "freeze", "get_environment", "get_org",
        "get_org_types", "get_organization_errors", "get_secret_providers", "get_supported_languages", "get_template",
        "get_user_errors", "invite_to_org", "scms",
    )
)  # fmt: skip
"""Methods of the official client that ours has not: for administrators and tools."""


def refusing(call: str) -> Callable[..., NoReturn]:
    """Return what stands for a method that is not offered: called, it says what to write instead.

    >>> try:
    ...     refusing("scms")()
    ... except NotOffered as refusal:
    ...     print(refusal)
    algoprof does not offer scms: write `import Algorithmia; Algorithmia.client(...).scms(...)`
    """

    def refuse(*_: object, **__: object) -> NoReturn:
        raise NotOffered(call.rpartition(".")[2], f"import Algorithmia; Algorithmia.client(...).{call}(...)")

    return refuse


class OfficialNames:
    """What the official client's algorithm is called by, and what is not offered of it."""

    reference: Reference

    @property
    def username(self) -> str:
        """The owner's name."""
        return self.reference.owner

    @property
    def algoname(self) -> str:
        """The algorithm's name."""
        return self.reference.name

    def __getattr__(self, name: str) -> Callable[..., NoReturn]:
        if name in _MANAGEMENT:
            return refusing(f"algo({self.reference.algorithm!r}).{name}")
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class OfficialMethods(OfficialNames):
    """Methods of the official client's algorithm, beside calling it, its builds and its versions."""

    _management: Management

    def exists(self) -> bool:
        """Return whether the platform has the algorithm.

        Raises:
            ManagementError: if it does not say, for example since the key may not ask.
        """
        return self._management.run(self._management.operations.exists())

    def get_algorithm_id(self) -> str:
        """Return the platform's id of the algorithm.

        Raises:
            ManagementError: if the platform does not tell it.
        """
        return self._management.run(self._management.operations.algorithm_id())

    def get_scm_status(self) -> Any:
        """Return how the platform's connection to the algorithm's repository is, as the platform tells it.

        Raises:
            ManagementError: if it does not.
        """
        return self._management.run(self._management.operations.scm_status())


class AsyncOfficialMethods(OfficialNames):
    """The same for asyncio: `OfficialMethods`, awaited."""

    _management: AsyncManagement

    async def exists(self) -> bool:
        """Return whether the platform has the algorithm, as `OfficialMethods.exists` does."""
        return await self._management.run(self._management.operations.exists())

    async def get_algorithm_id(self) -> str:
        """Return the platform's id of the algorithm, as `OfficialMethods.get_algorithm_id` does."""
        return await self._management.run(self._management.operations.algorithm_id())

    async def get_scm_status(self) -> Any:
        """Return how the connection to the repository is, as `OfficialMethods.get_scm_status` does."""
        return await self._management.run(self._management.operations.scm_status())
