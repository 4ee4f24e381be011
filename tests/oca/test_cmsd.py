from __future__ import annotations

import http_sf
import pytest
from hypothesis import given
from hypothesis import strategies as st

from oca.cmsd import dynamic

NUMBERS = st.none() | st.integers(0, 10**9)


def test_members_are_written_as_the_standard_writes_them() -> None:
    # CTA-5006, and svta/common-media-library libs/cmsd/test/data/CMSD_DYNAMIC_LIST.ts.
    assert dynamic("CDNB-3ak1", etp_kbps=96, rtt_ms=8) == '"CDNB-3ak1";etp=96;rtt=8'
    assert dynamic("CDNA-312.663", etp_kbps=115, rtt_ms=16, mb_kbps=5000) == '"CDNA-312.663";etp=115;rtt=16;mb=5000'
    everything = dynamic("CDNA-987", etp_kbps=76, rtt_ms=32, mb_kbps=5000, rd_ms=20, duress=True)
    assert everything == '"CDNA-987";etp=76;rtt=32;mb=5000;rd=20;du'
    assert dynamic("oca-1") == '"oca-1"'


@pytest.mark.parametrize("name", ["caf\u00e9", "a\r\nSet-Cookie: x", "\x7f"])
def test_a_name_that_would_break_the_header_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="expected printable ASCII"):
        dynamic(name)


@given(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)), NUMBERS, NUMBERS, NUMBERS, NUMBERS, st.booleans()
)
def test_what_is_written_reads_back_as_a_list_of_structured_fields(
    name: str, etp: int | None, rtt: int | None, mb: int | None, rd: int | None, duress: bool
) -> None:
    member = dynamic(name, etp_kbps=etp, rtt_ms=rtt, mb_kbps=mb, rd_ms=rd, duress=duress)
    said = {"etp": etp, "rtt": rtt, "mb": mb, "rd": rd, "du": duress or None}
    parameters = {key: value for key, value in said.items() if value is not None}
    assert http_sf.parse(f'"upstream";etp=1,{member}'.encode(), tltype="list") == [
        ("upstream", {"etp": 1}),
        (name, parameters),
    ]
