"""The official client's configuration file: its profiles, here called accounts, each with an address and a key."""

import os
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from algoprof.calls.access.keys import Secret
from algoprof.errors import ConfigurationError

VARIABLE = "ALGOPROF_ACCOUNTS"
"""The environment variable that names the file, where it is not the one of `algo auth`."""
DEFAULT = "default"
"""The account that counts where none is named."""

_LARGEST = 1024 * 1024  # bytes


@dataclass(frozen=True, slots=True)
class Account:
    """One profile of the file. What is left out there is empty here.

    Args:
        name: its name.
        address: the platform's address, as it is written.
        key: the API key. Never shown.
        token: the bearer token, used where there is no key. Never shown.
        ca_cert: a file of certificates to trust.
    """

    name: str
    address: str = ""
    key: Secret = field(default=Secret(), repr=False)
    token: Secret = field(default=Secret(), repr=False)
    ca_cert: str = ""


def account(name: str | None = None) -> Account:
    """Return an account of the file; an empty one if none is named, and the file or its default account is missing.

    Args:
        name: the account; None for the default one.

    Raises:
        ConfigurationError: if the file cannot be read, or there is no account of that name.
    """
    path = _path()
    profiles = {} if path is None else _profiles(path)
    found = profiles.get(DEFAULT if name is None else name)
    if isinstance(found, dict):
        return Account(
            DEFAULT if name is None else name,
            str(_text(found, "api_server")),
            _text(found, "api_key"),
            _text(found, "bearer_token"),
            str(_text(found, "ca_cert")),
        )
    if name is None:
        return Account(DEFAULT)
    known = ", ".join(sorted(profiles)[:20])
    there = f"there is {known}" if known else f"{path or 'its file'} has none"
    raise ConfigurationError(f"no account {name[:60]!r} is configured: {there}; `algo auth --profile NAME` makes one")


def _path() -> Path | None:
    """Return where the file is, whether or not it exists; None for a user without a home."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if os.name == "nt":
        local = os.environ.get("LOCALAPPDATA")
        return Path(local) / "Algorithmia" / "config" if local else None
    try:
        return Path.home() / ".algorithmia" / "config"
    except RuntimeError:
        return None


def _profiles(path: Path) -> dict[str, Any]:
    """Return the profiles of a file. Its text stays out of every message, for it holds keys."""
    try:
        with path.open("rb") as file:
            content = Secret(file.read(_LARGEST).decode())
        profiles = tomllib.loads(content).get("profiles")
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read ({error.strerror}): correct that, or set {VARIABLE}") from None
    except (ValueError, RecursionError):  # what is wrong there may be told by quoting it
        raise ConfigurationError(
            f"{path} is not the TOML that `algo auth` writes: correct it, or move it away"
        ) from None
    return profiles if isinstance(profiles, dict) else {}


def _text(profile: dict[str, Any], name: str) -> Secret:
    value = profile.get(name)
    return Secret(value.strip() if isinstance(value, str) else "")
