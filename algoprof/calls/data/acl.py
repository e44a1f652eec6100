"""Who may read a collection: the official client's names, and what the platform calls them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from algoprof.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Readers:
    """Who may read.

    Args:
        pseudonym: the name, such as `my_algos`.
        acl_string: what the platform calls them; None for nobody else.
    """

    pseudonym: str
    acl_string: str | None


class AclType:
    """The kinds of readers that there are.

    >>> AclType.from_acl_response(["user://*"]).pseudonym
    'public'
    """

    public: Final = Readers("public", "user://*")
    """Everybody."""
    my_algos: Final = Readers("my_algos", "algo://.my/*")
    """Whoever calls the owner's algorithms, through them."""
    private: Final = Readers("private", None)
    """The owner alone."""
    default: Final = my_algos
    types: Final = (public, my_algos, private)

    @staticmethod
    def from_acl_response(acl_list: object) -> Readers:
        """Return the readers that the platform names.

        Raises:
            ValueError: if it names others.
        """
        names = list(acl_list) if isinstance(acl_list, (list, tuple)) else [acl_list]
        for kind in AclType.types:
            if names == ([] if kind.acl_string is None else [kind.acl_string]):
                return kind
        raise ValueError(f"the platform names readers that are not known here: {acl_list!r:.200}")


@dataclass(frozen=True, slots=True)
class Acl:
    """Who may do what with a collection: so far, who may read it.

    >>> ReadAcl.public.to_api_param()
    {'read': ['user://*']}
    """

    read_acl: Readers

    @staticmethod
    def from_acl_response(acl_response: Mapping[str, Any]) -> "Acl":
        """Return what the platform answers.

        Raises:
            ValueError: if it does not say who may read.
        """
        if not isinstance(acl_response, Mapping) or "read" not in acl_response:
            raise ValueError("the platform does not say who may read")
        return Acl(AclType.from_acl_response(acl_response["read"]))

    def to_api_param(self) -> dict[str, list[str]]:
        """Return what is sent to the platform."""
        return {"read": [] if self.read_acl.acl_string is None else [self.read_acl.acl_string]}


class ReadAcl:
    """Who may read, ready to be passed on."""

    public: Final = Acl(AclType.public)
    private: Final = Acl(AclType.private)
    my_algos: Final = Acl(AclType.my_algos)


def checked(acl: object) -> dict[str, list[str]]:
    """Return what is sent for an ACL, ours or the official client's.

    Raises:
        ConfigurationError: if it is none.
    """
    to_api_param = getattr(acl, "to_api_param", None)
    if to_api_param is None or isinstance(acl, type):
        raise ConfigurationError(
            f"an ACL is ReadAcl.public, ReadAcl.private or ReadAcl.my_algos, not {type(acl).__name__}"
        )
    sent: dict[str, list[str]] = to_api_param()
    return sent
