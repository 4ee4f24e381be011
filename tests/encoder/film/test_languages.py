from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from encoder.film.languages import language_name, language_tag


@pytest.mark.parametrize(
    ("written", "tag"),
    [("eng", "en"), ("ger", "de"), ("deu", "de"), ("EN", "en"), ("pt-BR", "pt-BR"), ("zho_TW", "zh-TW"), ("gsw", "gsw"),
     ("", "und"), ("und", "und"), ("English (US)", "und"), ('e"n', "und")],
)  # fmt: skip
def test_codes_become_the_shortest_tag(written: str, tag: str) -> None:
    assert language_tag(written) == tag


@given(st.text(max_size=12))
def test_every_tag_is_safe_in_a_manifest(written: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9-]{2,}", language_tag(written))


def test_names_are_the_languages_own() -> None:
    assert (language_name("de"), language_name("pt-BR"), language_name("gsw"), language_name("und")) == (
        "Deutsch", "Português", "gsw", "",
    )  # fmt: skip
