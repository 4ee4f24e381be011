from __future__ import annotations

import numpy as np

from fill.forecast.daily import forecast
from fill.forecast.learned import LEAST_DAYS, learned
from fill.history import History, flat_rhythm
from fill.names import FileName, Offer
from tests.fill.catalogs import MIB, NOW, make_offer

DAYS = 24


def network(seed: int = 1, regions: int = 3, *, fades: bool = True) -> tuple[list[Offer], list[History]]:
    """Titles that are published every day and, if they fade, are watched for two days; others are watched evenly."""
    random = np.random.default_rng(seed)
    count = 300
    age = random.integers(0, DAYS, count)
    offers = [make_offer(f"t{number}", video={"v": 8 * MIB}, age_s=age[number] * 86400.0) for number in range(count)]
    appeal = random.pareto(1.5, count) * 20 + 1
    histories = []
    for region in range(regions):
        since = np.arange(DAYS)[None, :] - (DAYS - 1 - age)[:, None]
        lives = ((since >= 0) & (since < 2)) | (np.arange(count)[:, None] % 3 == 0) if fades else since >= -99
        served = appeal[:, None] * lives * random.lognormal(0, 0.1, (count, DAYS)) * 8 * MIB
        files = [FileName(f"t{number}", "v.mp4") for number in range(count)]
        histories.append(History(f"r{region}", NOW, files, served, DAYS, served * 0, flat_rhythm()))
    return offers, histories


def test_what_fades_is_learnt_to_fade() -> None:
    offers, histories = network()
    found = learned(offers, histories, NOW, rounds=40)
    assert found is not None
    plays = {offer.package.title: histories[0].served[number, -1] / MIB / 8 for number, offer in enumerate(offers)}
    over = {t for t in found if plays[t] > 5 and int(t[1:]) % 3 and offers[int(t[1:])].published_at <= NOW - 86400.0}
    stays = {t for t in found if plays[t] > 5 and int(t[1:]) % 3 == 0}
    assert over
    assert np.mean([found[t] / plays[t] for t in over]) < 0.5 * np.mean([found[t] / plays[t] for t in stays])


def test_where_yesterday_says_it_all_there_is_no_answer() -> None:
    offers, histories = network(fades=False)
    assert learned(offers, histories, NOW, rounds=20) is None


def test_too_few_days_teach_nothing() -> None:
    offers, histories = network()
    short = [
        History(one.region, NOW, one.files, one.served, LEAST_DAYS - 1, one.sessions, one.rhythm) for one in histories
    ]
    assert learned(offers, short, NOW) is None
    assert learned(offers, [], NOW) is None


def test_a_forecast_takes_what_was_learnt() -> None:
    offers, histories = network()
    made = forecast(offers, histories[0], now=NOW, learnt={"t0": 123.0})
    assert made.model == "boosted"
    assert made.expected[FileName("t0", "v.mp4")].plays == 123
    assert "by the model" in made.expected[FileName("t0", "v.mp4")].reason
