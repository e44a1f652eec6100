"""Which platform a command asks, and on whose behalf: the same options for every command, and one place for the key."""

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from pathlib import Path
from typing import Any

import click

from algoprof.calls.access.keys import Secret
from algoprof.calls.access.platforms import locate
from algoprof.calls.client import Client, client
from algoprof.errors import ConfigurationError

_KEY_IS_SEEN = (
    "algoprof: warning: --api-key can be read in the list of processes and in the shell's history:"
    " set ALGORITHMIA_API_KEY, or keep it with `algo auth` and name it by --account"
)


@dataclass(frozen=True, slots=True)
class Where:
    """What the options say.

    Args:
        address: the platform's address; None if none is given.
        data: the data directory of a server on this machine; None if none is given.
        account: a profile of the official client's configuration file; None if none is given.
        key: the API key; empty if none is given.
    """

    address: str | None = None
    data: Path | None = None
    account: str | None = None
    key: Secret = field(default=Secret(), repr=False)

    def client(self, address: str = "") -> Client:
        """Return a client. Where no key is known and somebody is there to ask, it is asked for, unseen.

        Args:
            address: the platform that the algorithm's own name says; empty if it does not.

        Raises:
            ConfigurationError: if the options, the environment or a file cannot be meant.
        """
        if self.data is not None and self.account is not None:
            raise ConfigurationError("--data-dir and --account name two platforms: say one of them")
        address = self.address or address
        platform = locate(self.key, address, data=self.data, account=self.account)
        key = self.key
        if not platform.authorization and all(one is not None and one.isatty() for one in (sys.stdin, sys.stderr)):
            asked = f"API key for {platform.address} (Enter for none)"
            key = Secret(click.prompt(asked, default="", show_default=False, hide_input=True, err=True))
        return client(key, address, data=self.data, account=self.account)


def platform_options(*names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return what gives a command the options, and their values as one argument, `where`.

    Args:
        names: further names of `--data-dir`.
    """
    options = (
        click.option(
            "--address",
            metavar="URL",
            help="The platform's address; else ALGORITHMIA_API, else the server on this machine.",
        ),
        click.option(
            "--data-dir",
            *names,
            "data_dir",
            metavar="DIR",
            type=click.Path(file_okay=False, path_type=Path),
            help="The server that `algoprof serve --data DIR` started, with the key it keeps there.",
        ),
        click.option(
            "--account",
            metavar="NAME",
            help="A profile of the official client's ~/.algorithmia/config: its platform, with its key.",
        ),
        click.option("--api-key", metavar="KEY", help="The key. Others can read it there: prefer ALGORITHMIA_API_KEY."),
    )

    def with_options(command: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(command)
        def run(
            *, address: str | None, data_dir: Path | None, account: str | None, api_key: str | None, **others: Any
        ) -> Any:
            if api_key:
                click.echo(_KEY_IS_SEEN, err=True)
            return command(where=Where(address, data_dir, account, Secret(api_key or "")), **others)

        for option in reversed(options):
            run = option(run)
        return run

    return with_options
