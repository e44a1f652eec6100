"""A stand-in for a callable that is no function: its calls go elsewhere, and all else to the object itself."""

from types import MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# What a stand-in has of its own, or Python asks of a class and not of its instances.
_OWN = {
    "__call__", "__class__", "__class_getitem__", "__copy__", "__deepcopy__", "__del__", "__delattr__", "__delete__",
    "__get__", "__getattr__", "__getattribute__", "__getstate__", "__init__", "__init_subclass__", "__instancecheck__",
    "__new__", "__prepare__", "__reduce__", "__reduce_ex__", "__set__", "__setattr__", "__setstate__", "__sizeof__",
    "__subclasscheck__", "__subclasshook__",
}  # fmt: skip


def stand_in(target: "Any", call: "Callable[..., Any]", again: "Callable[[Any], Any]") -> "Any":
    """Return what is `target` to whoever looks at it, and calls `call` when it is called.

    Attributes are read from and written to the target, so a cache keeps its `cache_info` and a model its weights.
    `__wrapped__` is the target's own, or else the target.

    Args:
        target: a callable object.
        call: what to call in its place, with its arguments.
        again: makes a stand-in for a copy of the target.
    """
    kind = type(target)

    def read(self: object, name: str) -> "Any":
        if name == "__wrapped__":
            return getattr(target, name, target)
        if name == "__signature__":
            return _signature(target)
        if name == "__deepcopy__":  # which copy.deepcopy asks of the object, not of its class
            return MethodType(deeply_copied, self)
        return getattr(target, name)

    def copied(self: "Any") -> "Any":
        import copy  # noqa: PLC0415  (who asks has it, and a cold start does not need it)

        made = copy.copy(target)
        return self if made is target else again(made)

    def deeply_copied(self: "Any", memo: dict[int, object]) -> "Any":
        import copy  # noqa: PLC0415  (as above)

        made = copy.deepcopy(target, memo)
        return self if made is target else again(made)

    def bound(self: object, owner: object, owned_by: type | None = None) -> "Any":
        does_not = owner is None or target.__get__(owner, owned_by) is target
        return self if does_not else MethodType(self, owner)  # type: ignore[arg-type]  # it is callable

    members: dict[str, Any] = {
        "__call__": staticmethod(call),
        "__copy__": copied,
        "__deepcopy__": deeply_copied,
        "__delattr__": lambda _, name: delattr(target, name),
        "__getattribute__": read,
        "__module__": kind.__module__,
        "__repr__": lambda _: repr(target),
        "__setattr__": lambda _, name, value: setattr(target, name, value),
        "__slots__": ("__weakref__",),
    }
    if hasattr(kind, "__get__"):  # it may bind, as a cached method does
        members["__get__"] = bound
    return type(kind.__name__, (), _special_methods(target) | members)()


def _special_methods(target: "Any") -> "dict[str, Any]":
    """Return those that Python looks for on the class alone, such as `__len__`."""
    kind = type(target)
    found: dict[str, Any] = {}
    for name in dir(kind):
        method = getattr(kind, name, None)
        if name in _OWN or method is getattr(object, name, None):
            continue
        if name == "__hash__" and method is None:  # not hashable
            found[name] = None
        elif name.startswith("__") and name.endswith("__") and callable(method):
            found[name] = _forwarded(target, name)
    return found


def _forwarded(target: "Any", name: str) -> "Callable[..., Any]":
    def forwarded(_: object, *args: "Any", **kwargs: "Any") -> "Any":
        return getattr(target, name)(*args, **kwargs)

    return forwarded


def _signature(target: "Any") -> "Any":
    import inspect  # noqa: PLC0415  (who asks has it, and a cold start does not need it)

    try:
        return inspect.signature(target)
    except ValueError as error:  # some built-ins have none
        raise AttributeError(str(error)) from None
