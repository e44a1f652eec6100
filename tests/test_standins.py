"""Callables that are no functions: each call is timed, and whatever else they can do, they still do."""

import copy
import functools
import pickle
import sys
import types
from unittest import mock

import pytest

from algoprof import profile, section


class Model:
    def __init__(self):
        self.weights = [1, 2]
        self.calls = 0

    def __call__(self, x):
        self.calls += 1
        return x + sum(self.weights)

    def __len__(self):
        return len(self.weights)

    def __getitem__(self, at):
        return self.weights[at]

    def __eq__(self, other):
        return isinstance(other, Model) and self.weights == other.weights

    __hash__ = None

    @property
    def size(self):
        return len(self)

    def fit(self, weight):
        self.weights.append(weight)
        return self


@section
@functools.lru_cache(maxsize=2)
def square(x):
    """Multiply x by itself."""
    return x * x


def test_a_cache_keeps_its_api_and_each_call_is_timed():
    square.cache_clear()
    with profile("job") as run:
        assert [square(2), square(2), square(3)] == [4, 4, 9]
    assert run.snapshot().node("job", "square").count == 3
    assert square.cache_info() == (1, 2, 2, 2)
    assert square.cache_parameters() == {"maxsize": 2, "typed": False}
    assert square.__wrapped__(5) == 25, "as without the decorator: past the cache"
    assert square.cache_info().misses == 2
    square.cache_clear()
    assert square.cache_info().currsize == 0
    assert (square.__name__, square.__doc__) == ("square", "Multiply x by itself.")


def test_a_cached_method_is_bound_as_ever():
    class Owner:
        @section("cached")
        @functools.cache  # noqa: B019  (it is the cache that is tested)
        def cached(self, x=1):
            return self, x

    owner = Owner()
    with profile("job") as run:
        assert owner.cached(2) == owner.cached(2) == Owner.cached(owner, 2) == (owner, 2)
    assert run.snapshot().node("job", "cached").count == 3
    assert Owner.cached.cache_info().hits == 2
    assert owner.cached.__self__ is owner


def test_an_object_is_read_and_written_through():
    original = Model()
    model = section("predict")(original)
    with profile("job") as run:
        assert model(1) == 4
        assert model.fit(3).size == 3
        model.weights = [5]
        assert (model(1), original.calls, model.calls) == (6, 2, 2)
    assert run.snapshot().node("job", "predict").count == 2
    assert isinstance(model, Model)
    assert (len(model), model[0], list(model), model == original) == (1, 5, [5], True)
    assert repr(model) == repr(original)
    assert model.__wrapped__ is original
    del model.calls
    assert not hasattr(original, "calls")
    with pytest.raises(TypeError, match="unhashable"):
        hash(model)


def test_a_copy_is_a_copy_of_the_object_and_timed_too():
    model = section("predict")(Model())
    with profile("job") as run:
        for copied in (copy.copy(model), copy.deepcopy(model)):
            copied.weights = [9]
            assert copied(1) == 10
    assert model.weights == [1, 2]
    assert run.snapshot().node("job", "predict").count == 2
    assert copy.copy(square) is copy.deepcopy(square) is square


def test_pickle_gives_what_it_gives_for_the_original(monkeypatch):
    monkeypatch.setitem(sys.modules, __name__, sys.modules.get(__name__) or types.ModuleType(__name__))
    for name, value in (("square", square), ("Model", Model)):
        monkeypatch.setattr(sys.modules[__name__], name, value, raising=False)
    assert pickle.loads(pickle.dumps(square)) is square
    assert pickle.loads(pickle.dumps(section("predict")(Model()))) == Model()
    assert pickle.loads(pickle.dumps(section("int")(functools.partial(int, base=2))))("11") == 3


def test_a_partial_keeps_its_parts():
    ready = section(functools.partial(pow, 2, mod=5))
    assert isinstance(ready, functools.partial)
    assert (ready.func, ready.args, ready.keywords) == (pow, (2,), {"mod": 5})
    assert functools.partial(ready, 3)() == ready(3) == 3


def test_what_does_not_bind_in_a_class_still_does_not():
    class Other:
        def method(self):
            return self

    other = Other()

    class Owner(str):
        __slots__ = ()
        size = section("size")(len)
        upper = section("upper")(str.upper)
        same = section("same")(other.method)

    assert Owner().size([1, 2]) == 2
    assert Owner().same() is other, "bound once is bound"
    assert (Owner("a").upper(), Owner.upper("a")) == ("A", "A")


@pytest.mark.skipif(sys.version_info >= (3, 13), reason="3.13 warns of a partial in a class, and 3.14 binds it")
def test_a_partial_in_a_class_does_not_bind_either():
    class Owner:
        ready = section("ready")(functools.partial(int, "11"))

    assert Owner().ready(2) == 3


def test_a_static_method_is_called_through_the_class_and_the_object():
    class Owner:
        size = section("size")(staticmethod(len))

    with profile("job") as run:
        assert Owner.size([1]) == Owner().size([1]) == 1
    assert run.snapshot().node("job", "size").count == 2


async def test_mocks_of_either_kind():
    plain, awaited = section("plain")(mock.Mock(return_value=1)), section("awaited")(mock.AsyncMock(return_value=2))
    async with profile("job") as run:
        assert (plain(3), await awaited(4)) == (1, 2)
    plain.assert_called_once_with(3)
    awaited.assert_awaited_once_with(4)
    assert run.snapshot().node("job", "awaited").active_time is not None
