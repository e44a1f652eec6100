"""The example's algorithm itself: trips, distances and bad input. The demo's test runs it on a server."""

import importlib.util
import itertools
import math
import random
import types
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import algoprof

PROJECT = Path(__file__).parents[2] / "examples" / "routes"


@pytest.fixture(scope="module")
def routes() -> types.ModuleType:
    spec = importlib.util.spec_from_file_location("routes_example", PROJECT / "src" / "Routes.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def always() -> bool:
    return True


def is_round_trip(tour, count):
    return sorted(tour) == list(range(count))


@pytest.mark.parametrize(
    ("here", "there", "km"),
    [
        ((48.8566, 2.3522), (51.5074, -0.1278), 343.6),  # Paris to London
        ((40.7128, -74.0060), (51.5074, -0.1278), 5570.2),  # New York to London
        ((-33.8688, 151.2093), (35.6762, 139.6503), 7825.8),  # Sydney to Tokyo, over the equator
        ((0, 179.5), (0, -179.5), 111.2),  # one degree over the date line
        ((0, 0), (0, 180), 20015.1),  # half the equator
        ((90, 0), (-90, 0), 20015.1),  # pole to pole
        ((52.52, 13.405), (52.52, 13.405), 0),
    ],
)
def test_distances_are_those_over_the_globe(routes, here, there, km):
    cities = [{"latitude": latitude, "longitude": longitude} for latitude, longitude in (here, there)]
    table = routes.distances(cities)
    assert table[0][1] == table[1][0] == pytest.approx(km, abs=0.5)
    assert table[0][0] == 0


points = st.lists(st.tuples(st.floats(-90, 90), st.floats(-180, 180)), min_size=2, max_size=25)


@settings(deadline=None, max_examples=60)
@given(points=points, start=st.integers(0, 24))
def test_improving_keeps_every_city_and_never_lengthens(routes, points, start):
    table = routes.distances([{"latitude": latitude, "longitude": longitude} for latitude, longitude in points])
    tour = routes.nearest_neighbour(table, start % len(points))
    assert is_round_trip(tour, len(points))
    before = routes.length(tour, table)
    routes.improve(tour, table, always)
    assert is_round_trip(tour, len(points))
    assert routes.length(tour, table) <= before + 1e-6


def test_what_is_improved_crosses_itself_nowhere(routes):
    spread = random.Random(1)
    towns = [(spread.random(), spread.random()) for _ in range(40)]
    table = [[math.dist(here, there) for there in towns] for here in towns]
    tour = list(range(40))
    routes.improve(tour, table, always)
    legs = list(itertools.pairwise([*tour, tour[0]]))
    for (a, b), (c, d) in itertools.combinations(legs, 2):
        assert table[a][b] + table[c][d] <= table[a][c] + table[b][d] + 1e-9


def test_four_corners_are_tied_in_the_shortest_way(routes):
    square = [(0, 0), (1, 1), (1, 0), (0, 1)]
    table = [[math.dist(here, there) for there in square] for here in square]
    tour = [0, 1, 2, 3]
    routes.improve(tour, table, always)
    assert routes.length(tour, table) == pytest.approx(4)


def test_a_small_trip_is_the_best_there_is(routes):
    table = routes.distances(routes.catalogue()[:7])
    best = min(routes.length([0, *order], table) for order in itertools.permutations(range(1, 7)))
    assert routes.apply({"cities": 7})["km_after"] == round(best)


def test_a_result_names_every_city_once(routes):
    result = routes.apply({"cities": 30})
    assert result["finished"]
    assert result["starts"] == 30
    assert len(set(result["tour"])) == 30
    assert "Shanghai, CN" in result["tour"]
    assert 0 < result["km_after"] < result["km_before"]


def test_anytime_without_a_timeout_finishes(routes):
    assert routes.apply({"cities": 20, "mode": "anytime"}) == routes.apply({"cities": 20})


def test_anytime_answers_before_the_timeout(routes):
    with algoprof.profile("caller", timeout=routes.TIME_TO_ANSWER + 0.5) as run:
        result = routes.apply({"cities": 400, "mode": "anytime"})
        assert run.budget.remaining > 0
    assert not result["finished"]
    assert result["starts"] < 400
    assert Counter(result["tour"]) == Counter(f"{c['name']}, {c['countrycode']}" for c in routes.catalogue()[:400])
    assert result["km_after"] <= result["km_before"]


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        ("200", "not str"),
        (None, "not NoneType"),
        ({"cities": "200"}, "'cities' is a whole number from 2 on, not '200'"),
        ({"cities": True}, "not True"),
        ({"cities": 1}, "not 1"),
        ({"cities": 10**9}, "'cities' is 1000000000, but only 2.... are known"),
        ({"cities": 2.5}, "not 2.5"),
        ({"mode": "fast"}, "'mode' is 'exhaustive' or 'anytime', not 'fast'"),
        ({"towns": 3}, "unknown input towns"),
    ],
)
def test_bad_input_is_named(routes, bad, message):
    with pytest.raises((TypeError, ValueError), match=message):
        routes.apply(bad)
