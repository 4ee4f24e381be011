"""Key files and CPIX documents for tests."""

from __future__ import annotations

import base64

LOW, HIGH, SOUND = (f"a7e61c373e214902b1bf7a4f2e3d1d0{number}" for number in range(3))
SECRETS = {
    LOW: "8d3a1f0c5e7b49268f0a1c2d3e4f5061",
    HIGH: "9e4b201d6f8c5a37901b2d3e4f506172",
    SOUND: "af5c312e709d6b48a12c3e4f50617283",
}
LICENCE_URL = "https://licences.example/clearkey"


def uuid(key_id: str) -> str:
    return f"{key_id[:8]}-{key_id[8:12]}-{key_id[12:16]}-{key_id[16:20]}-{key_id[20:]}"


def key_file(*, video: str = "video", more: str = "") -> str:
    """One key for pictures and one for sound, and ClearKey."""
    return f"""
[[keys]]
id = "{uuid(LOW)}"
key = "{SECRETS[LOW]}"
tracks = ["{video}"]

[[keys]]
id = "{SOUND}"
key = "{SECRETS[SOUND]}"
tracks = ["audio"]

[[systems]]
name = "clearkey"
licence_url = "{LICENCE_URL}"
{more}"""


def b64(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def content_key(key_id: str, attributes: str = "", data: str | None = None) -> str:
    secret = b64(bytes.fromhex(SECRETS[key_id]))
    plain = f"<Data><pskc:Secret><pskc:PlainValue>{secret}</pskc:PlainValue></pskc:Secret></Data>"
    return f'<ContentKey kid="{uuid(key_id)}" {attributes}>{plain if data is None else data}</ContentKey>'


def rule(key_id: str, inside: str = "", attributes: str = "") -> str:
    return f'<ContentKeyUsageRule kid="{uuid(key_id)}" {attributes}>{inside}</ContentKeyUsageRule>'


def system(key_id: str, system_id: str, inside: str) -> str:
    return f'<DRMSystem kid="{uuid(key_id)}" systemId="{system_id}">{inside}</DRMSystem>'


def cpix(keys: str, rules: str = "", systems: str = "", more: str = "") -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<CPIX xmlns="urn:dashif:org:cpix" xmlns:pskc="urn:ietf:params:xml:ns:keyprov:pskc" version="2.3">'
        f"<ContentKeyList>{keys}</ContentKeyList><DRMSystemList>{systems}</DRMSystemList>"
        f"<ContentKeyUsageRuleList>{rules}</ContentKeyUsageRuleList>{more}</CPIX>"
    ).encode()
