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
import time
import traceback
from collections.abc import Callable, Coroutine, Iterator
from types import ModuleType
from typing import Any, NoReturn, TextIO

READY = "PIPE_INIT_COMPLETE"
_WAY_OUT = (
    "return plain lists, dicts, strings, numbers, True, False and None, or bytes as the whole result; "
    "or write it to a file, put that with client.file('data://.algo/OWNER/ALGORITHM/temp/NAME').putFile(PATH) "
    "and return its URI"
)
_STILL_TO_RUN = {
    "coroutine": ", and nobody awaits it: return asyncio.run(...) of it",
    "generator": ": return list(...) of it",
    "async_generator": ", and nobody iterates over it: collect its items within asyncio.run(...)",
}
_hidden = [__file__, "<frozen importlib", importlib.__file__]  # files whose frames are not the author's
_started: list[object] = []  # the ADK objects that have begun to serve
_roots: list[str] = []  # the algorithm's folder, below which stack traces name its files
_libc = ctypes.CDLL(None)
_noted: list[str] = []  # the file for the times of this start
_PID = os.getpid()  # another one is that of a process that the algorithm has forked


def main() -> None:
    """Import the algorithm and serve requests until stdin ends."""
    _noted.append(os.environ.pop("ALGOPROF_STARTS", os.devnull))
    _note()
    kind, name = sys.argv[1:3]
    root = os.getcwd()  # noqa: PTH109  (pathlib would be one more import)
    _roots.append(root + os.sep)
    sys.argv = [os.path.join(root, *name.split(".")) + ".py"]  # noqa: PTH118
    sys.path.insert(0, root)
    sys.path.append(os.path.join(root, "src"))  # noqa: PTH118
    fifo = os.environ["ALGOPROF_REPLY_FIFO"]
    requests = _private_stdin()

    def fail(error: BaseException) -> None:
        _answer_load_failure(error, requests, fifo)

    try:
        if kind == "adk":
            patch_adk(fifo, fail)
            sys.stdin = requests  # ADK reads its requests there
        module = _contained(importlib.import_module, fail)(name)  # most ADK projects serve within
        apply = None if _served_by_adk(module) else _apply_of(module)
    except Exception as error:  # noqa: BLE001  (whoever asks gets it)
        if _started:  # not a failed import: ADK gave up
            _leave(error)
        fail(error)
    else:
        if apply is not None:
            _serve(apply, requests, fifo)


def answer(apply: Any, request: dict[str, Any]) -> str:
    """Call the algorithm with one request and return the reply as JSON."""
    try:
        data = request["data"]
        if request["content_type"] == "binary":
            data = base64.b64decode(data)
        return encode(apply(data))
    except Exception as error:  # noqa: BLE001  (the caller gets it)
        return failure(error, "AlgorithmError")


def last_answer(end: BaseException) -> str:
    """Return the reply to a request that ends the process, by `sys.exit()` for instance, as the platform words it."""
    return json.dumps({"error": _error(end, f"exited with code {_code(end)}", "SystemExit")})


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
    return json.dumps({"error": _error(error, _text_of(error), kind if isinstance(kind, str) else default_type)})


def _error(error: BaseException, message: str, kind: str) -> dict[str, str]:
    return {"message": message, "stacktrace": "".join(authors_traceback(error)), "error_type": kind}


def authors_traceback(error: BaseException | None) -> list[str]:
    """Return the traceback without the frames of this file, ADK and the import system at its head.

    The author's files are named as in the project: `src/NAME.py`, not the copy that runs.
    """
    if error is None:
        return []
    files = [frame.f_code.co_filename for frame, _ in traceback.walk_tb(error.__traceback__)]
    entry = error.__traceback__
    while entry is not None and entry.tb_frame.f_code.co_filename.startswith(tuple(_hidden)):
        entry = entry.tb_next
    if entry is None and not isinstance(error, SyntaxError) and files[-1:] != [__file__]:
        entry = error.__traceback__  # it is ADK's own
    lines = traceback.format_exception(type(error), error, entry)
    for root in _roots:
        lines = [line.replace(f'File "{root}', 'File "') for line in lines]
    return lines


def patch_adk(fifo: str, fail: Callable[[BaseException], None]) -> None:
    """Make the installed ADK write to this worker's pipe and let its author's errors through.

    Its pipe is a constant, so two workers would share one; on Python 3.10 and later any error in `apply` or `load`
    ends its process, as it calls `traceback.format_exception` the old way; it goes on in forked children, and not at
    `sys.exit()`. Without ADK nothing is done: the algorithm's own import then says what is missing.
    """
    with contextlib.suppress(ImportError):
        importlib.import_module("Algorithmia")  # in this order: ADK imported first would import itself half-made
    try:
        importlib.import_module("adk.ADK")
    except ImportError:
        return
    adk = sys.modules["adk.ADK"]

    def create_exception(exception: Exception, loading_exception: bool = False) -> str:
        return failure(exception, "LoadingError" if loading_exception else "AlgorithmError")

    vars(adk)["create_exception"] = create_exception
    vars(adk)["format_response"] = encode
    maker: Any = vars(adk)["ADK"]
    maker.FIFO_PATH = property(lambda _self: fifo, lambda _self, _path: None)
    original = maker.init

    @functools.wraps(original)
    def init(self: Any, *args: object, **options: object) -> None:
        if os.getpid() != _PID:
            os._exit(0)  # forked while the module was imported
        _started.append(self)
        _note()
        self.apply_func = _contained(self.apply_func, lambda end: _reply(fifo, last_answer(end)))
        if self.load_func is not None:
            self.load_func = _contained(self.load_func, fail)
        original(self, *args, **options)

    maker.init = init
    _hidden.append(os.path.dirname(str(adk.__file__)) + os.sep)  # noqa: PTH120


def _contained(function: Any, answer_end: Callable[[BaseException], None]) -> Any:
    """Wrap what runs the author's code, so that only this process comes back from it, and only by result or error.

    A forked child ends there: it would answer later requests. What is no `Exception`, such as `sys.exit()`, is answered
    and then ends this process at once: the interpreter would first wait for the author's threads.
    """

    @functools.wraps(function)
    def call(*arguments: object) -> Any:
        try:
            result = function(*arguments)
        except BaseException as error:
            if os.getpid() != _PID:
                _leave(error)
            if isinstance(error, Exception):
                raise
            answer_end(error)
            _leave(error)
        if os.getpid() != _PID:
            _leave(SystemExit())
        _flush()  # before the reply: ADK does that after it
        return result

    return call


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
    apply = _contained(apply, lambda end: _reply(fifo, last_answer(end)))
    for request in _requests(requests):
        _reply(fifo, answer(apply, request))


def _note() -> None:
    """Tell the server that it is so far: that this file runs, and then that the algorithm is imported."""
    with contextlib.suppress(OSError), open(_noted[0], "ab") as file:  # noqa: PTH123  (pathlib would be one more import)
        file.write(b"%d\n" % time.monotonic_ns())


def _requests(stream: TextIO) -> Iterator[dict[str, Any]]:
    _note()
    print(READY, flush=True)  # noqa: T201  (the protocol's word)
    for line in stream:
        yield json.loads(line)


def _answer_load_failure(error: BaseException, requests: TextIO, fifo: str) -> None:
    """Tell whoever asks why there is no algorithm; the server then replaces this worker."""
    for _ in _requests(requests):
        _reply(fifo, failure(error, "LoadingError") if isinstance(error, Exception) else last_answer(error))


def _reply(fifo: str, reply: str) -> None:
    _flush()
    with open(fifo, "w", encoding="utf-8") as pipe:  # noqa: PTH123  (blocks until the server reads)
        pipe.write(reply + "\n")


def _leave(end: BaseException) -> NoReturn:
    """End the process at once, and say why as the interpreter would."""
    with contextlib.suppress(Exception):
        if not isinstance(end, SystemExit):
            sys.stderr.write("".join(authors_traceback(end)))
        elif isinstance(end.code, str):
            sys.stderr.write(end.code + "\n")
    _flush()
    os._exit(_code(end))


def _code(end: BaseException) -> int:
    """Return the exit status of a process that ends by an exception."""
    if isinstance(end, SystemExit) and (end.code is None or isinstance(end.code, int)):
        return (end.code or 0) & 0xFF
    return 128 + signal.SIGINT if isinstance(end, KeyboardInterrupt) else 1


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # whatever the author has put there
            stream.flush()
    with contextlib.suppress(Exception):  # no such symbol: it is not the C library of Linux
        _libc.fflush(ctypes.c_void_p.in_dll(_libc, "stdout"))


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
        if isinstance(value, Coroutine):
            value.close()  # else it would warn that nobody has awaited it
        kind = type(value).__name__
        yield f"{path}: {kind} is not JSON-serializable{_STILL_TO_RUN.get(kind, '')}"


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
