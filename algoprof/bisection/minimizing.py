"""The smallest part of a list that still fails: delta debugging with few trials, for trials are dear."""

from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import TypeVar

Item = TypeVar("Item", bound=Hashable)


def smallest(
    items: Sequence[Item], fails: Callable[[tuple[Item, ...]], bool], suspects: Iterable[Item] = ()
) -> tuple[Item, ...]:
    """Return a part of the items that fails, and of which nothing can be left out without its passing.

    Halving finds one item of the part after the other; ddmin (Zeller and Hildebrandt) makes sure that none is too
    much. Where adding items never mends a failure, k of n items take about k * (log2(n) + 2) trials; right suspects
    take k + 1 or so. Where it may mend it, the answer is as small, but takes more of them.

    Args:
        items: all of them, which together fail; different from each other.
        fails: tells whether a part fails, given in the order of the items. Without items nothing fails. A part is
            tried once.
        suspects: those of the items that are believed to be at fault.

    >>> smallest(range(100), lambda part: {17, 63} <= set(part))
    (17, 63)
    """
    place = {item: number for number, item in enumerate(items)}
    trials: dict[frozenset[Item], bool] = {frozenset(): False, frozenset(items): True}

    def failing(part: Iterable[Item]) -> bool:
        key = frozenset(part)
        if key not in trials:
            trials[key] = fails(tuple(sorted(key, key=place.__getitem__)))
        return trials[key]

    first = [item for item in dict.fromkeys(suspects) if item in place]
    rest = [*first, *(item for item in items if item not in set(first))]
    found: list[Item] = []
    while rest and not failing(found):
        count = _shortest(found, rest, failing, len(first))
        found.append(rest[count - 1])
        rest = rest[: count - 1]
    return tuple(sorted(_ddmin(found, failing), key=place.__getitem__))


def _shortest(
    found: Sequence[Item], rest: Sequence[Item], failing: Callable[[Iterable[Item]], bool], likely: int
) -> int:
    """Return how many of the rest it takes for what is found to fail with them, though not with one less."""
    passes, fails = 0, len(rest)
    while fails - passes > 1:
        middle = likely if passes < likely < fails else (passes + fails) // 2
        if failing((*found, *rest[:middle])):
            fails = middle
        else:
            passes = middle
        likely = 0
    return fails


def _ddmin(items: list[Item], failing: Callable[[Iterable[Item]], bool]) -> list[Item]:
    """Leave out what can be left out, in ever smaller pieces."""
    pieces = 2
    while len(items) > 1:
        size = -(-len(items) // pieces)
        parts = [items[begin : begin + size] for begin in range(0, len(items), size)]
        without = [[item for item in items if item not in part] for part in parts]
        smaller = next((part for part in parts if failing(part)), None)
        if smaller is not None:
            items, pieces = smaller, 2
            continue
        smaller = next((part for part in without if failing(part)), None)
        if smaller is not None:
            items, pieces = smaller, max(pieces - 1, 2)
        elif size == 1:
            break
        else:
            pieces = min(2 * pieces, len(items))
    return items
