"""Every kind of thing that can be decorated: timed once, truly, in its place, and still what it was."""

import abc
import asyncio
import contextlib
import dataclasses
import enum
import functools
import inspect
import time
import types
import typing

import pytest

from algoprof import budget, profile, section

CELLS, CLASSES = {}, {}


def cell(label, table=CELLS):
    """Enter a cell: a function that decorates a thing with what it is given, and returns it and how to call it."""

    def enter(make):
        table[make.__name__] = make, label
        return make

    return enter


class Work:
    """What every cell does inside: it takes a while, by the same clock, and may fail."""

    def __init__(self):
        self.fault = self.took = self.run = None

    def __call__(self):
        began = time.monotonic_ns()
        self.run = budget().run
        with section("child"):
            time.sleep(0.001)
        self.took = time.monotonic_ns() - began
        if self.fault is not None:
            raise self.fault
        return "result"


work = Work()


def call(thing):
    return thing()


async def wait_for(thing):
    return await thing()


@cell("function")
def plain_function(deco):
    @deco
    def function(a=1, /, b: int = 2, *rest, c, d: str = "d", **more) -> str:
        """Do it."""
        return work()

    return function, lambda f: f(c=3)


@cell("<lambda>")
def nameless_function(deco):
    return deco(lambda: work()), call  # noqa: PLW0108  (a lambda is what is meant)


@cell("coroutine")
def coroutine_function(deco):
    @deco
    async def coroutine():
        await asyncio.sleep(0)
        return work()

    return coroutine, wait_for


@cell("generator")
def generator_function(deco):
    @deco
    def generator():
        yield 1
        work()
        yield 2
        return "result"

    def drain(function):
        def outer():
            return (yield from function())

        steps = outer()
        assert [next(steps), next(steps)] == [1, 2]
        with pytest.raises(StopIteration) as stop:
            next(steps)
        return stop.value.value

    return generator, drain


@cell("events")
def async_generator_function(deco):
    @deco
    async def events():
        await asyncio.sleep(0)
        yield work()

    async def drain(function):
        (only,) = [item async for item in function()]
        return only

    return events, drain


@cell("awaited")
def generator_based_coroutine(deco):
    @deco
    @types.coroutine
    def awaited():
        yield
        return work()

    return awaited, wait_for


@cell("len")
def built_in(deco):
    class Sized:
        def __len__(self):
            return len(work())

    return deco(len), lambda f: {6: "result"}[f(Sized())]


@cell("cached")
def cached_function(deco):
    @deco
    @functools.lru_cache(maxsize=8)
    def cached():
        return work()

    return cached, call


@cell("dispatched")
def single_dispatch(deco):
    @deco
    @functools.singledispatch
    def dispatched(value):
        return None

    @dispatched.register
    def _(value: int):
        return work()

    return dispatched, lambda f: f(1)


@cell("original")
def function_that_wraps_another(deco):
    def original():
        return work()

    @deco
    @functools.wraps(original)
    def around():
        return original()

    return around, call


@cell("transaction")
def context_manager(deco):
    @deco
    @contextlib.contextmanager
    def transaction():
        yield work()

    def use(function):
        with function() as result:
            return result

    return transaction, use


@cell("transaction")
def async_context_manager(deco):
    @deco
    @contextlib.asynccontextmanager
    async def transaction():
        yield work()

    async def use(function):
        async with function() as result:
            return result

    return transaction, use


@cell("Child.method")
def abstract_method(deco):
    class Base(abc.ABC):
        @deco
        @abc.abstractmethod
        def method(self):
            """Do it."""

    class Child(Base):
        @deco
        def method(self):
            return work()

    with pytest.raises(TypeError, match="abstract"):
        Base()
    return Child.__dict__["method"], lambda _: Child().method()


@cell("overloaded")
def overloaded_function(deco):
    @typing.overload
    def overloaded(x: int) -> int: ...

    @typing.overload
    def overloaded(x: str) -> str: ...

    @deco
    def overloaded(x):
        return work()

    return overloaded, lambda f: f(1)


@cell("Colour.label")
def enum_method(deco):
    class Colour(enum.Enum):
        RED = 1

        @deco
        def label(self):
            return work()

    assert list(Colour) == [Colour.RED]
    return Colour.__dict__["label"], lambda _: Colour.RED.label()


def held(holder, body, deco):
    def plain(*_):
        return work()

    async def coroutine(*_):
        await asyncio.sleep(0)
        return work()

    def generator(*_):
        yield work()

    class Model:
        __call__ = method = {"plain": plain, "coroutine": coroutine, "generator": generator}[body]

    things = {"partial": functools.partial(Model.method, 1), "method": Model().method, "object": Model()}
    return deco(things[holder]), lambda f: list(f())[0] if body == "generator" else f()  # noqa: RUF015  (drained)


for body in ("plain", "coroutine", "generator"):
    for holder, label in (("partial", body), ("method", body), ("object", "Model")):
        CELLS[f"{body} in {holder}"] = functools.partial(held, holder, body), label


MEMBERS = {  # how a method is decorated in the body of its class
    "method": lambda deco, method: deco(method),
    "static method inside": lambda deco, method: deco(staticmethod(method)),
    "static method outside": lambda deco, method: staticmethod(deco(method)),
    "class method inside": lambda deco, method: deco(classmethod(method)),
    "class method outside": lambda deco, method: classmethod(deco(method)),
    "cached method": lambda deco, method: deco(functools.cache(method)),
    "cached class method": lambda deco, method: deco(classmethod(functools.cache(method))),
    "property": lambda deco, method: property(deco(method)),
    "cached property": lambda deco, method: functools.cached_property(deco(method)),
    "partialmethod": lambda deco, method: functools.partialmethod(deco(method), 1),
}


def member(how, deco):
    class Owner:
        def method(*given):
            got.append(given)
            return work()

        method = MEMBERS[how](deco, method)

    def use(_):
        owner = Owner()
        result = owner.method if "property" in how else owner.method()
        first = {"static": (), "class": (Owner,), "partial": (owner, 1)}
        assert got == [next((want for word, want in first.items() if word in how), (owner,))]
        return result

    got = []
    found = Owner.__dict__["method"]
    return getattr(found, "fget", None) or getattr(found, "func", None) or found, use


for how in MEMBERS:
    CELLS[how] = functools.partial(member, how), "Owner.method"


WHOLE = {
    "method": lambda whole: whole().method(),
    "marked": lambda whole: whole().marked(),
    "static": lambda whole: whole.static(),
    "of_class": lambda whole: whole.of_class(),
    "coroutine": lambda whole: whole().coroutine(),
    "__call__": lambda whole: whole()(),
}


def whole_class(name, deco):  # noqa: C901  (a class with one of each kind)
    class Base:
        def inherited(self):
            return self.shape

    @deco
    class Whole(Base):
        class Inner:
            def method(self):
                return "result"

        factory = staticmethod(Inner)

        @property
        def shape(self):
            return self.factory().method()

        def method(self):
            return self._hidden() and self.inherited()

        def _hidden(self):
            return work()

        @deco
        def marked(self):
            return work()

        @staticmethod
        def static():
            return work()

        @classmethod
        def of_class(cls):
            return work() if cls is Whole else None

        async def coroutine(self):
            await asyncio.sleep(0)
            return work()

        def __call__(self):
            return work()

    return Whole, WHOLE[name]


for name in WHOLE:
    CLASSES[f"whole class, {name}"] = functools.partial(whole_class, name), f"Whole.{name}"


@cell("Data.method", CLASSES)
def whole_dataclass(deco):
    @deco
    @dataclasses.dataclass(slots=True)
    class Data:
        x: int = 1

        def method(self):
            return work()

    assert Data(2) == Data(2)
    return Data, lambda c: c().method()


@cell("Colour.label", CLASSES)
def whole_enum(deco):
    @deco
    class Colour(enum.Enum):
        RED = 1

        def label(self):
            return work()

    return Colour, lambda c: c.RED.label()


def identity(thing):
    return thing


def fresh(make, deco=identity):
    work.fault = work.took = work.run = None
    return make(deco)


def drive(thing, how):
    """Call it in a run, below a section; return the run, what came of it, and how long it took from outside."""
    with profile("job") as run, section("parent"):
        began = time.monotonic_ns()
        try:
            result = how(thing)
            if inspect.iscoroutine(result):
                result = asyncio.run(awaited_here(result))
        except LookupError as error:
            result = error
        took = time.monotonic_ns() - began
    return run, result, took


async def awaited_here(result):
    return await result


def short(name):
    """Return a qualified name without the test that it is local to."""
    return name.rpartition("<locals>.")[2]


def only_node(run):
    (node,) = run.snapshot().node("job", "parent").children
    return node


both = pytest.mark.parametrize("cell", [*CELLS, *CLASSES])


@both
def test_one_call_is_one_occurrence_of_the_true_duration_in_its_place(cell):
    make, label = {**CELLS, **CLASSES}[cell]
    run, result, took = drive(*fresh(make, section))
    node = only_node(run)
    assert result == "result"
    assert short(node.name) == label
    assert (node.count, node.errors, node.open_count) == (1, 0, 0)
    assert work.took <= node.total_ns <= took
    assert [child.name for child in node.children] == ["child"]


@pytest.mark.parametrize("cell", CELLS)
def test_a_given_name_and_its_attributes_go_with_it(cell):
    run, result, _ = drive(*fresh(CELLS[cell][0], section("named", kind="cell")))
    node = only_node(run)
    assert (result, node.name, node.count) == ("result", "named", 1)
    assert node.spans[0].attributes == {"kind": "cell"}


@pytest.mark.parametrize("cell", CELLS)
def test_an_error_passes_through_as_it_is_and_is_counted(cell):
    thing, how = fresh(CELLS[cell][0], section)
    work.fault = LookupError("why")
    run, result, _ = drive(thing, how)
    assert result is work.fault
    assert (only_node(run).count, only_node(run).errors) == (1, 1)


@pytest.mark.parametrize("cell", CELLS)
def test_profile_opens_one_run_for_it(cell):
    run, result, _ = drive(*fresh(CELLS[cell][0], profile(timeout=60)))
    node = only_node(run)
    assert (result, node.count, node.children) == ("result", 1, ()), "its sections stand in its own run"
    assert work.run == node.name


SEEN = (
    inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction, inspect.isfunction,
    inspect.ismethod, inspect.isbuiltin, inspect.isclass, inspect.isroutine, inspect.ismethoddescriptor, callable,
)  # fmt: skip
NAMES = (
    "__name__", "__qualname__", "__module__", "__doc__", "__defaults__", "__kwdefaults__", "__annotations__",
    "__isabstractmethod__", "__type_params__",
)  # fmt: skip


@both
def test_it_looks_like_the_original(cell):
    make, _ = {**CELLS, **CLASSES}[cell]
    (original, _), (thing, _) = fresh(make), fresh(make, section)
    assert [test(thing) for test in SEEN] == [test(original) for test in SEEN]
    assert isinstance(thing, types.FunctionType) == isinstance(original, types.FunctionType)
    if isinstance(original, types.FunctionType):
        assert type(thing) is types.FunctionType
    for name in NAMES:
        assert getattr(thing, name, None) == getattr(original, name, None), name
    if not isinstance(original, (classmethod, type)):
        assert inspect.signature(thing) == inspect.signature(original)
        if isinstance(original, types.FunctionType):
            assert inspect.getfullargspec(thing) == inspect.getfullargspec(original)
    if isinstance(original, types.FunctionType):
        assert thing.__wrapped__ is not thing
        assert inspect.getsource(thing) == inspect.getsource(original)
