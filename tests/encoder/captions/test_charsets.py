from __future__ import annotations

import pytest

from encoder.captions.charsets import read_text
from encoder.errors import SourceError


@pytest.mark.parametrize(
    ("text", "charset", "language"),
    [
        ("Grüße – ça va", "utf-8", "ru"),
        ("Grüße", "utf-8-sig", "und"),
        ("Grüße", "utf-16", "und"),
        ("Привет", "utf-16-le", "und"),
        ("12:00 Grüße", "utf-16-be", "und"),
        ("“Grüße” – 5 €", "cp1252", "de"),
        ("Привет", "cp1251", "ru"),
        ("Příliš žluťoučký", "cp1250", "cs"),
        ("こんにちは", "cp932", "ja"),
    ],
)
def test_letters_are_recognised(text: str, charset: str, language: str) -> None:
    # UTF-16 without a mark is known by its zero bytes, and every caption file has ASCII in it.
    assert read_text(f"1\n{text}\n".encode(charset), "film.srt", language) == f"1\n{text}\n"


def test_unknown_bytes_are_refused_with_their_line() -> None:
    with pytest.raises(SourceError, match=r"film\.srt, line 2: byte 0xe9 is not UTF-8, and no other .* 'hi'"):
        read_text(b"1\nd\xe9j\xe0\n", "film.srt", "hi")
    with pytest.raises(SourceError, match=r"film\.srt, line 3: byte 0x81 is neither UTF-8 nor cp1252"):
        read_text(b"1\n2\n\x81\xff\n", "film.srt", "en")
    with pytest.raises(SourceError, match="utf-16"):
        read_text("abc".encode("utf-16") + b"\x00", "film.srt", "en")
    with pytest.raises(SourceError, match="no letter of utf-16"):
        read_text(b"PK\x03\x04\x00\x00\x80\x00", "film.srt", "en")


def test_controls_in_utf_8_are_left_where_they_are_with_a_mark_or_without() -> None:
    for mark in (b"", b"\xef\xbb\xbf"):
        assert read_text(mark + "a\x85b".encode(), "film.srt", "en") == "a\x85b"


def test_page_of_another_script_is_not_taken_for_the_western_one() -> None:
    for language in ("und", "en"):
        with pytest.raises(SourceError, match=r"film\.srt, line 3: .* UTF-8"):
            read_text("1\n00:00:01,000 --> 00:00:02,000\nПривет, мир\n".encode("cp1251"), "film.srt", language)
