"""The addresses of a host, asked for in a thread that may be left alone: a resolver keeps no deadline."""

import socket
import threading
from ipaddress import ip_address

from urllib3.util.connection import allowed_gai_family


def addresses(host: str, port: int, seconds: float) -> list[str]:
    """Return the addresses of a host, without duplicates, in the resolver's order.

    Args:
        host: its name, or an address, which is returned as it is.
        port: what to connect to.
        seconds: how long to wait for the resolver.

    Raises:
        TimeoutError: if it does not answer in time.
        socket.gaierror: if it knows no such host.

    >>> addresses("127.0.0.1", 80, seconds=1)
    ['127.0.0.1']
    """
    if _is_address(host):
        return [host]
    found: list[str] = []
    failure: list[OSError] = []

    def look_up() -> None:
        try:
            answers = socket.getaddrinfo(host, port, allowed_gai_family(), socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(address[0]) for *_, address in answers))
        except OSError as error:
            failure.append(error)
        except UnicodeError:  # a label that is empty or too long
            failure.append(socket.gaierror(socket.EAI_NONAME, "no such name"))

    thread = threading.Thread(target=look_up, name="algoprof-resolver", daemon=True)
    try:
        thread.start()
    except RuntimeError:  # the process may start no more threads
        look_up()
    else:
        thread.join(min(seconds, threading.TIMEOUT_MAX))
    if failure:
        raise failure[0]
    if thread.is_alive():
        raise TimeoutError(f"the name {host[:100]!r} was not resolved in time")
    return found


def _is_address(host: str) -> bool:
    try:
        ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    return True
