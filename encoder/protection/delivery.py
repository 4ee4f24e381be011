"""Content keys that a CPIX document has for one recipient only (DASH-IF CPIX 2.3, key encryption).

    recipient's private key -- RSA-OAEP --> document key -- AES-256-CBC --> content keys
                            \\- RSA-OAEP --> MAC key ------ HMAC-SHA512 --> whether these are what was sent

The algorithms are those that every implementation must have. A document may leave out the MACs.

Pure.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.padding import MGF1, OAEP
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CBC
from cryptography.hazmat.primitives.hashes import SHA1
from lxml import etree

CPIX = "{urn:dashif:org:cpix}"
PSKC = "{urn:ietf:params:xml:ns:keyprov:pskc}"
_XMLENC = "http://www.w3.org/2001/04/xmlenc#"
_XMLDSIG = "http://www.w3.org/2000/09/xmldsig#"
_RSA_OAEP, _AES_256_CBC = f"{_XMLENC}rsa-oaep-mgf1p", f"{_XMLENC}aes256-cbc"
_HMAC_SHA512 = "http://www.w3.org/2001/04/xmldsig-more#hmac-sha512"
# Bytes, of AES-256: a block, as long as the IV before the cipher text, and a key.
_BLOCK, _DOCUMENT_KEY = 16, 32


@dataclass(frozen=True)
class Delivery:
    """What opens the content keys of a document; without a `mac_key` they are not proved to be what was sent."""

    document_key: bytes = field(repr=False)
    mac_key: bytes = field(repr=False)

    def open(self, secret: etree._Element, place: str) -> bytes:
        """The value of an encrypted `pskc:Secret`. Raises ValueError, which quotes none of it."""
        sealed = _sealed(secret, _AES_256_CBC, place)
        mac = decoded(secret.findtext(f"{PSKC}ValueMAC") or "", f"{place}: ValueMAC")
        # RFC 6030 section 6.1.1: over what is encrypted, its IV included.
        if self.mac_key and not hmac.compare_digest(hmac.digest(self.mac_key, sealed, "sha512"), mac):
            raise ValueError(f"{place} is not what was sent: its ValueMAC does not fit")
        if len(sealed) < 2 * _BLOCK or len(sealed) % _BLOCK:
            raise ValueError(f"{place} has {len(sealed)} encrypted bytes, expected an IV and whole blocks")
        decryptor = Cipher(AES256(self.document_key), CBC(sealed[:_BLOCK])).decryptor()
        padded = decryptor.update(sealed[_BLOCK:]) + decryptor.finalize()
        # XML Encryption section 5.2: the last byte counts those to be taken away; the others may be anything.
        if not 1 <= padded[-1] <= _BLOCK:
            raise ValueError(f"{place} cannot be decrypted by the document's key")
        return padded[: -padded[-1]]


def open_delivery(recipients: Sequence[etree._Element], private: RSAPrivateKey | None) -> Delivery:
    """What the `DeliveryData` for whoever has this private key says. Raises ValueError if there is none for him."""
    if private is None:
        raise ValueError("its keys are encrypted for a recipient, expected his private key (cpix_key), or PlainValue")
    public = private.public_key()
    ours = next((one for one in recipients if public in _public_keys(one)), None)
    if ours is None:
        raise ValueError(f"none of its {len(recipients)} recipients has a certificate of the given private key")
    document = ours.find(f"{CPIX}DocumentKey")
    if document is None:
        raise ValueError("its recipient is given no DocumentKey")
    _demand_algorithm(document, _AES_256_CBC, "DocumentKey")
    document_key = _given(document.find(f"{CPIX}Data/{PSKC}Secret"), private, "DocumentKey")
    if len(document_key) != _DOCUMENT_KEY:
        raise ValueError(f"DocumentKey has {len(document_key)} bytes, expected {_DOCUMENT_KEY}")
    mac = ours.find(f"{CPIX}MACMethod")
    if mac is None:
        return Delivery(document_key, b"")
    _demand_algorithm(mac, _HMAC_SHA512, "MACMethod")
    return Delivery(document_key, _given(mac.find(f"{CPIX}Key"), private, "MACMethod"))


def _public_keys(recipient: etree._Element) -> list[RSAPublicKey]:
    """Of the certificates that say who a recipient is, as far as they are certificates."""
    found = []
    for element in recipient.iterfind(f"{CPIX}DeliveryKey/{{{_XMLDSIG}}}X509Data/{{{_XMLDSIG}}}X509Certificate"):
        try:
            key = x509.load_der_x509_certificate(decoded(element.text or "", "X509Certificate")).public_key()
        except ValueError:
            continue
        if isinstance(key, RSAPublicKey):
            found.append(key)
    return found


def _given(secret: etree._Element | None, private: RSAPrivateKey, place: str) -> bytes:
    """A key that is encrypted for the recipient."""
    if secret is None:
        raise ValueError(f"{place} has no key")
    sealed = _sealed(secret, _RSA_OAEP, place)
    try:
        return private.decrypt(sealed, OAEP(MGF1(SHA1()), SHA1(), None))
    except ValueError:
        raise ValueError(f"{place} cannot be decrypted by the given private key") from None


def _sealed(secret: etree._Element, algorithm: str, place: str) -> bytes:
    value = secret.find(f"{PSKC}EncryptedValue")
    method = value.find(f"{{{_XMLENC}}}EncryptionMethod") if value is not None else None
    if value is None or method is None:
        raise ValueError(f"{place} has no EncryptedValue that says how it is encrypted")
    _demand_algorithm(method, algorithm, place)
    digest = method.find(f"{{{_XMLDSIG}}}DigestMethod")
    if digest is not None:
        _demand_algorithm(digest, f"{_XMLDSIG}sha1", f"{place}: DigestMethod")
    path = f"{{{_XMLENC}}}CipherData/{{{_XMLENC}}}CipherValue"
    return decoded(value.findtext(path) or "", f"{place}: CipherValue")


def _demand_algorithm(element: etree._Element, wanted: str, place: str) -> None:
    found = element.get("Algorithm", "")
    if found != wanted:
        raise ValueError(f"{place}: algorithm {found[:100]!r}, expected {wanted}")


def decoded(text: str, place: str) -> bytes:
    """Base64, in lines or not. Raises ValueError."""
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except ValueError:
        raise ValueError(f"{place} is not base64") from None
