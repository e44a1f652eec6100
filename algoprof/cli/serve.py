"""`algoprof serve`: host algorithms on this machine."""

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import click

from algoprof.calls.access.platforms import data_directory
from algoprof.cli.printing import examples
from algoprof.errors import ConfigurationError
from algoprof.server import lifeline
from algoprof.server.data.routes import DEFAULT_LIMIT
from algoprof.server.limits import Limits
from algoprof.server.serving import serve

if TYPE_CHECKING:
    from algoprof.server.access.tokens import Issuer

_EXAMPLES = examples("algoprof serve ./routes", "algoprof serve ./routes ./hello --port 0 --replicas 2 --data ./data")


@click.command(epilog=_EXAMPLES)
@click.argument("directories", metavar="DIR...", nargs=-1, required=True)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to bind.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The port; 0 takes a free one."
)
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where key, builds, logs and files are kept. [default: ~/.local/share/algoprof]",
)
@click.option(
    "--replicas", type=click.IntRange(1, 64), default=1, show_default=True, help="Calls of one version run at once."
)
@click.option(
    "--max-file",
    metavar="MIB",
    type=click.IntRange(1),
    default=DEFAULT_LIMIT // 1024**2,
    show_default=True,
    help="The most that a file of the data API may have.",
)
@click.option("--watch", is_flag=True, help="Build a folder anew when a file in it changes, and serve the new version.")
@click.option(
    "--keep",
    metavar="BUILDS",
    type=click.IntRange(1),
    default=20,
    show_default=True,
    help="The newest builds of an algorithm whose files are kept, besides versions published on request.",
)
@click.option(
    "--idle",
    metavar="SECONDS",
    type=click.FloatRange(0, 1e6),
    default=600,
    show_default=True,
    help="A worker that has nothing to do for so long is ended.",
)
@click.option(
    "--sessions",
    type=click.IntRange(1, 10_000),
    default=80,
    show_default=True,
    help="Calls that may wait or run at once, with what they call themselves; more are answered 429.",
)
@click.option("--jobs", type=click.IntRange(1, 10_000), help="Calls of all versions run at once; more wait. [no limit]")
@click.option(
    "--failures-by-status",
    is_flag=True,
    help="Answer an algorithm's error with HTTP 400 and a timeout with 504, for clients that look at no more. [200]",
)
@click.option(
    "--jwt-key",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    envvar="ALGOPROF_JWT_KEY",
    help="Take tokens besides keys: the RSA public key of their issuer (PEM); RS256 only.",
)
@click.option("--jwt-issuer", metavar="TEXT", envvar="ALGOPROF_JWT_ISSUER", help="What `iss` of a token has to be.")
@click.option("--jwt-audience", metavar="TEXT", envvar="ALGOPROF_JWT_AUDIENCE", help="What `aud` of a token has to be.")
@click.option("--parent", type=int, hidden=True, help="End with that parent process, and leave no data then.")
def command(
    *,
    directories: tuple[str, ...],
    host: str,
    port: int,
    data: Path | None,
    replicas: int,
    max_file: int,
    watch: bool,
    keep: int,
    idle: float,
    sessions: int,
    jobs: int | None,
    failures_by_status: bool,
    jwt_key: Path | None,
    jwt_issuer: str | None,
    jwt_audience: str | None,
    parent: int | None,
) -> int:
    """Host the algorithm of each DIR on this machine, under the platform's contract.

    Each is built first: what its requirements.txt names is installed into an environment of its own. Then the address
    is printed, and calls are answered until Ctrl-C. Owner and name come from the project's algorithmia.conf.

    The API key is that of ALGORITHMIA_API_KEY; else one is made, shown once, and kept for `algoprof call`. For others
    `algoprof keys create` makes keys, limited to what they need.
    """
    issuer = _issuer(jwt_key, jwt_issuer, jwt_audience)
    if parent is not None:
        lifeline.hold(parent)
    data = (data or data_directory()).absolute()
    try:
        limits = Limits(replicas=replicas, sessions=sessions, jobs=jobs, idle=idle, builds=keep)
        return serve(
            directories,
            host=host,
            port=port,
            data=data,
            limits=limits,
            file_limit=max_file * 1024**2,
            watched=watch,
            issuer=issuer,
            failures_by_status=failures_by_status,
        )
    finally:
        if parent not in (None, os.getppid()):
            shutil.rmtree(data, ignore_errors=True)
            with contextlib.suppress(OSError):  # the parent's temporary directory, unless it holds more
                data.parent.rmdir()


def _issuer(key: Path | None, name: str | None, audience: str | None) -> "Issuer | None":
    """Return whose tokens are taken, if that is said.

    Raises:
        ConfigurationError: if it is said by halves, or tokens cannot be checked here.
    """
    if not key and not name and not audience:
        return None
    if not key or not name or not audience:
        raise ConfigurationError("--jwt-key, --jwt-issuer and --jwt-audience belong together: give all three or none")
    try:
        from algoprof.server.access.tokens import Issuer  # noqa: PLC0415  (an extra, which a server without tokens need not have)
    except ModuleNotFoundError as missing:
        needed = f"--jwt-key needs the package {missing.name}: pip install 'algoprof[jwt]'"
        raise ConfigurationError(needed) from None
    return Issuer.read(key, name, audience)
