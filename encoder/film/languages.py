"""Language tags: what containers carry (ISO 639-2) as what manifests carry (BCP 47), and what people read.

BCP 47 (RFC 5646 section 2.2.1) demands the shortest code, so "eng" must become "en": players compare the text with the
viewer's preference and find nothing otherwise. Languages that are not here keep their three letters, which is right
for those that have no two.
"""

from __future__ import annotations

import re

# Two letters, the three-letter codes of ISO 639-2 (terminology, then bibliographic where another exists), own name.
_LANGUAGES = (
    ("ar", "ara", "العربية"), ("bg", "bul", "Български"), ("bn", "ben", "বাংলা"), ("ca", "cat", "Català"),
    ("cs", "ces cze", "Čeština"), ("da", "dan", "Dansk"), ("de", "deu ger", "Deutsch"), ("el", "ell gre", "Ελληνικά"),
    ("en", "eng", "English"), ("es", "spa", "Español"), ("et", "est", "Eesti"), ("eu", "eus baq", "Euskara"),
    ("fa", "fas per", "فارسی"), ("fi", "fin", "Suomi"), ("fr", "fra fre", "Français"), ("ga", "gle", "Gaeilge"),
    ("gl", "glg", "Galego"), ("he", "heb", "עברית"), ("hi", "hin", "हिन्दी"), ("hr", "hrv", "Hrvatski"),
    ("hu", "hun", "Magyar"), ("hy", "hye arm", "Հայերեն"), ("id", "ind", "Bahasa Indonesia"),
    ("is", "isl ice", "Íslenska"), ("it", "ita", "Italiano"), ("ja", "jpn", "日本語"), ("ka", "kat geo", "ქართული"),
    ("ko", "kor", "한국어"), ("lt", "lit", "Lietuvių"), ("lv", "lav", "Latviešu"), ("mk", "mkd mac", "Македонски"),
    ("ms", "msa may", "Bahasa Melayu"), ("nb", "nob", "Norsk bokmål"), ("nl", "nld dut", "Nederlands"),
    ("nn", "nno", "Norsk nynorsk"), ("no", "nor", "Norsk"), ("pl", "pol", "Polski"), ("pt", "por", "Português"),
    ("ro", "ron rum", "Română"), ("ru", "rus", "Русский"), ("sk", "slk slo", "Slovenčina"),
    ("sl", "slv", "Slovenščina"), ("sq", "sqi alb", "Shqip"), ("sr", "srp", "Српски"), ("sv", "swe", "Svenska"),
    ("sw", "swa", "Kiswahili"), ("ta", "tam", "தமிழ்"), ("te", "tel", "తెలుగు"), ("th", "tha", "ไทย"),
    ("tr", "tur", "Türkçe"),
    ("uk", "ukr", "Українська"), ("ur", "urd", "اردو"), ("vi", "vie", "Tiếng Việt"), ("zh", "zho chi", "中文"),
)  # fmt: skip
_SHORTEST = {long: short for short, longs, _ in _LANGUAGES for long in longs.split()}
_NAMES = {short: name for short, _, name in _LANGUAGES}
_TAG = re.compile(r"([a-z]{2,3})((?:-[a-z0-9]{2,8})*)", re.IGNORECASE)


def language_tag(written: str) -> str:
    """The BCP 47 tag for what a container says ("eng", "fre", "pt-BR", ""); "und" for anything unusable."""
    match = _TAG.fullmatch(written.strip().replace("_", "-"))
    if match is None:
        return "und"
    primary = match[1].lower()
    return _SHORTEST.get(primary, primary) + match[2]


def language_name(tag: str) -> str:
    """The language's own name; the tag itself if we do not know it, and "" for an undetermined one."""
    return "" if tag == "und" else _NAMES.get(tag.partition("-")[0], tag)
