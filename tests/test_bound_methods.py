"""What `with` looks up of a section: it is bound and called as any method is, whoever looks it up."""

import contextlib
import gc
import pickle
import sys
import types
import weakref

import pytest

from algoprof import profile, section
from algoprof.recorder import backend
from algoprof.sections import Section

needs_compiled = pytest.mark.skipif(backend != "native", reason="records with the writer in Python")


def count(run, name="held"):
    return run.snapshot().node("job", name).count


def test_a_method_that_was_looked_up_is_called_like_any_other():
    held = section("held")
    with profile("job") as run:
        enter, leave = held.__enter__, held.__exit__
        assert enter() is held
        assert leave(None, None, None) is None
        assert enter() is held
        assert leave(None, error=None, traceback=None) is None
        assert type(held).__enter__(held) is held
        assert type(held).__exit__(held, None, None, None) is None
    assert count(run) == 3


def test_it_keeps_its_section_alive():
    enter, leave = section("held", number=1).__enter__, section("held", number=2).__exit__
    assert (enter.__self__.attributes, leave.__self__.attributes) == ({"number": 1}, {"number": 2})
    assert enter().name == leave.__self__.name == "held"
    leave(None, None, None)


@pytest.mark.parametrize("arguments", [(1,), (1, 2), (1, 2, 3, 4)])
def test_a_wrong_number_of_arguments_is_refused(arguments):
    held = section("held")
    with pytest.raises(TypeError):
        held.__enter__(*arguments)
    with pytest.raises(TypeError):
        held.__exit__(*arguments)


@pytest.mark.parametrize("name", ["__enter__", "__exit__"])
def test_it_is_what_a_bound_method_is(name):
    held, other = section("held"), section("other")
    method = getattr(held, name)
    assert (method.__self__, method.__name__) == (held, name)
    assert method == getattr(held, name)
    assert hash(method) == hash(getattr(held, name))
    assert method != getattr(other, name)
    assert method != len
    assert pickle.loads(pickle.dumps(method)).__name__ == name
    assert name in repr(method)
    assert weakref.ref(method)() is method
    assert getattr(Section, name).__name__ == name


@needs_compiled
def test_beside_the_compiled_writer_it_is_a_built_in_method():
    held = section("held")
    assert isinstance(held.__enter__, types.BuiltinMethodType)
    assert repr(held.__exit__).startswith("<built-in method __exit__ of Section object")
    assert isinstance(Section.__enter__, types.MethodDescriptorType)


def test_exit_stacks_enter_and_leave_it():
    held = section("held")
    with profile("job") as run, contextlib.ExitStack() as stack:
        assert stack.enter_context(held) is held
        stack.push(held.__exit__)
        held.__enter__()
    assert count(run) == 2


def test_a_subclass_may_enter_and_leave_in_its_own_way():
    seen = []

    class Loud(Section):
        def __enter__(self):
            seen.append("enter")
            return super().__enter__()

        def __exit__(self, kind, error, traceback):
            seen.append(kind)
            return super().__exit__(kind, error, traceback)

    class Quiet(Section):
        pass

    with profile("job") as run:
        with Loud("loud"), pytest.raises(KeyError), Quiet("quiet"):
            raise KeyError
        with contextlib.suppress(KeyError), Loud("loud"):
            raise KeyError
    assert seen == ["enter", None, "enter", KeyError]
    assert (count(run, "loud"), run.snapshot().node("job", "loud").errors) == (2, 1)
    assert run.snapshot().node("job", "loud", "quiet").errors == 1


def test_a_section_may_end_within_itself_many_times_over():
    depth = 100  # more than are kept at hand for the next
    held = [section("held", level=level) for level in range(depth)]
    references = sys.getrefcount(held[0])
    with profile("job") as run:
        for _ in range(3):
            with contextlib.ExitStack() as stack:
                for one in held:
                    stack.callback(one.__exit__, None, None, None)
                    one.__enter__()
    gc.collect()
    left = sys.getrefcount(held[0])
    assert left == references
    assert count(run) == 3 * depth
