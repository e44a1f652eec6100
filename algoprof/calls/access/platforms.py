"""Which platform is called and on whose behalf: arguments, then the environment, then the server on this machine."""

import os
import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import urlsplit

from algoprof.calls.access import accounts
from algoprof.calls.access.accounts import Account
from algoprof.calls.access.keys import Secret
from algoprof.errors import ConfigurationError

PUBLIC_ADDRESS = "https://api.algorithmia.com"
"""Where the platform is unless told otherwise."""

_HIDDEN = "***"
_SHORTEST_IN_BODY = 8  # characters of a key
_LONGEST_KEY = 16_384  # bytes; a JWT of many claims fits
_FORM = "it looks like https://api.algorithmia.com or http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform and who asks it.

    Args:
        address: its URL, without `/v1` and without a slash at the end.
        origin: where that address comes from, for messages.
        authorization: the `Authorization` header; empty to send none. Never shown.
        ca_cert: a file of certificates to trust, where the account has one of its own.
    """

    address: str
    origin: str = ""
    authorization: str = field(default="", repr=False)
    ca_cert: str = ""

    @property
    def is_loopback(self) -> bool:
        """Whether the platform is on this very machine."""
        return _is_loopback(self.address)

    def redact(self, text: str) -> str:
        """Return a text without the key, should a server repeat it.

        >>> Platform("http://127.0.0.1:8080", authorization="Simple simSecret").redact("no key simSecret")
        'no key ***'
        """
        return text.replace(self._secret, _HIDDEN) if self._secret else text

    def redact_body(self, body: bytes) -> bytes:
        """Return a body without the key; as it is for a key so short that JSON may contain it by chance.

        >>> Platform("http://127.0.0.1:8080", authorization="Simple simSecret").redact_body(b'{"x": "simSecret"}')
        b'{"x": "***"}'
        """
        if len(self._secret) < _SHORTEST_IN_BODY:
            return body
        return body.replace(self._secret.encode(errors="replace"), _HIDDEN.encode())

    @property
    def _secret(self) -> str:
        return Secret(self.authorization.rpartition(" ")[2])


def locate(
    api_key: str | None = None,
    api_address: str | None = None,
    bearer_token: str | None = None,
    *,
    data: Path | None = None,
    account: str | None = None,
) -> Platform:
    """Return the platform that arguments, environment, the local server's files and the accounts name, in this order.

    A key wins over a token. The key of the server on this machine goes to this machine only, that of an account to the
    account's address only.

    Args:
        api_key: the API key; else `ALGORITHMIA_API_KEY`.
        api_address: the address; else `ALGORITHMIA_API`, else where `algoprof serve` served last, else that of the
            default account, else the public one.
        bearer_token: a JWT; else `ALGORITHMIA_BEARER_TOKEN`.
        data: the folder that `algoprof serve --data` was given. Said so, the address and the key it holds win over the
            environment's.
        account: a profile of the official client's configuration file. Said so, its address and its key win over the
            environment's.

    Raises:
        ConfigurationError: if an address or a key cannot be meant, the folder names no server, or there is no such
            account; the message never shows the key.
    """
    api_key, bearer_token = _hidden(api_key), _hidden(bearer_token)
    if account is not None:
        return _of_account(accounts.account(account), api_key, api_address, bearer_token)
    served = _kept(data, "address")
    if data is not None and not served and not api_address:
        raise ConfigurationError(
            f"{str(data)[:200]!r} does not say where a server serves: start one with `algoprof serve DIR --data` and it"
        )
    said = (
        (api_address, "as given"),
        (served if data is not None else "", f"where the server of {str(data)[:200]} served last"),
        (os.environ.get("ALGORITHMIA_API"), "from ALGORITHMIA_API"),
        (served, "where `algoprof serve` served last"),
    )
    address, origin = next((one for one in said if one[0]), None) or _address_of(accounts.account())
    address = _address(address or "", origin)
    local = _hidden(_kept(data, "key") if _is_loopback(address) or address == served else "")
    given = _hidden(api_key or (local if data is not None and not bearer_token else ""))
    key = _hidden(given or os.environ.get("ALGORITHMIA_API_KEY"))
    token = _hidden(bearer_token or os.environ.get("ALGORITHMIA_BEARER_TOKEN"))
    if key or token or local:
        return Platform(address, origin, _authorization(key or ("" if token else local), token))
    usual = accounts.account()
    if _address(*_address_of(usual)) != address:
        return Platform(address, origin)
    return Platform(address, origin, _authorization(usual.key, usual.token), usual.ca_cert)


def _of_account(account: Account, api_key: str | None, api_address: str | None, bearer_token: str | None) -> Platform:
    """Return the platform of an account that was named."""
    address, origin = _address_of(account)
    address = _address(address, origin)
    if api_address and _address(api_address, "as given") != address:
        raise ConfigurationError(
            f"the account {account.name!r} is for {address}, and its key goes nowhere else: name one of the two"
        )
    key, token = _hidden(api_key or account.key), _hidden(bearer_token or account.token)
    if not key and not token:
        again = f"`algo auth --profile {account.name}` writes one"
        raise ConfigurationError(f"the account {account.name!r} has neither a key nor a token: {again}")
    return Platform(
        address, origin, _authorization("" if bearer_token and not api_key else key, token), account.ca_cert
    )


def _address_of(account: Account) -> tuple[str, str]:
    """Return an account's address and where that comes from."""
    if account.address:
        return account.address, f"that of the account {account.name!r}"
    return PUBLIC_ADDRESS, "the public platform"


def data_directory() -> Path:
    """Return the folder where the server on this machine keeps its `key` and its `address`.

    Raises:
        ConfigurationError: if there is none, since this user has no home.
    """
    base = Path(os.environ.get("XDG_DATA_HOME") or "")
    try:
        return (base if base.is_absolute() else Path.home() / ".local" / "share") / "algoprof"
    except RuntimeError:
        raise ConfigurationError("this user has no home directory: set XDG_DATA_HOME, or say which folder") from None


def _kept(data: Path | None, name: str) -> str:
    """Read what the local server keeps; empty if it keeps nothing that can be read."""
    try:
        with ((data_directory() if data is None else data) / name).open(encoding="ascii") as file:
            return file.read(_LONGEST_KEY).strip()
    except (OSError, ValueError):  # ConfigurationError is a ValueError
        return ""


def _hidden(text: str | None) -> Secret:
    """Return a key so that no traceback shows it; what is no text is refused later, by name."""
    return Secret(text) if isinstance(text, str) else text or Secret()


def _authorization(key: str, token: str) -> Secret:
    what, text = ("API key", key) if key else ("bearer token", token)
    if not isinstance(text, str) or len(text) > _LONGEST_KEY or not re.fullmatch(r"[\x21-\x7e ]*", text):
        raise ConfigurationError(f"the {what} has characters in it that no key has, such as a line break: copy it anew")
    text = Secret(text.strip())
    if not text or text.startswith(("Simple ", "Bearer ")):
        return text
    return Secret(f"Simple {text}" if key else f"Bearer {text}")


def _address(text: str, origin: str) -> str:
    if not isinstance(text, str):
        raise ConfigurationError(f"an address is a text, not {type(text).__name__}: {_FORM}")
    try:
        parts = urlsplit(text.strip())
        host, _ = parts.hostname, parts.port  # the port is checked when it is asked for
    except ValueError:
        parts, host = urlsplit(""), None
    if "@" in parts.netloc:
        raise ConfigurationError(f"the address {origin} has a user or password in it: pass the key as api_key instead")
    clean = re.fullmatch(r"[\x21-\x7e]{1,2000}", text.strip())
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or not clean:
        raise ConfigurationError(f"the address {text[:200]!r} ({origin}) is not that of a platform: {_FORM}")
    path = parts.path.rstrip("/").removesuffix("/v1").rstrip("/")
    return f"{parts.scheme}://{parts.netloc.lower()}{path}"


def _is_loopback(address: str) -> bool:
    host = urlsplit(address).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
