"""Each rule is broken by one change in an MPD that keeps all of them; mpegdash is the second reader."""

from __future__ import annotations

import pytest
from lxml import etree
from mpegdash.parser import MPEGDASHParser

from encoder.rules import grammar
from encoder.rules.dash import broken_rules
from tests.encoder.rules.film import MPD, PACKAGE, manifest

PROTECTION = (
    '<ContentProtection xmlns:cenc="urn:mpeg:cenc:2013" schemeIdUri="urn:mpeg:dash:mp4protection:2011" value="cbcs" '
    'cenc:default_KID="0"/>'
)
SCHEME = 'schemeIdUri="urn:mpeg:mpegB:cicp:TransferCharacteristics" value="16"'


def broken(before: str, after: str) -> list[str]:
    text = manifest()
    assert before in text
    return [str(finding) for finding in broken_rules(MPD, text.replace(before, after, 1).encode(), PACKAGE)]


def test_our_own_mpd_keeps_every_rule_and_is_read_the_same_by_another_reader() -> None:
    assert list(broken_rules(MPD, manifest().encode(), PACKAGE)) == []
    (period,) = MPEGDASHParser.parse(manifest()).periods
    ids = {stream.id for of_set in period.adaptation_sets for stream in of_set.representations}
    assert ids == {rendition.name for rendition in PACKAGE.renditions}


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("</MPD>", "", "is not XML"),
        ("urn:mpeg:dash:schema:mpd:2011", "urn:other", "the root is {urn:other}MPD"),
        ('minBufferTime="PT4.004S"', "", "MPD: has no 'minBufferTime'"),
        ('minBufferTime="PT4.004S"', 'minBufferTime="4 s"', "minBufferTime='4 s' is not of its type"),
        ('type="static"', 'type="static" steered="1"', "attribute 'steered' is not in the schema"),
        ('contentType="video"', 'contentType="film"', "contentType='film' is not of its type"),
        ('<S d="96096" r="1"/>', '<S r="1"/>', "S: has no 'd'"),
        ('lang="en"', 'lang="English (US)"', "lang='English (US)' is not of its type"),
        ("<Label>English</Label>", "<Name>English</Name>", "AdaptationSet: Name may not stand here"),
        ('value="main"/>', f'value="main"/><SupplementalProperty {SCHEME}/>', "SupplementalProperty stands after Role"),
        ("<Label>", f'<Note xmlns="urn:own"/>{PROTECTION}<Label>', "stands after elements of other namespaces"),
        ('type="static"', 'type="dynamic"', "is not static"),
        ('mediaPresentationDuration="PT10.01S"', "", "has no mediaPresentationDuration"),
        ('Duration="PT10.01S"', 'Duration="PT10S"', "lasts 10.000 s, expected 10.010 s as the film"),
        ('id="v720"', 'id="v360"', "2 Representations have the id 'v360'"),
        ('id="v720"', 'id="v360"', "v720 is in the package and not offered"),
        ('<AdaptationSet id="2"', '<AdaptationSet id="1"', "2 AdaptationSets have the id '1'"),
        ('codecs="mp4a.40.2"', "", "has no codecs"),
        ('width="640"', "", "has no width"),
        ('bandwidth="80"', 'bandwidth="0"', "bandwidth is 0"),
        ("<BaseURL>t1.vtt", "<BaseURL>t2.vtt", "has no file 't2.vtt'"),
        ("$RepresentationID$/init.mp4", "$RepresentationID$-init.mp4", "has no file 'v360-init.mp4'"),
        ('startNumber="1"', 'startNumber="2"', "has no segment '4.m4s'"),
        ('<S d="48048"/>', '<S d="48048"/><S d="48048"/>', "has no segment '4.m4s'"),
        ('<S d="48048"/>', "", "lasts 8.008 s, expected 10.010 s as the film"),
    ],
)
def test_broken_rule_is_told(before: str, after: str, complaint: str) -> None:
    found = broken(before, after)
    assert any(complaint in says for says in found), found


def test_what_films_may_carry_beside_is_taken() -> None:
    text = manifest().replace("<Label>", f"{PROTECTION}<EssentialProperty {SCHEME}/><Label>", 1)
    assert list(broken_rules(MPD, text.encode(), PACKAGE)) == []


def test_set_that_claims_alignment_and_has_none_is_told() -> None:
    def template(first: int) -> str:
        entries = f'<S d="{first}"/><S d="{192192 - first}"/><S d="48048"/>'
        return (
            '<SegmentTemplate timescale="24000" media="$RepresentationID$/$Number%01d$.m4s" '
            f'initialization="$RepresentationID$/init.mp4"><SegmentTimeline>{entries}</SegmentTimeline>'
            "</SegmentTemplate></Representation>"
        )

    text = manifest().replace('sar="1:1"/>', f'sar="1:1">{template(96096)}', 1)
    assert list(broken_rules(MPD, text.encode(), PACKAGE)) == []
    text = text.replace('sar="1:1"/>', f'sar="1:1">{template(90090)}', 1)
    assert ["not aligned" in str(one) for one in broken_rules(MPD, text.encode(), PACKAGE)] == [True]


def test_entities_of_a_document_are_not_followed() -> None:
    text = '<!DOCTYPE MPD [<!ENTITY a SYSTEM "file:///etc/passwd">]>' + manifest().partition("?>")[2]
    text = text.replace("English", "&a;", 1)
    assert not any("root:" in str(finding) for finding in broken_rules(MPD, text.encode(), PACKAGE))


def test_segments_by_duration_are_counted_and_looked_up() -> None:
    tiles = (
        '<AdaptationSet id="9" contentType="image" mimeType="image/jpeg">'
        '<SegmentTemplate media="tiles-$Number$.jpg" duration="5" startNumber="1"/>'
        '<Representation id="tiles" bandwidth="1000" width="1" height="1"/></AdaptationSet></Period>'
    )
    found = broken("</Period>", tiles)
    assert [says.rpartition(" ")[2] for says in found] == ["'tiles-1.jpg'", "'tiles-2.jpg'", "'tiles-3.jpg'"]


def test_grammar_names_the_line() -> None:
    root = etree.fromstring(manifest().replace('id="v720"', 'id="v 720"').encode())
    (found,) = grammar.broken_rules(MPD, root)
    assert str(found) == "manifest.mpd, line 6, Representation: id='v 720' is not of its type"
