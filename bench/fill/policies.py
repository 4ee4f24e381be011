"""What each policy saves of a site's upstream bytes, day after day on one stream of requests, its fill bytes taken off.

    offload after fill = (hits - what the nights filled) / requests        an item is one play, and so is its fill

What a cache or the swap rule brings in within the day is what a viewer is being sent at that moment, so only the
nights' fill is taken off. Every policy starts some days before those that count, with what was watched most the day
before, and carries its content over.

    no fill         nothing is held
    lru, s3-fifo    pull-through caches of the same size
    yesterday       each night what was watched most the day before
    nearcast        each night the plan, a held item staying unless another is worth its fill; swaps within the day; a
                    site where another did better over the last week follows that one, as it would
    static oracle   each night the best choice for the day to come
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from bench.fill.evening import PERSISTENCE, Expectations
from bench.fill.reading import Floats, Ints
from bench.fill.result import spread
from bench.fill.reveal import Evening
from bench.fill.stream import NOISE, Stream, draw, shares
from bench.fill.within import learned_rule
from bench.rows import OURS, Row
from config.progress import Reporter
from fill.forecast.within import Posterior, Rule, prefer

CACHES = ("lru", "s3-fifo")
RIVALS = (*CACHES, "yesterday")
# Requests a day, and how many of the last days are played.
PER_DAY = {200: 120, 3000: 20}
QUICK_PER_DAY = {200: 40}
SEED = 11
# So many evenings before them are played and not counted: caches fill, and a site learns whom to follow.
WARM_UP = 10
# A held item stays unless another is expected to be asked for so many times more: a fill costs one, and what is not
# filled comes in by its second request.
WORTH_A_FILL = 6.0
# What comes in within the day is on its way to a viewer: any gain is worth it here, where disk writes cost nothing.
# Which of these is followed is learnt on evenings before the first that is played.
RULE = Rule(least_gain=0.0)
RULES = tuple(
    replace(RULE, kappa=kappa, margin=margin, admit_at=admit_at)
    for kappa in (0.03, 0.05, 0.1, 0.3, 1.0, 10.0)
    for margin in (1.0, 1.2)
    for admit_at in (1, 2)
)
AIM = 1.10


def measure_policies(
    found: Expectations, slots: Sequence[int], reporter: Reporter, *, quick: bool, name: str = ""
) -> list[Row]:
    by_region: dict[int, list[int]] = defaultdict(list)
    last = max(found.scored, default=-1)
    for number in range(last + 1):
        by_region[found.evenings[number].region].append(number)
    counted = {region: int(found.is_scored[numbers].sum()) for region, numbers in by_region.items()}
    rows: list[Row] = []
    cases = [(per_day, count) for per_day in (QUICK_PER_DAY if quick else PER_DAY) for count in slots]
    with reporter.bar("policies", len(cases) * max(1, len(by_region))) as bar:
        done = 0
        for per_day, count in cases:
            means: dict[str, list[float]] = defaultdict(list)
            rule = learned_rule(found, per_day, count, RULES, RULE, pull_cost=0.0, quick=quick)
            for region, numbers in by_region.items():
                done += 1
                bar.update(done)
                days = min((QUICK_PER_DAY if quick else PER_DAY)[per_day], counted[region])
                if not days:
                    continue
                for policy, value in _site(found, numbers[-days - WARM_UP :], days, per_day, count, rule).items():
                    means[policy].append(value)
            rows += _rows(means, f"{name}policies/R{per_day}/K{count}")
    return rows


def _rows(means: Mapping[str, Sequence[float]], case: str) -> list[Row]:
    """Over countries; ours has to be at least the best rival, by the mean of all."""
    best = max((float(np.mean(means[rival])) for rival in RIVALS if means.get(rival)), default=None)
    rows = []
    for policy, values in means.items():
        goals = {"must": best, "aim": best * AIM if best > 0 else best} if policy == OURS and best is not None else {}
        rows.append(spread(policy, case, "offload after fill", values, **goals))
    return [row for row in rows if row is not None]


def _site(
    found: Expectations, numbers: Sequence[int], counted: int, per_day: int, slots: int, rule: Rule
) -> dict[str, float]:
    """Each policy's offload after fill over the last `counted` of these evenings of one country."""
    evenings = [found.evenings[number] for number in numbers]
    streams = [draw(evening, per_day, SEED) for evening in evenings]
    by_rank = [
        _ranked(evening, found.of[PERSISTENCE][number]) for evening, number in zip(evenings, numbers, strict=True)
    ]
    saved: dict[str, Floats] = {"no fill": np.zeros(len(evenings))}
    warm = by_rank[0][:slots]
    for policy in CACHES:
        saved[policy] = _cache(policy, warm, streams, slots)
    saved["yesterday"] = _nightly([ranked[:slots] for ranked in by_rank], streams)
    best = [one.demand.item[np.argsort(-one.demand.amount, kind="stable")[:slots]] for one in evenings]
    expected = [found.of[OURS][number] for number in numbers]
    saved[OURS] = _ours(evenings, expected, warm, streams, per_day, slots, rule, saved)
    saved["static oracle"] = _nightly([one.tolist() for one in best], streams)
    asked = sum(len(stream.item) for stream in streams[-counted:])
    return {policy: float(days[-counted:].sum() / max(1, asked)) for policy, days in saved.items()}


def _ranked(evening: Evening, expected: Floats) -> list[int]:
    return [int(item) for item in evening.candidates.item[np.argsort(-expected, kind="stable")]]


def _cache(policy: str, warm: Sequence[int], streams: Sequence[Stream], slots: int) -> Floats:
    """Hits by day."""
    from fill.simulate.caches import hits

    asked = np.concatenate([np.array(warm[::-1], np.int64), *(stream.item for stream in streams)])
    found = hits(policy, slots, asked, np.ones(len(asked), np.int64))[len(warm) :]
    ends = np.cumsum([len(stream.item) for stream in streams])
    return np.array([part.sum() for part in np.split(found, ends[:-1])], np.float64)


def _nightly(held: Sequence[Sequence[int]], streams: Sequence[Stream]) -> Floats:
    """Hits less fills by day; what is held on the first day is there for nothing, as it is for caches."""
    saved = []
    before = set(held[0])
    for now, stream in zip(held, streams, strict=True):
        saved.append(float(np.isin(stream.item, np.array(now)).sum()) - len(set(now) - before))
        before = set(now)
    return np.array(saved)


def _ours(
    evenings: Sequence[Evening],
    expected: Sequence[Floats],
    warm: Sequence[int],
    streams: Sequence[Stream],
    per_day: int,
    slots: int,
    rule: Rule,
    rivals: Mapping[str, Floats],
) -> Floats:
    """Day by day: the night's plan, the day's swaps; or the rival that did better lately."""
    saved: list[float] = []
    offloads: dict[str, list[float]] = {OURS: [], **{policy: [] for policy in RIVALS}}
    held, follows = list(warm), OURS
    for day, (evening, stream) in enumerate(zip(evenings, streams, strict=True)):
        asked_a_day = per_day * (1 + NOISE)
        share = shares(evening, expected[day])
        planned = _kept(held, {item: one * asked_a_day for item, one in share.items()}, slots)
        fills = len(set(planned) - set(held))
        posterior = Posterior(planned, share, asked_a_day, rule)
        hits = sum(
            posterior.ask(item, elapsed)[0]
            for item, elapsed in zip(stream.item.tolist(), stream.elapsed.tolist(), strict=True)
        )
        held = list(posterior.held)
        offloads[OURS].append((hits - fills) / max(1, len(stream.item)))
        for policy in RIVALS:
            offloads[policy].append(rivals[policy][day] / max(1, len(stream.item)))
        saved.append(hits - fills if follows == OURS else float(rivals[follows][day]))
        # Another policy's content has to be brought in first.
        after = prefer(offloads, follows, change=slots / asked_a_day)
        if after != follows and day + 1 < len(evenings):
            saved[-1] -= slots
        follows = after
    return np.array(saved)


def _kept(held: Sequence[int], plays: Mapping[int, float], slots: int) -> list[int]:
    """Tonight's content: the best by expected plays, a held one counting for what it saves by being there."""
    worth: Mapping[int, float] = {**dict.fromkeys(held, WORTH_A_FILL), **plays}
    bonus = set(held)
    ranked: Ints | list[int] = sorted(
        worth, key=lambda item: worth[item] + (WORTH_A_FILL if item in bonus else 0.0), reverse=True
    )
    return list(ranked[:slots])
