"""The plan whose forecasts cost least: which steps a given number of network calls is spent on.

A forecast step goes wrong by about how far its forecast reaches from the computed step before it, and what that does
to the picture is in proportion to the density of the step (density.py). So a gap between computed steps i and j costs

    sum over i < k < j of (Phi_k - Phi_i) (Phi_{k+1} - Phi_k)

with Phi the density summed up. Where steps are short beside their gaps that puts computed steps at equal distances in
Phi. Where a gap has a step or two it counts them one by one, and neighbouring gaps grow evenly instead of taking turns.
Behind the last computed step nothing undoes what forecasts got wrong, so there it costs LAST times as much.

Every computed step pays the same price, and dynamic programming finds the cheapest plan at that price. The price that
leads to the number of calls is found by bisection.
"""

import math
from collections.abc import Collection, Sequence

LAST = 2.0
LEAST = 1e-6  # of the highest density: steps without any share what the others cannot take
BISECTIONS = 30
FACTOR = 16.0  # between two prices, until the number of calls lies between theirs


def cheapest(density: Sequence[float], calls: int, forced: Collection[int] = ()) -> list[int]:
    """``calls`` steps, in order, the first step and the ``forced`` ones among them.

    density: by step; if one is no number, all count the same. No fewer than the forced ones are computed, and no more
    than there are.
    """
    total = len(density)
    forced = {0, *forced} if total else set()
    if calls >= total:
        return list(range(total))
    if calls <= len(forced):
        return sorted(forced)
    gaps = _Gaps(density, forced)
    few, many = gaps.prices(calls)
    for _ in range(BISECTIONS):
        price = (few * many) ** 0.5
        few, many = (few, price) if len(gaps.plan(price)) >= calls else (price, many)
    return gaps.between(few, many, calls)


class _Gaps:
    def __init__(self, density: Sequence[float], forced: Collection[int]) -> None:
        if not all(map(math.isfinite, density)):
            density = [1.0] * len(density)
        highest = max(density) or 1.0
        self._density = [max(step / highest, LEAST) for step in density]
        self._ahead = [*self._density[1:], self._density[-1]]
        self._forced = forced

    def prices(self, calls: int) -> tuple[float, float]:
        """Two prices, with at most so many calls, and with at least so many."""
        few = many = (sum(self._density) / calls) ** 2
        while len(self.plan(few)) > calls:
            few *= FACTOR
        while len(self.plan(many)) < calls:
            many /= FACTOR
        return few, many

    def plan(self, price: float) -> list[int]:
        return _followed(self._after(price), 0)

    def between(self, few: float, many: float, calls: int) -> list[int]:
        """Where no price leads to just so many calls: the longer plan at first, then the shorter one."""
        longer, after = self.plan(many), self._after(few)
        plans = ([*longer[:k], *_followed(after, step)] for k, step in enumerate(longer))
        return next((plan for plan in plans if len(plan) >= calls), longer)

    def _after(self, price: float) -> list[int]:
        """By step, the next one to compute, the number of steps for none: never later than that of the step behind."""
        total = len(self._density)
        after, costs = [total] * (total + 1), [0.0] * (total + 1)
        for start in reversed(range(total)):
            best, cost, reach = float("inf"), 0.0, 0.0
            for end in range(start + 1, after[start + 1] + 1):
                whole = cost + price + costs[end] if end < total else LAST * cost
                if whole < best:
                    best, after[start] = whole, end
                if end == total or end in self._forced:
                    break
                reach += self._density[end]
                cost += reach * self._ahead[end]
            costs[start] = best
        return after[:total]


def _followed(after: Sequence[int], step: int) -> list[int]:
    steps: list[int] = []
    while step < len(after):
        steps.append(step)
        step = after[step]
    return steps
