"""The envelope, against examples of others: RFC 8392, cose-wg/Examples, Eyevinn/node-cat."""

from __future__ import annotations

import contextlib
import random
from typing import Any

import cbor2
import pytest
from cbor2 import CBORTag
from hypothesis import given
from hypothesis import strategies as st

from oca.errors import TokenError
from oca.tokens import base64url
from oca.tokens.envelope import LARGEST_TOKEN, open_message, open_token, seal
from tests.oca.tokens.keyring import ED25519, MAC, P384, SECRET, SIGNER, key, keyring, octets, rsa_jwk, token

CLAIMS: dict[int | str, object] = {
    1: "coap://as.example.com", 2: "erikw", 3: "coap://light.example.com", 4: 1444064944, 5: 1443944944, 6: 1443944944,
    7: b"\x0bq",
}  # fmt: skip
# RFC 8392 A.3 and A.4; the latter has an 8-byte MAC.
SIGNED = (
    "d28443a10126a104524173796d6d657472696345434453413235365850a70175636f61703a2f2f61732e6578616d706c652e636f6d02656572"
    "696b77037818636f61703a2f2f6c696768742e6578616d706c652e636f6d041a5612aeb0051a5610d9f0061a5610d9f007420b7158405427c1"
    "ff28d23fbad1f29c4c7c6a555e601d6fa29f9179bc3d7438bacaca5acd08c8d4d4f96131680c429a01f85951ecee743a52b9b63632c5720912"
    "0e1c9e30"
)
MACED = (
    "d83dd18443a10104a1044c53796d6d65747269633235365850a70175636f61703a2f2f61732e6578616d706c652e636f6d02656572696b7703"
    "7818636f61703a2f2f6c696768742e6578616d706c652e636f6d041a5612aeb0051a5610d9f0061a5610d9f007420b7148093101ef6d789200"
)
# cose-wg/Examples: CWT/A_3.json (no kid, times in tag 1) and CWT/A_4.json.
DRAFT_SIGNED = (
    "D28447A20319FDE80126A05853A70175636F61703A2F2F61732E6578616D706C652E636F6D02656572696B77037818636F61703A2F2F6C6967"
    "68742E6578616D706C652E636F6D04C11A5612AEB005C11A5610D9F006C11A5610D9F007420B7158408CAAD9EBD60E5F41CD683771E8A02CAD"
    "E07D894DD1CFAF3A23C6481546E78FEBC0C13E8F649096F347480DB3E8C16CDDC04116A3874CF0A4DA2F4CB2D67C8EB0"
)
DRAFT_SIGNER = {
    "kty": "EC", "kid": "draft", "alg": "ES256", "crv": "P-256",
    "x": octets("c4f9160fc22682991c59c4d96e8accc2da3cc7b7a9bc197c7c1e1bc6d0c1dc61"),
    "y": octets("feb11ca73b028a10cf77d58a2dfdf2a11eab8ffeeeaaeeb03097ffee9f3ef2fc"),
}  # fmt: skip
# cose-wg/Examples: mac0-tests/HMac-01.json, ecdsa-examples/ecdsa-sig-02.json, sign1-tests/sign-pass-01.json and -03.
CONTENT = b"This is the content."
MAC0 = (
    "D18443A10105A054546869732069732074686520636F6E74656E742E5820"
    "A1A848D3471F9D61EE49018D244C824772F223AD4F935293F1789FC3A08D8C58"
)
MAC0_KEY = {"kty": "oct", "kid": "our-secret", "alg": "HS256", "k": "hJtXIZ2uSN5kbQfbtTNWbpdmhkV8FJG-Onbc6mxCcYg"}
SIGN1_384 = (
    "D28444A1013822A104445033383454546869732069732074686520636F6E74656E742E5860"
    "B8F85EFF78C88F5351CED2F1887B79B296490795594B62E41E22529BB90208B7D8CDDD4A46D0E9C986464D83D0A5D1ED"
    "F39B3E2C5750364230D0E8D76460D8808E76C83830FBBD1978CC174066EB437F17887979ECF027DCC9D51BAF6C4FD8C0"
)
ELEVEN = {
    "kty": "EC", "kid": "11", "alg": "ES256", "crv": "P-256",
    "x": "usWxHK2PmfnHKwXPS54m0kTcGJ90UiglWiGahtagnv8", "y": "IBOL-C3BttVivg-lSreASjpkttcsz-1rb7btKLv8EX4",
}  # fmt: skip
ALG_UNPROTECTED = (
    "D28441A0A201260442313154546869732069732074686520636F6E74656E742E5840"
    "EAE868ECC176883766C5DC5BA5B8DCA25DAB3C2E56A551CE5705B793914348E1"
    "1A02E5F0344BF2D4EE5C7FD75A68A9F5E0B3CC1F1FC1409C189566586FF9D610"
)
UNTAGGED = (
    "8443A10126A10442313154546869732069732074686520636F6E74656E742E5840"
    "EAE868ECC176883766C5DC5BA5B8DCA25DAB3C2E56A551CE5705B793914348E1"
    "9F43D6C6BA654472DA301B645B293C9BA939295B97C4BDB847782BFF384C5794"
)
# Eyevinn/node-cat: src/index.test.ts and src/validators/http.test.ts. All are MACed with the key of RFC 8392 A.2.2,
# but name it as Akamai's generator does.
AKAMAI = {**MAC, "kid": "akamai_key_hs256"}
_HEAD = "2D3RhEOhAQWhBFBha2FtYWlfa2V5X2hzMjU2"
NODE_CAT: list[tuple[str, dict[int, object]]] = [
    (
        "U6MEGmfXP_YGGmfXQAsFGmfXQAtYINTT_KlOyhaV6NaSxFXkqJWfBagSkPkem10dysoA-C0w",
        {4: 1742159862, 5: 1742159883, 6: 1742159883},
    ),
    (
        "U6MEGnUCOrsGGmfXRKwFGmfXRKxYIOM6yRx830uqAamWFv1amFYRa5vaV2z5lIQTqFEvFh8z",
        {4: 1963080379, 5: 1742161068, 6: 1742161068},
    ),
    (
        "V6MDgmNvbmVjdHdvBhpn12R8BRpn12R8WCAdnSbUN4KbIvaHLn-q4f4YRpfq6ERYotByjbIyZ-EkfQ",
        {3: ["one", "two"], 5: 1742169212, 6: 1742169212},
    ),
    (
        "VKMBZWpvbmFzBhpn12U-BRpn12U-WCDf1xHvhcnvyXUxd-DP4RAbayc8nC2PLJPPPbF3S00ruw",
        {1: "jonas", 5: 1742169406, 6: 1742169406},
    ),
    (
        "WCijAXgYY29hcDovL2pvbmFzLmV4YW1wbGUuY29tBhpn1JipBRpn1JipWCCX4nQb8SYQoa0SFLxE2Rh35DdTjoA9TzOSy1IP9O1BGQ",
        {1: "coap://jonas.example.com", 5: 1741985961, 6: 1741985961},
    ),
]
# Its labels are text ("4": the key's name is not found) and its maps are in tag 259, as cbor-x writes them.
CATU_TOKEN = (
    "2D3RhEOhAQW5AAFhNExTeW1tZXRyaWMyNTZYO9kBA6IBZ2V5ZXZpbm4ZATjZAQOjANkBA6EAZWh0dHBzA9kBA6EBaC9jb250ZW50CNkBA6EAZS5t"
    "M3U4WCCD42NQN46M44nvyg4eD4tKUo2-spMlXhtOHW3IiUFiXg=="
)


def hex_token(text: str) -> str:
    return base64url.encode(bytes.fromhex(text))


def crafted(
    protected: Any = None,
    unprotected: Any = None,
    payload: Any = None,
    *,
    tag: int = 17,
    jwk: Any = MAC,
    cwt: bool = True,
) -> str:
    """A token whose signature holds, whatever its parts are."""
    headers = cbor2.dumps({1: key(jwk).algorithm} if protected is None else protected)
    body = payload if isinstance(payload, bytes) else cbor2.dumps({2: "erikw"} if payload is None else payload)
    signed = cbor2.dumps(["MAC0" if tag == 17 else "Signature1", headers, b"", body])
    others = {4: jwk["kid"].encode()} if unprotected is None else unprotected
    message = CBORTag(tag, [headers, others, body, key(jwk).sign(signed)])
    return base64url.encode(cbor2.dumps(CBORTag(61, message) if cwt else message))


def test_the_signed_example_of_rfc_8392_holds() -> None:
    assert open_token(hex_token(SIGNED), keyring(SIGNER, MAC)).claims == CLAIMS


def test_the_maced_example_of_rfc_8392_holds_for_a_key_that_may_be_cut() -> None:
    assert open_token(hex_token(MACED), keyring({**MAC, "alg": "HS256/64"})).claims == CLAIMS
    with pytest.raises(TokenError) as caught:
        open_token(hex_token(MACED), keyring(MAC))
    assert caught.value.claim == "alg"


def test_the_cwt_examples_of_the_cose_working_group_hold() -> None:
    claims = open_token(hex_token(DRAFT_SIGNED), keyring(DRAFT_SIGNER)).claims
    assert claims[4] == CBORTag(1, 1444064944)


@pytest.mark.parametrize(("message", "jwk"), [(MAC0, MAC0_KEY), (SIGN1_384, P384)], ids=["HMac-01", "ecdsa-sig-02"])
def test_the_messages_of_the_cose_working_group_hold(message: str, jwk: dict[str, str]) -> None:
    assert open_message(bytes.fromhex(message), keyring(jwk))[1] == CONTENT


@pytest.mark.parametrize(("message", "claim"), [(ALG_UNPROTECTED, "alg"), (UNTAGGED, "format")])
def test_messages_that_leave_room_for_doubt_are_refused(message: str, claim: str) -> None:
    with pytest.raises(TokenError) as caught:
        open_message(bytes.fromhex(message), keyring(ELEVEN))
    assert caught.value.claim == claim


@pytest.mark.parametrize(("tail", "claims"), NODE_CAT)
def test_the_tokens_of_node_cat_hold(tail: str, claims: dict[int, object]) -> None:
    assert open_token(_HEAD + tail, keyring(AKAMAI)).claims == claims


def test_maps_as_cbor_x_writes_them_are_read() -> None:
    claims = open_token(CATU_TOKEN, keyring(MAC)).claims
    assert claims[1] == "eyevinn"
    assert isinstance(claims[312], CBORTag)


@pytest.mark.parametrize("jwk", [MAC, SIGNER, P384, ED25519, rsa_jwk()], ids=lambda jwk: jwk["alg"])
def test_what_is_sealed_is_opened(jwk: dict[str, str]) -> None:
    opened = open_token(token(CLAIMS, jwk), keyring(jwk))
    assert (opened.claims, opened.key.kid) == (CLAIMS, jwk["kid"].encode())


def test_the_cwt_tag_may_be_absent() -> None:
    assert open_token(crafted(cwt=False), keyring(MAC)).claims == {2: "erikw"}


@pytest.mark.parametrize("where", ["protected", "unprotected"])
def test_the_key_is_named_in_either_header(where: str) -> None:
    named = {1: 5, 4: b"Symmetric256"} if where == "protected" else {1: 5}
    text = crafted(named, {} if where == "protected" else {4: "Symmetric256"})
    assert open_token(text, keyring(MAC, {**MAC, "kid": "another"})).claims


def test_a_token_that_names_no_key_needs_there_to_be_one() -> None:
    assert open_token(crafted(None, {}), keyring(MAC, SIGNER)).claims
    with pytest.raises(TokenError) as caught:
        open_token(crafted(None, {}), keyring(MAC, {**MAC, "kid": "another"}))
    assert caught.value.claim == "kid"


@pytest.mark.parametrize(
    ("text", "claim"),
    [
        (crafted(None, {4: b"unknown"}), "kid"),
        (crafted(None, {4: 7}), "kid"),
        (crafted({}), "alg"),
        (crafted({1: "HS256"}), "alg"),
        (crafted({1: True}), "alg"),
        (crafted({1: -7}), "alg"),
        (crafted({1: 5, 2: []}), "crit"),
        (crafted({1: 5, 2: [99]}), "crit"),
        (crafted({1: 5, 2: [99], 99: 1}), "crit"),
        (crafted({1: 5, 2: [3]}), "crit"),
        (crafted({1: 5, 2: 1}), "crit"),
        (crafted({1: 5}, {2: [1], 4: b"Symmetric256"}), "crit"),
        (crafted(tag=18), "alg"),
        (crafted(tag=18, jwk=SIGNER)[:-4] + "AAAA", "signature"),
        (crafted(payload=[]), "format"),
        (crafted(payload={True: 1}), "format"),
        (crafted(payload={1.5: 1}), "format"),
        (crafted(payload=b""), "format"),
        (crafted(payload=b"\xbf\xff"), "format"),
        (crafted(payload=b"\xa2\x01\x61a\x01\x61b"), "format"),
        (crafted() + "AAAA", "format"),
        (crafted()[:-4], "format"),
        (crafted([]), "format"),
        (crafted(None, []), "format"),
        ("", "format"),
        ("A" * (LARGEST_TOKEN + 4), "format"),
        (base64url.encode(b"\x81" * 3000), "format"),
        (base64url.encode(b"\xd8\x3d" * 1500), "format"),
        (base64url.encode(b"\x9f" * 3000), "format"),
        (base64url.encode(b"\xd8\x23\x78\xff" + b"(" * 255), "format"),
        (base64url.encode(b"\x9b" + b"\xff" * 8), "format"),
        (base64url.encode(cbor2.dumps(CBORTag(61, CBORTag(61, CBORTag(17, [b"", {}, b"", b""]))))), "format"),
        (base64url.encode(cbor2.dumps(CBORTag(17, [b"", {}, None, b""]))), "format"),
        (base64url.encode(cbor2.dumps(CBORTag(97, [b"", {}, b"", b"", []]))), "format"),
    ],
)
def test_a_bad_token_is_401_and_says_why(text: str, claim: str) -> None:
    with pytest.raises(TokenError) as caught:
        open_token(text, keyring(MAC, SIGNER))
    assert (caught.value.claim, caught.value.status) == (claim, 401)


def test_critical_headers_that_are_understood_pass() -> None:
    assert open_token(crafted({1: 5, 2: [1, 4]}), keyring(MAC)).claims


def test_a_public_key_is_no_secret_for_a_mac() -> None:
    forged = {"kty": "oct", "kid": SIGNER["kid"], "alg": "HS256", "k": SIGNER["x"]}
    with pytest.raises(TokenError) as caught:
        open_token(token(CLAIMS, forged), keyring(SIGNER))
    assert caught.value.claim == "alg"


def test_the_sentence_says_nothing_of_the_keys() -> None:
    for text in (crafted(None, {4: b"unknown"}), crafted({1: -7}), crafted()[:-4] + "AAAA"):
        with pytest.raises(TokenError) as caught:
            open_token(text, keyring(MAC))
        assert "Symmetric256" not in str(caught.value)
        assert SECRET not in str(caught.value)


def test_twenty_thousand_mutations_of_a_token_never_make_another() -> None:
    choice = random.Random(5007)
    keys = keyring(MAC, {**SIGNER, "kid": "another"})
    good = base64url.decode(seal(CLAIMS, key(MAC)))
    for _ in range(20_000):
        text = base64url.encode(_mutated(good, choice))
        with contextlib.suppress(TokenError):
            assert open_token(text, keys).claims == CLAIMS


def _mutated(good: bytes, choice: random.Random) -> bytes:
    data = bytearray(good)
    for _ in range(choice.randint(1, 3)):
        at = choice.randrange(len(data))
        match choice.randrange(5):
            case 0:
                data[at] ^= 1 << choice.randrange(8)
            case 1:
                data[at] = choice.randrange(256)
            case 2:
                del data[at:]
            case 3:
                data[at:at] = choice.randbytes(choice.randint(1, 8))
            case 4:
                data[at : at + choice.randint(1, 8)] = b""
        if not data:
            break
    return bytes(data)


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(TokenError):
        open_token(base64url.encode(data), keyring(MAC))


@given(st.text(max_size=300))
def test_random_text_is_refused(text: str) -> None:
    with pytest.raises(TokenError):
        open_token(text, keyring(MAC))


_CBOR = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.binary(max_size=9) | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.integers(-20, 330) | st.text(max_size=4), inner, max_size=4)
        | st.builds(CBORTag, st.sampled_from([1, 2, 4, 17, 18, 28, 29, 35, 37, 52, 54, 61, 258, 259]), inner)
    ),
    max_leaves=12,
)


@given(_CBOR, _CBOR, _CBOR, _CBOR)
def test_random_cbor_in_an_envelope_is_refused(protected: Any, unprotected: Any, payload: Any, signature: Any) -> None:
    for parts in ([protected, unprotected, payload, signature], [cbor2.dumps(protected), unprotected, b"", b""]):
        with pytest.raises(TokenError):
            open_token(base64url.encode(cbor2.dumps(CBORTag(17, parts))), keyring(MAC))
