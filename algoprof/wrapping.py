"""One wrapper per kind of callable: what it wraps is timed, and still looks like what it wraps.

A wrapper is a real function whose parameters are the original's, so that whoever counts arguments, as ADK does with
`inspect.getfullargspec`, sees what the author wrote. It is compiled from source for that, which also spares it the
packing of arguments.
"""

import functools
import types

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from typing import Any, Protocol

    class Scope(Protocol):
        """What is opened and closed around each call; it holds no state of its own."""

        def enter(self) -> Any:
            """Open it, and return what was opened."""

        def leave(self, opened: Any, error: BaseException | None) -> None:
            """Close what `enter` opened."""

        def time_steps(self, opened: Any, *, generator: bool) -> None:
            """Expect it to be suspended and resumed."""

        def suspend(self, opened: Any) -> None:
            """Its caller runs now."""

        def resume(self, opened: Any) -> None:
            """It runs again."""


_VARARGS, _VARKEYWORDS = 0x04, 0x08  # flags of a code object
_GENERATOR, _COROUTINE, _ASYNC_GENERATOR = 0x20, 0x80, 0x200

# In these sources {p} is a prefix that no parameter of the wrapped function begins with.
_FUNCTION = """\
def {p}wrapper({parameters}):
    {p}opened = {p}scope.enter()
    try:
        {p}result = {p}function({arguments})
    except {p}BaseException as {p}error:
        {p}scope.leave({p}opened, {p}error)
        raise
    {p}scope.leave({p}opened, None)
    return {p}result
"""

_GENERATOR_FUNCTION = """\
def {p}wrapper({parameters}):
    return (yield from {p}steps({p}scope, {p}function({arguments})))
"""

_COROUTINE_FUNCTION = """\
async def {p}wrapper({parameters}):
    return await {p}awaits({p}scope, {p}function({arguments}))
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
            except {p}GeneratorExit:
                raise
            except {p}BaseException as {p}thrown:
                {p}sent, {p}step = {p}thrown, {p}body.athrow
            finally:
                {p}scope.resume({p}opened)
    except {p}GeneratorExit:
        raise
    except {p}BaseException as {p}error:
        {p}failure = {p}error
        raise
    finally:
        try:
            await {p}body.aclose()
        finally:
            {p}scope.suspend({p}opened)
            {p}scope.leave({p}opened, {p}failure)
"""


def wrap(target: "Any", scope_of: "Callable[[str, str, int], Scope]", *, whole_class: bool = True) -> "Any":
    """Return a timed stand-in for a callable, of the same kind.

    Args:
        target: a function, method, coroutine function, generator function, async generator function, static or class
            method, class, or any other callable.
        scope_of: makes the scope for a name, a module and a line.
        whole_class: whether a class may be given; its own public functions are then timed, and it stays that class.

    Raises:
        TypeError: if the target is none of those.
    """
    if isinstance(target, (staticmethod, classmethod)):
        return type(target)(wrap(target.__func__, scope_of, whole_class=False))
    if isinstance(target, type):
        if not whole_class:
            raise TypeError(f"the class {target.__qualname__} cannot be timed here; decorate its methods")
        return _wrap_methods(target, scope_of)
    if isinstance(target, types.FunctionType):
        return _wrap_function(target, scope_of(target.__qualname__, target.__module__, target.__code__.co_firstlineno))
    if callable(target):
        return _wrap_callable(target, scope_of)
    raise TypeError(f"{target!r:.80} is neither a name nor callable")


def _wrap_methods(owner: type, scope_of: "Callable[[str, str, int], Scope]") -> type:
    for name, member in list(vars(owner).items()):
        method = isinstance(member, (types.FunctionType, staticmethod, classmethod))
        if method and (name == "__call__" or not name.startswith("_")):
            setattr(owner, name, wrap(member, scope_of, whole_class=False))
    return owner


def _wrap_callable(target: "Callable[..., Any]", scope_of: "Callable[[str, str, int], Scope]") -> "Callable[..., Any]":
    """Wrap a partial, a bound method or an object with `__call__`: a function that calls it."""
    named = target
    while isinstance(named, functools.partial):
        named = named.func
    name = getattr(named, "__qualname__", type(named).__qualname__)
    code = getattr(named, "__code__", None) or getattr(type(named).__call__, "__code__", None)
    scope = scope_of(name, getattr(named, "__module__", None) or "", code.co_firstlineno if code is not None else 0)
    wrapper = _compiled("*args, **kwargs", "*args, **kwargs", code, target, scope)
    functools.update_wrapper(wrapper, target)
    wrapper.__name__, wrapper.__qualname__ = name.rpartition(".")[2], name
    return wrapper


def _wrap_function(function: types.FunctionType, scope: "Scope") -> types.FunctionType:
    code = function.__code__
    names = code.co_varnames
    plain, keyword_only = code.co_argcount, code.co_kwonlyargcount
    first_default = plain - len(function.__defaults__ or ())
    parameters = [name if at < first_default else f"{name}=None" for at, name in enumerate(names[:plain])]
    arguments = list(names[:plain])
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
        parameters.append(f"{name}=None" if name in (function.__kwdefaults__ or ()) else name)
        arguments.append(f"{name}={name}")
    if code.co_flags & _VARKEYWORDS:
        parameters.append(f"**{names[rest]}")
        arguments.append(f"**{names[rest]}")
    wrapper = _compiled(", ".join(parameters), ", ".join(arguments), code, function, scope)
    functools.update_wrapper(wrapper, function)
    wrapper.__defaults__ = function.__defaults__
    wrapper.__kwdefaults__ = function.__kwdefaults__
    return wrapper


def _compiled(
    parameters: str, arguments: str, code: "types.CodeType | None", function: "Callable[..., Any]", scope: "Scope"
) -> types.FunctionType:
    flags = code.co_flags if code is not None else 0
    if flags & _ASYNC_GENERATOR:
        template = _ASYNC_GENERATOR_FUNCTION
    elif flags & _COROUTINE:
        template = _COROUTINE_FUNCTION
    elif flags & _GENERATOR:
        template = _GENERATOR_FUNCTION
    else:
        template = _FUNCTION
    prefix = "_algoprof_"
    while any(name.startswith(prefix) for name in (code.co_varnames if code is not None else ())):
        prefix += "_"
    source = template.format(p=prefix, parameters=parameters, arguments=arguments)
    names: dict[str, Any] = {
        "scope": scope,
        "function": function,
        "steps": _steps,
        "awaits": _awaits,
        "BaseException": BaseException,
        "GeneratorExit": GeneratorExit,
        "StopAsyncIteration": StopAsyncIteration,
    }
    namespace = {prefix + name: value for name, value in names.items()}
    exec(compile(source, "<algoprof>", "exec"), namespace)  # noqa: S102  (only identifiers of a code object go in)
    wrapper: types.FunctionType = namespace[f"{prefix}wrapper"]
    if code is not None:  # as tracebacks and profilers show it
        wrapper.__code__ = wrapper.__code__.replace(co_name=code.co_name, co_qualname=code.co_qualname)
    return wrapper


def _steps(scope: "Scope", body: "Any", *, generator: bool = True) -> "Generator[Any, Any, Any]":
    """Drive a generator or a coroutine as `yield from` does, and stop its clock while its caller runs."""
    opened = scope.enter()
    scope.time_steps(opened, generator=generator)
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


@types.coroutine
def _awaits(scope: "Scope", body: "Any") -> "Generator[Any, Any, Any]":
    return (yield from _steps(scope, body, generator=False))
