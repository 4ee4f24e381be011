"""CPIX documents that a key service made for our certificate, as the standard has it made."""

from __future__ import annotations

import datetime
import hmac

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from encoder.errors import ProtectionError
from encoder.protection.cpix import parse_cpix
from tests.encoder.protection.rings import LOW, SECRETS, b64, content_key, cpix, uuid

DOCUMENT_KEY, MAC_KEY, IV = bytes(range(32)), bytes(range(64)), bytes(range(100, 116))
NAMESPACES = 'xmlns:ds="http://www.w3.org/2000/09/xmldsig#" xmlns:enc="http://www.w3.org/2001/04/xmlenc#"'
RSA_OAEP = "http://www.w3.org/2001/04/xmlenc#rsa-oaep-mgf1p"
AES_256_CBC = "http://www.w3.org/2001/04/xmlenc#aes256-cbc"
HMAC_SHA512 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512"
OURS, OTHERS = (rsa.generate_private_key(65537, 2048) for _ in range(2))


def certificate(private: RSAPrivateKey | ec.EllipticCurvePrivateKey) -> str:
    name, day = x509.Name([]), datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
    made = x509.CertificateBuilder(name, name, private.public_key(), 1, day, day).sign(private, SHA256())
    return b64(made.public_bytes(Encoding.DER))


def encrypted(algorithm: str, value: bytes, inside: str = "") -> str:
    return (
        f'<pskc:EncryptedValue {NAMESPACES}><enc:EncryptionMethod Algorithm="{algorithm}">{inside}'
        f"</enc:EncryptionMethod><enc:CipherData><enc:CipherValue>{b64(value)}</enc:CipherValue></enc:CipherData>"
        "</pskc:EncryptedValue>"
    )


def wrapped(value: bytes, public: RSAPublicKey) -> bytes:
    return public.encrypt(value, OAEP(MGF1(SHA1()), SHA1(), None))


def recipient(private: RSAPrivateKey = OURS, *, document_key: bytes = DOCUMENT_KEY, has_mac: bool = True) -> str:
    key = encrypted(RSA_OAEP, wrapped(document_key, private.public_key()))
    mac = f"<Key>{encrypted(RSA_OAEP, wrapped(MAC_KEY, private.public_key()))}</Key>"
    return (
        f"<DeliveryData {NAMESPACES}><DeliveryKey><ds:X509Data><ds:X509Certificate>{certificate(private)}"
        "</ds:X509Certificate></ds:X509Data></DeliveryKey>"
        f'<DocumentKey Algorithm="{AES_256_CBC}"><Data><pskc:Secret>{key}</pskc:Secret></Data></DocumentKey>'
        + (f'<MACMethod Algorithm="{HMAC_SHA512}">{mac}</MACMethod>' if has_mac else "")
        + "</DeliveryData>"
    )


def sealed(secret: bytes, padding: bytes = bytes(15) + b"\x10") -> bytes:
    encryptor = Cipher(AES256(DOCUMENT_KEY), CBC(IV)).encryptor()
    return IV + encryptor.update(secret + padding) + encryptor.finalize()


def sent(value: bytes, *, mac: bytes | None = None, algorithm: str = AES_256_CBC) -> str:
    made = hmac.digest(MAC_KEY, value, "sha512") if mac is None else mac
    secret = f"{encrypted(algorithm, value)}<pskc:ValueMAC>{b64(made)}</pskc:ValueMAC>"
    return content_key(LOW, data=f"<Data><pskc:Secret>{secret}</pskc:Secret></Data>")


def document(key: str, *recipients: str, rules: str = "") -> bytes:
    return cpix(key, rules, more=f"<DeliveryDataList>{''.join(recipients)}</DeliveryDataList>")


SECRET = bytes.fromhex(SECRETS[LOW])


@pytest.mark.parametrize(
    ("recipients", "key"),
    [
        ([recipient()], sent(sealed(SECRET))),
        ([recipient(OTHERS), recipient()], sent(sealed(SECRET))),
        ([recipient(has_mac=False)], sent(sealed(SECRET), mac=b"")),
        ([recipient()], sent(sealed(SECRET, padding=bytes(range(15)) + b"\x10"))),  # it may be anything but its end
        ([recipient()], content_key(LOW)),
    ],
    ids=["ours", "ours among others", "no mac", "other padding", "in clear after all"],
)
def test_keys_that_are_encrypted_for_us_are_read(recipients: list[str], key: str) -> None:
    (found,) = parse_cpix(document(key, *recipients), "keys.xml", OURS).keys
    assert (found.key_id, found.secret) == (LOW, SECRET)
    assert SECRETS[LOW] not in repr(found)


FOREIGN = recipient().replace(certificate(OURS), certificate(ec.generate_private_key(ec.SECP256R1())))
WHOLE = sealed(SECRET)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (document(sent(WHOLE), recipient(OTHERS)), "none of its 1 recipients has a certificate of the given private"),
        (document(sent(WHOLE), FOREIGN), "none of its 1 recipients"),
        (document(sent(WHOLE), recipient().replace(certificate(OURS), "AAAA")), "none of its 1 recipients"),
        (document(sent(WHOLE), recipient(OTHERS).replace(certificate(OTHERS), certificate(OURS))),
         "DocumentKey cannot be decrypted by the given private key"),
        (document(sent(WHOLE), recipient().replace("DocumentKey", "Other")), "is given no DocumentKey"),
        (document(sent(WHOLE), recipient(document_key=bytes(16))), "DocumentKey has 16 bytes, expected 32"),
        (document(sent(WHOLE), recipient().replace("hmac-sha512", "hmac-sha256")), "MACMethod: algorithm '.*sha256'"),
        (document(sent(WHOLE), recipient().replace("rsa-oaep-mgf1p", "rsa-1_5")), "DocumentKey: algorithm '.*rsa-1_5'"),
        (document(sent(WHOLE), recipient().replace("<enc:CipherValue>", "<enc:CipherValue>?", 1)), "is not base64"),
        (document(sent(WHOLE, algorithm=RSA_OAEP), recipient()), f"{uuid(LOW)}: algorithm .*, expected .*aes256-cbc"),
        (document(sent(WHOLE, mac=bytes(64)), recipient()), f"ContentKey {uuid(LOW)} is not what was sent"),
        (document(sent(WHOLE, mac=b""), recipient()), "its ValueMAC does not fit"),
        (document(sent(WHOLE[:-1]), recipient()), "has 47 encrypted bytes"),
        (document(sent(sealed(SECRET, bytes(16))), recipient()), "cannot be decrypted by the document's key"),
        (document(sent(sealed(SECRET + SECRET)), recipient()), "has 32 bytes, expected 16"),
    ],
)  # fmt: skip
def test_what_is_not_for_us_or_not_whole_is_refused_without_quoting_it(text: bytes, complaint: str) -> None:
    with pytest.raises(ProtectionError, match=complaint) as raised:
        parse_cpix(text, "keys.xml", OURS)
    assert SECRETS[LOW] not in str(raised.value) and b64(SECRET) not in str(raised.value)


def test_other_digests_of_the_wrapping_are_refused() -> None:
    digest = '<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/></enc:EncryptionMethod>'
    text = document(sent(WHOLE), recipient().replace("</enc:EncryptionMethod>", digest, 1))
    with pytest.raises(ProtectionError, match=r"DocumentKey: DigestMethod: algorithm '.*sha256', expected .*sha1"):
        parse_cpix(text, "keys.xml", OURS)
