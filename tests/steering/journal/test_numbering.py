from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from oca.report import EVERY_FILE
from steering.journal.numbering import HeldBits, Numbering, pack

KEYS = st.integers(0, 40).map(lambda number: f"title-{number}/package")
FILES = st.sampled_from([EVERY_FILE, ("a.mp4",), ("a.mp4", "v.mp4")])
HELD = st.dictionaries(KEYS, FILES)


@given(HELD)
def test_what_is_held_is_the_same_as_bits(held: dict[str, tuple[str, ...]]) -> None:
    packed = pack(held, Numbering())
    assert dict(packed) == held
    assert len(packed) == len(held)
    assert packed.is_sound()


@given(HELD, HELD)
def test_the_difference_of_two_makes_one_of_the_other(
    before: dict[str, tuple[str, ...]], after: dict[str, tuple[str, ...]]
) -> None:
    numbering = Numbering()
    one, other = pack(before, numbering), pack(after, numbering)
    assert dict(one.changed(*other.since(one))) == after


def test_what_changes_little_is_said_in_little() -> None:
    numbering = Numbering()
    many = {f"title-{number}/p": EVERY_FILE for number in range(1000)}
    whole, parts = pack({**many, "new/p": ("a.mp4",)}, numbering).since(pack(many, numbering))
    assert not whole
    assert len(parts) == 1


def test_a_package_without_files_is_not_held() -> None:
    assert dict(pack({"film/p": ()}, Numbering())) == {}


def test_what_names_more_than_was_numbered_is_not_sound() -> None:
    numbering = Numbering()
    numbering.package("film/p")
    assert not HeldBits(numbering, b"\x02", {}).is_sound()
    assert not HeldBits(numbering, b"", {0: 5}).is_sound()
