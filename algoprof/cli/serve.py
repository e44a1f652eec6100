"""`algoprof serve`: host algorithms on this machine."""

from pathlib import Path

import click

from algoprof.calls.platforms import data_directory
from algoprof.server.serving import serve


@click.command()
@click.argument("directories", metavar="DIR...", nargs=-1, required=True)
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="The address to bind.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8080, show_default=True, help="The port; 0 takes a free one."
)
@click.option(
    "--data",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Where key, builds and logs are kept. [default: ~/.local/share/algoprof]",
)
def command(directories: tuple[str, ...], host: str, port: int, data: Path | None) -> None:
    """Host the algorithm of each DIR on this machine, under the platform's contract.

    Each is built first: what its requirements.txt names is installed into an environment of its own. Then the address
    is printed, and calls are answered until Ctrl-C. Owner and name come from the project's algorithmia.conf.

    The API key is that of ALGORITHMIA_API_KEY; else one is made, shown once, and kept for `algoprof call`.
    """
    serve(directories, host=host, port=port, data=(data or data_directory()).absolute())
