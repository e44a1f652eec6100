"""The environment variables that pip runs with."""

import os
from pathlib import Path

_SECRETS = ("ALGORITHMIA_API_KEY", "ALGORITHMIA_BEARER_TOKEN")
_PATHS = ("PYTHONPATH", "PYTHONHOME")  # packages there would be taken for installed


def variables(temporary: Path) -> dict[str, str]:
    """Return this process's variables without keys, and without what leads to packages outside of the environment.

    Args:
        temporary: the folder for temporary files.
    """
    kept = {name: value for name, value in os.environ.items() if name not in (*_SECRETS, *_PATHS)}
    return kept | {"PYTHONUNBUFFERED": "1", "TMPDIR": str(temporary)}
