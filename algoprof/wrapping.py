"""One wrapper per kind of callable: what it wraps is timed, and still looks like what it wraps.

A wrapper is a real function whose parameters are the original's, so that whoever counts arguments, as ADK does with
`inspect.getfullargspec`, sees what the author wrote. It is compiled from source for that, which also spares it the
packing of arguments.
"""

import sys
import types

from algoprof.likeness import like, within_partials

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, Protocol

    class Scope(Protocol):
        """What is opened and closed around each call; it holds no state of its own."""

        def enter(self) -> Any:
            """Open it, and return what was opened."""

        def leave(self, opened: Any, error: BaseException | None) -> None:
            """Close what `enter` opened; with None and an error, what it had opened when that cut it short."""

        def time_steps(self, opened: Any, *, generator: bool) -> None:
            """Expect it to be suspended and resumed."""

        def suspend(self, opened: Any) -> None:
            """Its caller runs now."""

        def resume(self, opened: Any) -> None:
            """It runs again."""


_VARARGS, _VARKEYWORDS = 0x04, 0x08  # flags of a code object
_GENERATOR, _COROUTINE, _ITERABLE_COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x100, 0x200
_FILE = "<algoprof>"  # where tracebacks say that a wrapper stands

# In these sources {p} is a prefix that no parameter of the wrapped function begins with.
_FUNCTION = """\
def {p}wrapper({parameters}):
    {p}opened = None
    try:
        {p}opened = {p}scope.enter()
        {p}result = {p}function({arguments})
    except {p}BaseException as {p}error:
        {p}scope.leave({p}opened, {p}error)
        raise
    {p}scope.leave({p}opened, None)
    return {p}result
"""

_COROUTINE_FUNCTION = """\
async def {p}wrapper({parameters}):
    return await {p}awaits({p}scope, {p}function({arguments}))
"""

_AWAITABLE_FUNCTION = """\
def {p}wrapper({parameters}):
    return (yield from {p}steps({p}scope, {p}function({arguments})))
"""

# Whatever is thrown in goes to the body, a GeneratorExit too: what it answers is its own affair. What is caught is
# forgotten in the end, for an exception that is referred to by a frame of its own traceback lives until the next
# garbage collection, and so does whatever its frames hold.
_GENERATOR_FUNCTION = """\
def {p}wrapper({parameters}):
    {p}body = {p}function({arguments})
    {p}opened = {p}scope.enter()
    {p}scope.time_steps({p}opened, generator=True)
    {p}failure = None
    {p}step, {p}sent = {p}body.send, None
    try:
        while True:
            try:
                {p}item = {p}step({p}sent)
            except {p}StopIteration as {p}stop:
                return {p}stop.value
            {p}scope.suspend({p}opened)
            try:
                {p}sent, {p}step = (yield {p}item), {p}body.send
            except {p}BaseException as {p}thrown:
                {p}sent, {p}step = {p}thrown, {p}body.throw
            finally:
                {p}scope.resume({p}opened)
    except {p}BaseException as {p}error:
        {p}failure = {p}error
        raise
    finally:
        {p}scope.suspend({p}opened)
        {p}scope.leave({p}opened, {p}failure)
        {p}failure = {p}sent = None
"""

_ASYNC_GENERATOR_FUNCTION = """\
async def {p}wrapper({parameters}):
    {p}body = {p}function({arguments})
    {p}opened = {p}scope.enter()
    {p}scope.time_steps({p}opened, generator=True)
    {p}failure = None
    {p}step, {p}sent = {p}body.asend, None
    try:
        while True:
            try:
                {p}item = await {p}step({p}sent)
            except {p}StopAsyncIteration:
                return
            {p}scope.suspend({p}opened)
            try:
                {p}sent, {p}step = (yield {p}item), {p}body.asend
            except {p}BaseException as {p}thrown:
                {p}sent, {p}step = {p}thrown, {p}body.athrow
            finally:
                {p}scope.resume({p}opened)
    except {p}BaseException as {p}error:
        {p}failure = {p}error
        raise
    finally:
        {p}scope.suspend({p}opened)
        {p}scope.leave({p}opened, {p}failure)
        {p}failure = {p}sent = None
"""


def wrap(target: "Any", scope_of: "Callable[[str, str, int], Scope]", *, whole_class: bool = True) -> "Any":
    """Return a timed stand-in for a callable, of the same kind.

    Args:
        target: a function, method, coroutine function, generator function, async generator function, static or class
            method, class, or any other callable.
        scope_of: makes the scope for a name, a module and a line.
        whole_class: whether a class may be given; its own public functions are then timed, and it stays that class.

    Raises:
        TypeError: if the target is none of those; the sentence says what to write instead.
    """
    if isinstance(target, (staticmethod, classmethod)):
        return type(target)(wrap(target.__func__, scope_of, whole_class=False))
    if isinstance(target, type):
        if not whole_class:
            raise TypeError(
                f"the class {target.__qualname__} is more than one function: decorate its methods, or the class with a"
                " bare @section, which times each of its public functions as Class.method"
            )
        return _wrap_methods(target, scope_of)
    if isinstance(target, types.FunctionType):
        made = _context_manager_maker(target)
        if made is not None:  # from enter to exit: its call does nothing yet
            return made(wrap(target.__wrapped__, scope_of))  # type: ignore[attr-defined]
        return _wrap_function(target, scope_of(target.__qualname__, target.__module__, target.__code__.co_firstlineno))
    if callable(target):
        return _wrap_object(target, scope_of)
    if hasattr(target, "__get__"):  # property, cached_property, partialmethod, singledispatchmethod
        raise TypeError(
            f"a {type(target).__name__} is no function: put this decorator below it, directly above the function"
        )
    raise TypeError(f"a name or a function is wanted, not {target!r:.80}")


def _context_manager_maker(function: "Any") -> "Callable[..., Any] | None":
    """Return the decorator of contextlib's that made a function; None if none did.

    All that one of them makes have the same code.
    """
    contextlib = sys.modules.get("contextlib")  # else nobody can have used it
    if contextlib is None or function.__globals__ is not vars(contextlib):
        return None
    makers = (contextlib.contextmanager, contextlib.asynccontextmanager)
    return next((made for made in makers if made(_steps).__code__ is function.__code__), None)


def _wrap_methods(owner: type, scope_of: "Callable[[str, str, int], Scope]") -> type:
    for name, member in list(vars(owner).items()):
        function = member.__func__ if isinstance(member, (staticmethod, classmethod)) else member
        is_method = isinstance(function, types.FunctionType) and (name == "__call__" or not name.startswith("_"))
        if is_method and not _is_timed(function):
            setattr(owner, name, wrap(member, scope_of, whole_class=False))
    return owner


def _is_timed(function: "Any") -> bool:
    """Whether a function, or one that it wraps, is decorated already: once is enough."""
    while isinstance(function, types.FunctionType) and function.__code__.co_filename != _FILE:
        function = getattr(function, "__wrapped__", None)
    return function is not None and isinstance(function, types.FunctionType)


def _wrap_object(target: "Callable[..., Any]", scope_of: "Callable[[str, str, int], Scope]") -> "Any":
    """Wrap what is called but is no function: a partial, a bound method, a cache, a built-in, an object."""
    named = within_partials(target)
    name = getattr(named, "__qualname__", None) or type(named).__qualname__
    code = getattr(named, "__code__", None) or getattr(type(named).__call__, "__code__", None)
    line = getattr(code, "co_firstlineno", 0)
    scope = scope_of(name, getattr(named, "__module__", None) or "", line if isinstance(line, int) else 0)

    def timed(same: "Callable[..., Any]") -> "Any":
        wrapper = _compiled("*args, **kwargs", "*args, **kwargs", code, same, scope)
        wrapper.__name__, wrapper.__qualname__ = name.rpartition(".")[2], name
        from algoprof.standins import stand_in  # noqa: PLC0415  (few decorate what is no function)

        return stand_in(same, wrapper, timed)

    return timed(target)


def _wrap_function(function: types.FunctionType, scope: "Scope") -> types.FunctionType:
    code = function.__code__
    names = code.co_varnames
    plain, keyword_only = code.co_argcount, code.co_kwonlyargcount
    parameters, arguments = list(names[:plain]), list(names[:plain])
    if code.co_posonlyargcount:
        parameters.insert(code.co_posonlyargcount, "/")
    rest = plain + keyword_only
    if code.co_flags & _VARARGS:
        parameters.append(f"*{names[rest]}")
        arguments.append(f"*{names[rest]}")
        rest += 1
    elif keyword_only:
        parameters.append("*")
    for name in names[plain : plain + keyword_only]:
        parameters.append(name)
        arguments.append(f"{name}={name}")
    if code.co_flags & _VARKEYWORDS:
        parameters.append(f"**{names[rest]}")
        arguments.append(f"**{names[rest]}")
    wrapper = _compiled(", ".join(parameters), ", ".join(arguments), code, function, scope)
    like(function, wrapper)
    wrapper.__defaults__ = function.__defaults__
    wrapper.__kwdefaults__ = function.__kwdefaults__
    return wrapper


def _compiled(
    parameters: str, arguments: str, code: "Any", function: "Callable[..., Any]", scope: "Scope"
) -> types.FunctionType:
    flags = getattr(code, "co_flags", 0)
    prefix = "_algoprof_"
    while f" {prefix}" in f" {parameters.replace('*', '')}":
        prefix += "_"
    source = _template(flags).format(p=prefix, parameters=parameters, arguments=arguments)
    if source not in _codes:
        _codes[source] = compile(source, _FILE, "exec")
    namespace = {prefix + name: value for name, value in _NAMES.items()}
    namespace |= {f"{prefix}scope": scope, f"{prefix}function": function}
    namespace["__name__"] = getattr(function, "__module__", None) or __name__  # as warnings show it
    exec(_codes[source], namespace)  # noqa: S102  (only identifiers of a code object go in)
    wrapper: Any = namespace[f"{prefix}wrapper"]
    if type(code) is types.CodeType:  # as tracebacks and profilers show it
        wrapper.__code__ = wrapper.__code__.replace(co_name=code.co_name, co_qualname=code.co_qualname)
    return types.coroutine(wrapper) if flags & _ITERABLE_COROUTINE else wrapper  # type: ignore[no-any-return]


def _template(flags: int) -> str:
    if flags & _ASYNC_GENERATOR:
        return _ASYNC_GENERATOR_FUNCTION
    if flags & _COROUTINE:
        return _COROUTINE_FUNCTION
    if flags & _ITERABLE_COROUTINE:
        return _AWAITABLE_FUNCTION
    return _GENERATOR_FUNCTION if flags & _GENERATOR else _FUNCTION


def _steps(scope: "Scope", body: "Any") -> "Generator[Any, Any, Any]":
    """Drive a coroutine as `yield from` does, and stop its clock while it waits."""
    opened = scope.enter()
    scope.time_steps(opened, generator=False)
    failure: BaseException | None = None
    step, sent = body.send, None
    try:
        while True:
            try:
                item = step(sent)
            except StopIteration as stop:
                return stop.value
            scope.suspend(opened)
            try:
                sent, step = (yield item), body.send
            except GeneratorExit:
                raise
            except BaseException as thrown:  # noqa: BLE001  (it is the body's to handle)
                sent, step = thrown, body.throw
            finally:
                scope.resume(opened)
    except GeneratorExit:
        raise
    except BaseException as error:
        failure = error
        raise
    finally:
        try:
            body.close()
        finally:
            scope.suspend(opened)
            scope.leave(opened, failure)
            failure = sent = None


_awaits = types.coroutine(_steps)
_NAMES = {
    "steps": _steps,
    "awaits": _awaits,
    "BaseException": BaseException,
    "StopIteration": StopIteration,
    "StopAsyncIteration": StopAsyncIteration,
}
_codes: "dict[str, types.CodeType]" = {}  # functions of the same parameters share the code of their wrapper
