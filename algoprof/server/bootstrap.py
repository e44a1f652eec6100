"""What a worker runs: imports one algorithm and answers its requests over the platform's pipe protocol.

One file, standard library only: it runs with the Python of the algorithm's own environment, where algoprof need not be
installed. Arguments: the kind (`adk` or `apply`) and the module; the working directory is the algorithm's root, and
`ALGOPROF_REPLY_FIFO` names the pipe for replies. Requests are JSON lines on stdin, each reply one JSON value.
"""

import base64
import contextlib
import ctypes
import functools
import importlib
import json
import math
import os
import signal
import sys
import traceback
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any, TextIO

READY = "PIPE_INIT_COMPLETE"
_WAY_OUT = (
    "return plain lists, dicts, strings, numbers, True, False and None, or bytes as the whole result; "
    "or write it to a file, put that with client.file('data://.algo/temp/NAME').putFile(PATH) and return its URI"
)
_hidden = [__file__, "<frozen importlib", importlib.__file__]  # files whose frames are not the author's
_started: list[object] = []  # the ADK objects that have begun to serve


def main() -> None:
    """Import the algorithm and serve requests until stdin ends."""
    _die_with_the_server()
    kind, name = sys.argv[1:3]
    root = os.getcwd()  # noqa: PTH109  (pathlib would be one more import)
    sys.argv = [os.path.join(root, *name.split(".")) + ".py"]  # noqa: PTH118
    sys.path.insert(0, root)
    sys.path.append(os.path.join(root, "src"))  # noqa: PTH118
    fifo = os.environ["ALGOPROF_REPLY_FIFO"]
    requests = _private_stdin()
    try:
        if kind == "adk":
            patch_adk(fifo)
            sys.stdin = requests  # ADK reads its requests there
        module = importlib.import_module(name)  # most ADK projects serve within, and return at the end of stdin
        if not _served_by_adk(module):
            _serve(_apply_of(module), requests, fifo)
    except Exception as error:
        if _started:
            raise  # not a failed import: ADK gave up, and that ends the process
        _answer_load_failure(error, requests, fifo)


def answer(apply: Any, request: dict[str, Any]) -> str:
    """Call the algorithm with one request and return the reply as JSON."""
    try:
        data = request["data"]
        if request["content_type"] == "binary":
            data = base64.b64decode(data)
        return encode(apply(data))
    except Exception as error:  # noqa: BLE001  (the caller gets it)
        return failure(error, "AlgorithmError")


def encode(result: object) -> str:
    """Return a successful reply as JSON.

    Raises:
        TypeError: if the result cannot be JSON; the message gives the path of the first element at fault.
    """
    content_type = "json"
    if isinstance(result, (bytes, bytearray)):
        content_type, result = "binary", base64.b64encode(result).decode("ascii")
    elif isinstance(result, str):
        content_type = "text"
    reply = {"result": result, "metadata": {"content_type": content_type}}
    try:
        text = json.dumps(reply, allow_nan=False, ensure_ascii=False)  # half the size of \\u escapes, or less
        return text if _is_utf8(text) else json.dumps(reply)
    except (TypeError, ValueError, RecursionError) as error:
        reason = _first_fault(result) or f"the result cannot be written as JSON ({error})"
    raise TypeError(f"{reason}; {_WAY_OUT}")


def _is_utf8(text: str) -> bool:
    """Whether a text can be sent as it is: one with lone surrogates cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def failure(error: BaseException, default_type: str) -> str:
    """Return an error reply as JSON, with the author's part of the traceback."""
    kind = getattr(error, "error_type", None)
    return json.dumps(
        {
            "error": {
                "message": _text_of(error),
                "stacktrace": "".join(authors_traceback(error)),
                "error_type": kind if isinstance(kind, str) else default_type,
            }
        }
    )


def authors_traceback(error: BaseException | None) -> list[str]:
    """Return the traceback without the frames of this file, ADK and the import system at its head."""
    if error is None:
        return []
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    entry = error.__traceback__
    while entry is not None and entry.tb_frame.f_code.co_filename.startswith(tuple(_hidden)):
        entry = entry.tb_next
    if entry is None and not isinstance(error, SyntaxError) and files[-1:] != [__file__]:
        entry = error.__traceback__  # it is ADK's own
    return traceback.format_exception(type(error), error, entry)


def patch_adk(fifo: str) -> None:
    """Make the installed ADK write to this worker's pipe and let its author's errors through.

    Its pipe is a constant, so two workers would share one; and on Python 3.10 and later any error in `apply` or `load`
    ends its process, as it calls `traceback.format_exception` the old way. Without ADK nothing is done: the algorithm's
    own import then says what is missing.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("Algorithmia")  # in this order: ADK imported first would import itself half-made
    try:
        importlib.import_module("adk.ADK")
    except ImportError:
        return
    adk, adk_io = sys.modules["adk.ADK"], sys.modules["adk.io"]

    def format_exception(*, value: BaseException | None = None, **_options: object) -> list[str]:
        return authors_traceback(value)

    vars(adk_io)["traceback"] = SimpleNamespace(format_exception=format_exception)
    vars(adk)["format_response"] = encode
    maker: Any = vars(adk)["ADK"]
    maker.FIFO_PATH = property(lambda _self: fifo, lambda _self, _path: None)
    original = maker.init

    @functools.wraps(original)
    def init(self: object, *args: object, **options: object) -> None:
        _started.append(self)
        original(self, *args, **options)

    maker.init = init
    _hidden.append(os.path.dirname(str(adk.__file__)) + os.sep)  # noqa: PTH120


def _die_with_the_server() -> None:
    """Ask Linux to kill this process when the server dies, however it dies."""
    parent = int(os.environ.pop("ALGOPROF_SERVER_PID"))
    try:
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    except (AttributeError, OSError):
        return
    if os.getppid() != parent:
        os._exit(1)


def _private_stdin() -> TextIO:
    """Take the requests' pipe away from descriptor 0, where the algorithm's own children would find it."""
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    return requests


def _served_by_adk(module: ModuleType) -> bool:
    """Whether an ADK has served; one that the module starts only when run as a script is started here."""
    if not _started and "adk.ADK" in sys.modules:
        maker: Any = vars(sys.modules["adk.ADK"])["ADK"]
        for value in list(vars(module).values()):
            if isinstance(value, maker):
                value.init()
                break
    return bool(_started)


def _apply_of(module: ModuleType) -> Any:
    apply = getattr(module, "apply", None)
    if not callable(apply):
        raise AttributeError(f"{module.__file__} has no function 'apply'; define 'def apply(input): ...' in it")  # noqa: TRY004
    return apply


def _serve(apply: Any, requests: TextIO, fifo: str) -> None:
    for request in _requests(requests):
        _reply(fifo, answer(apply, request))


def _requests(stream: TextIO) -> Iterator[dict[str, Any]]:
    print(READY, flush=True)  # noqa: T201  (the protocol's word)
    for line in stream:
        yield json.loads(line)


def _answer_load_failure(error: Exception, requests: TextIO, fifo: str) -> None:
    """Tell whoever asks why there is no algorithm; the server then replaces this worker."""
    for _ in _requests(requests):
        _reply(fifo, failure(error, "LoadingError"))


def _reply(fifo: str, reply: str) -> None:
    sys.stdout.flush()
    sys.stderr.flush()
    with open(fifo, "w", encoding="utf-8") as pipe:  # noqa: PTH123  (blocks until the server reads)
        pipe.write(reply + "\n")


def _text_of(error: BaseException) -> str:
    try:
        return str(error) or type(error).__name__
    except Exception:  # noqa: BLE001  (a broken __str__ must not hide the error)
        return type(error).__name__


def _first_fault(result: object) -> str:
    try:
        return next(_faults(result, "result", ()), "")
    except RecursionError:
        return "the result is nested too deeply for JSON"


def _faults(value: object, path: str, around: tuple[int, ...]) -> Iterator[str]:
    """Yield what cannot be JSON, with its path."""
    if isinstance(value, (dict, list, tuple)):
        if id(value) in around:
            yield f"{path} contains itself"
        else:
            yield from _faults_within(value, path, (*around, id(value)))
    elif isinstance(value, float):
        if not math.isfinite(value):
            yield f"{path}: {value} is not JSON"
    elif value is not None and not isinstance(value, (str, int)):
        yield f"{path}: {type(value).__name__} is not JSON-serializable"


def _faults_within(
    value: dict[Any, Any] | list[Any] | tuple[Any, ...], path: str, around: tuple[int, ...]
) -> Iterator[str]:
    if not isinstance(value, dict):
        for position, item in enumerate(value):
            yield from _faults(item, f"{path}[{position}]", around)
        return
    for key, item in value.items():
        if key is None or isinstance(key, (str, int, float)):
            yield from _faults(item, f"{path}[{json.dumps(key)}]", around)
        else:
            yield f"{path} has a key of type {type(key).__name__} ({key!r:.60}), and JSON keys are strings"


if __name__ == "__main__":
    main()
