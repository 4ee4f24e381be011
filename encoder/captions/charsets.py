"""What characters the bytes of a caption file are, which says nothing of it itself.

UTF-8 and UTF-16 are told by their marks and by their grammar, with certainty. What is neither was written on Windows
before, in the code page of its language, which only the file's name tells. Where that fits not, we refuse: wrong
letters for two hours are worse than a question.

Pure.
"""

from __future__ import annotations

import codecs

from encoder.errors import SourceError

_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
# Windows' code pages by language; 1252 serves Western Europe, and whoever names no language most often is there.
_CODE_PAGES = {
    **dict.fromkeys(("bs", "cs", "hr", "hu", "pl", "ro", "sk", "sl", "sq"), "cp1250"),
    **dict.fromkeys(("be", "bg", "kk", "mk", "ru", "sr", "uk"), "cp1251"),
    **dict.fromkeys(("et", "lt", "lv"), "cp1257"),
    "el": "cp1253", "tr": "cp1254", "he": "cp1255", "ar": "cp1256", "fa": "cp1256", "vi": "cp1258", "th": "cp874",
    "ja": "cp932", "ko": "cp949",
}  # fmt: skip
_WESTERN = frozenset({
    "af", "br", "ca", "da", "de", "en", "es", "eu", "fi", "fr", "fy", "ga", "gl", "id", "is", "it", "ms", "nb", "nl",
    "nn", "no", "pt", "rm", "sv", "sw", "und",
})  # fmt: skip
# Of all letters in a text of Western Europe those beyond ASCII: in French a twentieth, in a few words some more.
_MOST_ACCENTED = 0.8


def read_text(data: bytes, name: str, language: str) -> str:
    """The text of a caption file. Raises SourceError if it cannot be told what its bytes mean."""
    for mark, charset in _MARKS:
        if data.startswith(mark):
            return _decoded(data[len(mark) :], charset, name)
    if b"\0" in data:
        # No text has zero bytes but UTF-16, whose ASCII has one in two.
        return _decoded(data, "utf-16-be" if data.startswith(b"\0") else "utf-16-le", name)
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError as error:
        primary = language.partition("-")[0]
        charset = _CODE_PAGES.get(primary, "cp1252" if primary in _WESTERN else "")
        if not charset:
            line = data[: error.start].count(b"\n") + 1
            raise SourceError(
                f"{name}, line {line}: byte 0x{data[error.start]:02x} is not UTF-8, and no other encoding is known for "
                f"{language!r}; save it as UTF-8"
            ) from error
    return _decoded(data, charset, name)


def _decoded(data: bytes, charset: str, name: str) -> str:
    try:
        text = data.decode(charset)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise SourceError(
            f"{name}, line {line}: byte 0x{data[error.start]:02x} is neither UTF-8 nor {charset}; save it as UTF-8"
        ) from error
    if charset == "utf-8":
        return text
    # Where a code page has controls between its letters, those are no letters: it is not this code page.
    wrong = next((at for at, letter in enumerate(text) if "\x80" <= letter <= "\x9f" or letter == "\0"), -1)
    if wrong >= 0:
        line = text.count("\n", 0, wrong) + 1
        raise SourceError(f"{name}, line {line}: found no letter of {charset}; save it as UTF-8")
    if charset == "cp1252":
        _demand_western(text, name)
    return text


def _demand_western(text: str, name: str) -> None:
    """Raises SourceError for what is in another script: its letters are accented ones in the Western page."""
    letters = [at for at, letter in enumerate(text) if letter.isalpha()]
    accented = [at for at in letters if not text[at].isascii()]
    if len(accented) > _MOST_ACCENTED * len(letters):
        line = text.count("\n", 0, accented[0]) + 1
        raise SourceError(f"{name}, line {line}: in cp1252 nearly every letter has an accent; save it as UTF-8")
