"""Which certificates are trusted: those that are given, else those that the environment names, else the usual ones."""

import os


def trusted(ca_cert: str | bool | None) -> str | bool:
    """Return a file or folder of certificates, True for the usual ones, False to trust whoever answers.

    It reads the environment as `requests` does, for connections that are to take nothing else from it.

    Args:
        ca_cert: what the client was given; None or True if nothing in particular.

    >>> trusted("platform.pem"), trusted(False)
    ('platform.pem', False)
    """
    if ca_cert is not None and ca_cert is not True:
        return ca_cert
    return os.environ.get("REQUESTS_CA_BUNDLE") or os.environ.get("CURL_CA_BUNDLE") or True
