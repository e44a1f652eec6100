"""What a type checker must see of decorated code. test_typing.py has mypy read it; `# E:` names the errors wanted."""

import contextlib
import functools
from collections.abc import AsyncIterator, Iterator

import algoprof
from algoprof import Run, budget, profile, section


@section
def fetch(uri: str, *, retries: int = 3) -> bytes:
    return uri.encode() * retries


@section("named", kind="sync")
def named(x: int) -> str:
    return str(x)


@profile
def apply(value: dict[str, int]) -> list[int]:
    return sorted(value.values())


@profile("job", timeout=60)
async def job() -> int:
    async with section("step") as step:
        step.set(n=1)
    return 1


@section
def numbers(n: int) -> Iterator[int]:
    yield from range(n)


@section
async def events() -> AsyncIterator[str]:
    yield "a"


@section
@functools.cache
def cached(n: int) -> str:
    return str(n)


@section
@contextlib.contextmanager
def opened_file(path: str) -> Iterator[bytes]:
    yield path.encode()


@section
class Model:
    size: int = 1

    def infer(self, photo: bytes) -> float:
        return float(len(photo)) / self.size

    @section
    @classmethod
    def load(cls, path: str) -> "Model":
        return cls()


def uses() -> None:
    good: bytes = fetch("a", retries=1)
    fetch(1)  # E: incompatible type "int"
    fetch("a", tries=1)  # E: Unexpected keyword argument "tries"
    text: int = named(1)  # E: incompatible types in assignment
    apply([1])  # E: incompatible type "list[int]"
    shares: float = Model.load("m").infer(b"")
    Model().infer("x")  # E: incompatible type "str"
    for number in numbers("x"):  # E: incompatible type "str"
        number.bit_length()
    profile("job", timeout="soon")  # E: No overload variant
    with profile("job", timeout=60) as run:
        opened: Run = run
        left: float = budget().remaining
        name: int = run.snapshot().name  # E: incompatible types in assignment
    hits: str = cached.cache_info().hits  # E: incompatible types in assignment
    with opened_file(1) as data:  # E: incompatible type "int"
        data.lower()
    half = section(functools.partial(fetch, "a"))
    half.lower()  # E: has no attribute "lower"
    print(half.func, half(retries=1).hex(), hits)
    print(algoprof.sectoin)  # E: Module has no attribute "sectoin"
    print(good, text, shares, opened, left, name)


async def awaits() -> None:
    done: int = await job()
    job().lower()  # E: has no attribute "lower"
    async for event in events():
        event.upper()
    print(done)
