"""The nightly plan corrected within the day, beside the static plan and LRU: share of what the best static plan serves.

Each evening stands for itself: held is what the plan says, LRU begins with what was watched most the day before. The
swap rule is learnt on evenings before the first that is scored, for hits less pulls.

How few pulls can be enough is what one who knows the day needs for the share that must be reached: he pulls what will
be asked for most after its second request, and drops nothing for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bench.fill.evening import PERSISTENCE, PRIOR, Expectations
from bench.fill.reading import Floats, Ints
from bench.fill.result import spread
from bench.fill.reveal import Evening
from bench.fill.stream import Stream, draw, shares
from bench.rows import OURS, Row
from config.progress import Reporter
from fill.forecast.within import ADMIT_AT, RULES, Posterior, Rule, Served, learn_rule

PER_DAY = (200, 3000)
EVENINGS, QUICK_EVENINGS = 160, 48
# So many requests are learnt from.
LEARN_REQUESTS, QUICK_LEARN_REQUESTS = 20_000, 8_000
SEED = 7
GOALS = {10: (0.90, 0.95), 25: (0.87, 0.92)}
# Pulls a day, ours by LRU's.
MOST_PULLS = 1 / 20


def measure_within(
    found: Expectations, slots: Sequence[int], reporter: Reporter, *, quick: bool, name: str = ""
) -> list[Row]:
    scored = found.scored
    if not scored:
        return []
    chosen = _spread_out(scored, QUICK_EVENINGS if quick else EVENINGS)
    rows: list[Row] = []
    cases = [(per_day, count) for per_day in PER_DAY for count in slots]
    with reporter.bar("within the day", len(cases)) as bar:
        for number, (per_day, count) in enumerate(cases):
            rule = learned_rule(found, per_day, count, RULES, Rule(), pull_cost=1.0, quick=quick)
            rows += _case(found, chosen, per_day, count, rule, f"{name}within/R{per_day}/K{count}")
            bar.update(number + 1)
    return rows


def _spread_out(numbers: Sequence[int], most: int) -> list[int]:
    """At most so many, evenly through them: all seasons and countries."""
    if not numbers:
        return []
    at = np.unique(np.linspace(0, len(numbers) - 1, min(most, len(numbers))).astype(int))
    return [numbers[one] for one in at]


def learned_rule(
    found: Expectations, per_day: int, slots: int, rules: Sequence[Rule], usual: Rule, *, pull_cost: float, quick: bool
) -> Rule:
    """From evenings before the first that is scored."""
    first = min((found.evenings[number].day for number in found.scored), default=0)
    earlier = [number for number, one in enumerate(found.evenings) if one.day < first]
    served: dict[Rule, list[Served]] = {rule: [] for rule in rules}
    for number in _spread_out(earlier, (QUICK_LEARN_REQUESTS if quick else LEARN_REQUESTS) // per_day):
        evening, expected = found.evenings[number], found.of[PRIOR][number]
        stream = draw(evening, per_day, SEED)
        for rule, days in served.items():
            days.append(corrected(evening, expected, stream, per_day, slots, rule))
    return learn_rule(served, usual, pull_cost=pull_cost)


def corrected(evening: Evening, expected: Floats, stream: Stream, per_day: int, slots: int, rule: Rule) -> Served:
    """The plan as a prior, and the swap rule of the appliance."""
    held = plan(evening, expected, slots)
    asked_a_day = per_day * 1.25
    posterior = Posterior(held, shares(evening, expected), asked_a_day, rule)
    hits = swaps = 0
    for item, elapsed in zip(stream.item.tolist(), stream.elapsed.tolist(), strict=True):
        hit, swap = posterior.ask(item, elapsed)
        hits += hit
        swaps += swap is not None
    return Served(hits, swaps, len(stream.item))


def plan(evening: Evening, expected: Floats, slots: int) -> list[int]:
    chosen = np.argsort(-expected, kind="stable")[:slots]
    return [int(item) for item in evening.candidates.item[chosen]]


def _static(items: Sequence[int] | Ints, stream: Stream) -> Served:
    return Served(int(np.isin(stream.item, np.asarray(items)).sum()), 0, len(stream.item))


def _pulled(policy: str, warm: Sequence[int], stream: Stream, slots: int) -> Served:
    """A cache that holds `warm` at first; everything it misses is pulled."""
    from fill.simulate.caches import hits

    asked = np.concatenate([np.array(warm[::-1], np.int64), stream.item])
    found = hits(policy, slots, asked, np.ones(len(asked), np.int64))[len(warm) :]
    return Served(int(found.sum()), int((~found).sum()), len(stream.item))


def _case(found: Expectations, chosen: Sequence[int], per_day: int, slots: int, rule: Rule, case: str) -> list[Row]:
    subjects: dict[str, Callable[[int, Stream], Served]] = {
        OURS: lambda number, stream: corrected(
            found.evenings[number], found.of[OURS][number], stream, per_day, slots, rule
        ),
        "static plan": lambda number, stream: _static(
            plan(found.evenings[number], found.of[OURS][number], slots), stream
        ),
        "lru": lambda number, stream: _pulled(
            "lru", plan(found.evenings[number], found.of[PERSISTENCE][number], slots), stream, slots
        ),
        "s3-fifo": lambda number, stream: _pulled(
            "s3-fifo", plan(found.evenings[number], found.of[PERSISTENCE][number], slots), stream, slots
        ),
    }
    share: dict[str, list[float]] = {name: [] for name in subjects}
    pulls: dict[str, list[float]] = {name: [] for name in subjects}
    gains: list[float] = []
    for number in chosen:
        evening = found.evenings[number]
        stream = draw(evening, per_day, SEED)
        top = evening.demand.item[np.argsort(-evening.demand.amount, kind="stable")[:slots]]
        best = _static(top, stream).hits
        if not best:
            continue
        gains += [gain / best for gain in _gains(plan(evening, found.of[OURS][number], slots), stream, slots)]
        for name, serve in subjects.items():
            served = serve(number, stream)
            share[name].append(served.hits / best)
            pulls[name].append(served.pulls)
    rows = []
    must, aim = GOALS.get(slots, (None, None)) if per_day == PER_DAY[0] else (None, None)
    said = f"kappa {rule.kappa:g}, margin {rule.margin:g}, least gain {rule.least_gain:g}"
    for name in subjects:
        goals: dict[str, float | bool | str | None]
        goals = {"must": must, "aim": aim, "note": said} if name == OURS else {}
        rows.append(spread(name, case, "share of the static oracle", share[name], **goals))
        if name != "static plan":
            rows.append(spread(name, case, "pulls a day", pulls[name], more_is_better=False))
    ours, lru = sum(pulls[OURS]), sum(pulls["lru"])
    if lru:
        fewest = _fewest(gains, (must or 0.0) * len(share[OURS]) - sum(share["static plan"])) / lru
        said = f"limit: knowing the day, for a share of {must:g}" if must else ""
        goals = {"must": MOST_PULLS, "limit": fewest, "more_is_better": False, "note": said}
        rows.append(spread(OURS, case, "pulls by LRU's", [ours / lru], **goals))
    return [row for row in rows if row is not None]


def _gains(held: Sequence[int], stream: Stream, slots: int) -> list[int]:
    """Hits that the best items to bring in would have, once they were asked for a second time."""
    _, counts = np.unique(stream.item[~np.isin(stream.item, np.asarray(held))], return_counts=True)
    return [int(count) - ADMIT_AT for count in np.sort(counts)[::-1][:slots] if count > ADMIT_AT]


def _fewest(gains: Sequence[float], wanted: float) -> int:
    """How many of the gains, the largest first, come to what is wanted."""
    reached = np.cumsum(sorted(gains, reverse=True))
    return min(len(gains), int(np.searchsorted(reached, wanted - 1e-9)) + 1) if wanted > 0 else 0
