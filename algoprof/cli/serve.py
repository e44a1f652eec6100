"""`algoprof serve`: host algorithms on this machine."""

import contextlib
import os
import shutil
from pathlib import Path

import click

from algoprof.calls.access.platforms import data_directory
from algoprof.cli.printing import examples
from algoprof.server import lifeline
from algoprof.server.data.routes import DEFAULT_LIMIT
from algoprof.server.serving import serve

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
    parent: int | None,
) -> int:
    """Host the algorithm of each DIR on this machine, under the platform's contract.

    Each is built first: what its requirements.txt names is installed into an environment of its own. Then the address
    is printed, and calls are answered until Ctrl-C. Owner and name come from the project's algorithmia.conf.

    The API key is that of ALGORITHMIA_API_KEY; else one is made, shown once, and kept for `algoprof call`.
    """
    if parent is not None:
        lifeline.hold(parent)
    data = (data or data_directory()).absolute()
    try:
        return serve(
            directories,
            host=host,
            port=port,
            data=data,
            replicas=replicas,
            file_limit=max_file * 1024**2,
            watched=watch,
        )
    finally:
        if parent not in (None, os.getppid()):
            shutil.rmtree(data, ignore_errors=True)
            with contextlib.suppress(OSError):  # the parent's temporary directory, unless it holds more
                data.parent.rmdir()
