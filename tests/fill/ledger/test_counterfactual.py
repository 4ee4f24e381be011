from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from fill.ledger.accounts import Accounts
from fill.ledger.counterfactual import Appliance, more_capacity, more_storage, saved_at
from fill.ledger.join import Entry
from fill.ledger.reasons import Reason
from fill.names import FileName
from tests.fill.ledger.values import answer

TB = 10**12


def file(name: str) -> FileName:
    return FileName("film", name)


def test_storage_is_filled_with_what_was_missed_most_for_each_byte() -> None:
    missed = {file("hot"): 100, file("large"): 900, file("cold"): 10, file("unknown"): 10**6}
    sizes = {file("hot"): 10, file("large"): 1000, file("cold"): 100}
    assert more_storage(missed, sizes, 10) == 100
    assert more_storage(missed, sizes, 110) == 110
    assert more_storage(missed, sizes, 1010) == 1000
    assert more_storage(missed, sizes, 0) == 0


@given(
    st.dictionaries(st.text("abc", min_size=1, max_size=3).map(file), st.tuples(st.integers(1, 99), st.integers(1, 99)))
)
def test_storage_for_everything_saves_everything_and_less_never_more(files: dict[FileName, tuple[int, int]]) -> None:
    missed = {name: one for name, (one, _) in files.items()}
    sizes = {name: size for name, (_, size) in files.items()}
    assert more_storage(missed, sizes, sum(sizes.values())) == sum(missed.values())
    assert more_storage(missed, sizes, sum(sizes.values()) // 2) <= sum(missed.values())


def test_an_appliance_serves_no_more_in_an_hour_than_it_can() -> None:
    assert more_capacity({1: 100, 2: 10**15}, 8 * 10**9) == 100 + 3600 * 10**9


def test_a_site_would_have_saved_what_it_missed() -> None:
    accounts = Accounts()
    accounts.add(
        [
            Entry(answer(size=500), "", "north", Reason.CONTENT),
            Entry(answer(size=30, file="unsized"), "", "north", Reason.CONTENT),
            Entry(answer(size=7), "", "north", Reason.CAPACITY),
            Entry(answer(size=4000), "", "south", Reason.CONTENT),
            Entry(answer(size=90000), "", "north", Reason.HEALTH),
        ]
    )
    sizes = {FileName("film", "v720.mp4"): TB}
    saved = saved_at("north", accounts, sizes, Appliance(TB // 2, 8 * 10**9))
    assert (saved.by_storage, saved.by_appliance, saved.unsized) == (500, 7, 30)
    assert saved_at("nowhere", accounts, sizes, Appliance(TB, 1)) == ("nowhere", 0, 0, 0)
