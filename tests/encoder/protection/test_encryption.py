"""Whole encodes with keys: everything is encrypted with the right key, and nobody gets to see one."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import logging
import os
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from config.encoder import EncoderSettings
from config.progress import Reporter
from encoder import package
from encoder.errors import CheckError, ProtectionError, ToolError
from encoder.package import Package
from encoder.pipeline import encode
from encoder.protection.arguments import FileKey
from encoder.protection.encryption import demand_encrypted
from encoder.protection.keyfile import parse_key_file
from encoder.protection.keys import ContentKey
from encoder.running.process import Tools
from encoder.running.steps import Steps
from tests.encoder.conftest import Film, run_ffmpeg
from tests.encoder.protection.rings import LICENCE_URL, LOW, SECRETS, SOUND, key_file, rule, uuid
from tests.encoder.protection.test_delivery import OURS, SECRET, document, recipient, sealed, sent


@pytest.fixture
def protected(settings: EncoderSettings, tmp_path: Path) -> EncoderSettings:
    return dataclasses.replace(settings, protection=written(tmp_path, key_file()))


class Spoken(Reporter):
    """Keeps what is said."""

    def __init__(self) -> None:
        super().__init__(quiet=True)
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def written(folder: Path, text: str) -> Path:
    path = folder / "keys.toml"
    path.write_text(text)
    path.chmod(0o600)
    return path


def decode(folder: Path) -> Package:
    return package.decode((folder / "package.json").read_bytes())


def forms(secret: str) -> list[bytes]:
    """What a key might be written as."""
    raw = bytes.fromhex(secret)
    digests = [hashlib.new(name, raw).hexdigest().encode() for name in ("sha256", "sha1", "md5")]
    return [raw, secret.encode(), secret.upper().encode(), base64.b64encode(raw), base64.urlsafe_b64encode(raw)[:-2],
            *digests]  # fmt: skip


def leaks(data: bytes) -> bool:
    return any(form in data for secret in (SECRETS[LOW], SECRETS[SOUND]) for form in forms(secret))


class Watched(subprocess.Popen[bytes]):
    """A tool of which is kept what every user of the machine may see, and all files that were there when it began."""

    seen: ClassVar[list[bytes]] = []
    folder: ClassVar[Path]

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.seen.extend(contents(self.folder))
        super().__init__(*arguments, **options)
        for name in ("cmdline", "environ"):
            self.seen.append(self._read(name))

    def _read(self, name: str) -> bytes:
        """It is empty for a moment, while one program becomes the next. Tools that are told keys wait for them."""
        while self.poll() is None:
            with suppress(ProcessLookupError):
                if read := Path(f"/proc/{self.pid}/{name}").read_bytes():
                    return read
        return b""


def contents(folder: Path) -> Iterator[bytes]:
    """Names of files and what is in them, but for the key file. Tools work meanwhile: what is gone is gone."""
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                if name != "keys.toml":
                    yield os.fsencode(Path(parent, name))
                    yield Path(parent, name).read_bytes()


def test_keys_are_nowhere_but_in_their_file(
    grey_film: Path, tmp_path: Path, protected: EncoderSettings, caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    seen: list[bytes] = []
    monkeypatch.setattr(Watched, "seen", seen)
    monkeypatch.setattr(Watched, "folder", tmp_path, raising=False)
    monkeypatch.setattr(subprocess, "Popen", Watched)
    monkeypatch.setattr(Steps, "remove", lambda _: None)
    spoken = Spoken()
    with caplog.at_level(logging.DEBUG):
        encode(grey_film, "film", tmp_path / "out", protected, spoken)
    seen += contents(tmp_path)
    for flag in (b"--enable_raw_key_encryption", b"--enable_raw_key_decryption", b"--flagfile=/dev/fd/"):
        assert any(flag in one for one in seen), f"no tool ran with {flag!r}"
    assert any(b"encrypted-" in one for one in seen), "no step was seen"
    assert not [one[:200] for one in seen if leaks(one)]
    assert not leaks(repr([vars(record) for record in caplog.records]).encode() + repr(spoken.lines).encode())
    assert leaks((tmp_path / "keys.toml").read_bytes())


def test_every_rendition_is_encrypted_and_decrypts_to_what_an_encode_in_clear_gives(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, protected: EncoderSettings, reporter: Reporter
) -> None:
    folder = encode(grey_film, "film", tmp_path / "out", protected, reporter)
    clear = encode(grey_film, "film", tmp_path / "clear", settings, reporter)
    manifest = decode(folder)
    assert {one.kind: one.key_id for one in manifest.renditions} == {"video": LOW, "audio": SOUND}
    assert decode(clear).protection is None and not any(one.key_id for one in decode(clear).renditions)
    for rendition in manifest.renditions:
        # An independent reader of the keys: ffmpeg.
        decrypted, plain = (
            run_ffmpeg(*arguments, "-f", "framemd5", "pipe:1")
            for arguments in (
                ["-decryption_key", SECRETS[rendition.key_id], "-i", str(folder / rendition.file)],
                ["-i", str(clear / rendition.file)],
            )
        )
        assert decrypted == plain
        wrong = subprocess.run(
            ["cmp", folder / rendition.file, clear / rendition.file], check=False, capture_output=True
        )
        assert wrong.returncode == 1


def test_same_input_gives_the_same_bytes_and_other_keys_others(
    grey_film: Path, tmp_path: Path, protected: EncoderSettings, reporter: Reporter
) -> None:
    first = encode(grey_film, "film", tmp_path / "out", protected, reporter)
    elsewhere = dataclasses.replace(protected, work=tmp_path / "work 2")
    assert encode(grey_film, "film", tmp_path / "out 2", elsewhere, reporter).name == first.name
    written(tmp_path, key_file().replace(SECRETS[LOW], SECRETS[LOW][::-1]))
    assert encode(grey_film, "film", tmp_path / "out", protected, reporter).name != first.name


def test_encode_that_broke_off_goes_on_with_other_keys_and_its_work_is_for_nobody_else(
    grey_film: Path, tmp_path: Path, protected: EncoderSettings, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("encoder.protection.encryption.demand_encrypted", die)
        with pytest.raises(Killed):
            encode(grey_film, "film", tmp_path / "out", protected, reporter)
    (left,) = protected.work.glob("*/encrypted-*")
    assert left.parent.stat().st_mode & 0o777 == 0o700
    old, new = SECRETS[LOW], SECRETS[LOW][::-1]
    (name,) = (path.name for path in left.glob("v*.mp4"))
    frames = decrypted(left / name, old)
    written(tmp_path, key_file().replace(old, new))
    folder = encode(grey_film, "film", tmp_path / "out", protected, reporter)
    assert decrypted(folder / name, new) == frames != decrypted(folder / name, old)


def decrypted(path: Path, secret: str) -> bytes:
    """What frames an independent reader of the keys finds: ffmpeg."""
    return run_ffmpeg("-decryption_key", secret, "-i", str(path), "-f", "framemd5", "pipe:1")


def test_playlists_and_mpd_say_how_to_get_licences(
    grey_film: Path, tmp_path: Path, protected: EncoderSettings, reporter: Reporter
) -> None:
    folder = encode(grey_film, "film", tmp_path / "out", protected, reporter)
    manifest = decode(folder)
    assert manifest.protection is not None
    assert manifest.protection.licence_urls == {"e2719d58-a985-b3c9-781a-b030af78d30e": LICENCE_URL}
    for rendition in manifest.renditions:
        for playlist in filter(None, (rendition.playlist, rendition.iframe_playlist)):
            text = (folder / playlist).read_text()
            assert f'KEYFORMAT="org.w3.clearkey",KEYFORMATVERSIONS="1",KEYID=0x{rendition.key_id.upper()}' in text
    mpd = (folder / "manifest.mpd").read_text()
    assert mpd.count("urn:mpeg:dash:mp4protection:2011") == 2
    assert f'cenc:default_KID="{uuid(SOUND)}"' in mpd and mpd.count(LICENCE_URL) == 2


@pytest.mark.parametrize("ladder", ["fixed", "per-title"])
@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (key_file(video="uhd1"), r"has no key for v\d+ \(video, \d+x\d+\)"),
        (key_file(video="all"), "has 2 keys .* for a1"),
        (key_file().replace("audio", "multichannel_audio"), r"has no key for a1 \(audio, 1 channels\)"),
        (key_file().replace(SECRETS[LOW], "00"), "key 1: key has 2 characters, expected 32 hex digits"),
        ("", "missing required field `keys`"),
        ("<CPIX/>", "XML but not CPIX"),
    ],
)
def test_wrong_keys_are_refused_before_any_work(
    text: str, complaint: str, ladder: str, grey_film: Path, tmp_path: Path, protected: EncoderSettings,
    reporter: Reporter,
) -> None:  # fmt: skip
    written(tmp_path, text)
    with pytest.raises(ProtectionError, match=complaint):
        encode(grey_film, "film", tmp_path / "out", dataclasses.replace(protected, ladder=ladder), reporter)
    assert not list(tmp_path.glob("out/film/*"))
    assert not [step for step in protected.work.glob("*/*") if step.is_dir()]


def test_document_that_is_encrypted_for_us_is_opened_by_the_key_that_the_settings_name(
    grey_film: Path, tmp_path: Path, protected: EncoderSettings, reporter: Reporter
) -> None:
    private, keys = tmp_path / "private.pem", tmp_path / "keys.xml"
    private.write_bytes(OURS.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    only_sound = rule(LOW, attributes='intendedTrackType="AUDIO"')
    keys.write_bytes(document(sent(sealed(SECRET)), recipient(), rules=only_sound))
    ours = dataclasses.replace(protected, protection=keys, cpix_key=private)
    with pytest.raises(ProtectionError, match=r"keys\.xml has no key for v90"):
        encode(grey_film, "film", tmp_path / "out", ours, reporter)


def test_missing_key_file_is_said_and_one_for_everybody_is_remarked_on(
    grey_film: Path, tmp_path: Path, protected: EncoderSettings
) -> None:
    spoken = Spoken()
    absent = dataclasses.replace(protected, protection=tmp_path / "none.toml")
    with pytest.raises(ProtectionError, match=r"none\.toml cannot be read: No such file"):
        encode(grey_film, "film", tmp_path / "out", absent, spoken)
    (tmp_path / "keys.toml").chmod(0o644)
    encode(grey_film, "film", tmp_path / "out", protected, spoken)
    assert any("every user of this machine may read the key file" in line for line in spoken.lines)


def test_what_the_packager_says_of_its_flags_does_not_get_into_errors(tmp_path: Path, tools: Tools) -> None:
    secret = SECRETS[LOW]
    with pytest.raises(ToolError) as raised:
        # It repeats the whole flag when it cannot read it.
        arguments = ["in=film.mp4,stream=video,output=out.mp4", "--enable_raw_key_decryption"]
        tools.packager(arguments, cwd=tmp_path, flags=f"--keys=label=:key_id={LOW}:key=x{secret}")
    assert "keys" in str(raised.value) and not leaks(str(raised.value).encode())


def damaged(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert old in data and len(old) == len(new)
    other = path.with_name(f"damaged-{path.name}")
    other.write_bytes(data.replace(old, new))
    return other


def test_file_that_is_not_what_was_wanted_is_refused(
    grey_film: Path, tmp_path: Path, settings: EncoderSettings, protected: EncoderSettings, reporter: Reporter
) -> None:
    folder = encode(grey_film, "film", tmp_path / "out", protected, reporter)
    clear = encode(grey_film, "film", tmp_path / "clear", settings, reporter)
    manifest = decode(folder)
    name = manifest.renditions[0].file
    key = parse_key_file(key_file(), "keys").keys[0]
    file = FileKey(key, key.iv_of(manifest.source_digest, name))
    demand_encrypted(folder / name, clear / name, file)
    with pytest.raises(CheckError, match="sample entries avc1, expected one that is encrypted"):
        demand_encrypted(clear / name, clear / name, file)
    with pytest.raises(CheckError, match="is not encrypted"):
        demand_encrypted(folder / name, folder / name, file)
    other = ContentKey(SOUND, key.secret)
    with pytest.raises(CheckError, match=f"is encrypted with key {uuid(LOW)}, expected {uuid(SOUND)}"):
        demand_encrypted(folder / name, clear / name, FileKey(other, file.iv))
    with pytest.raises(CheckError, match="protection scheme 'cenc', expected cbcs"):
        demand_encrypted(damaged(folder / name, b"schm\0\0\0\0cbcs", b"schm\0\0\0\0cenc"), clear / name, file)
    start = b"tenc\1\0\0\0\0"
    with pytest.raises(CheckError, match="pattern, protection and IV size 000100, expected those of cbcs"):
        demand_encrypted(damaged(folder / name, start + b"\x19", start + b"\x00"), clear / name, file)
    with pytest.raises(CheckError, match="with another IV than was given"):
        demand_encrypted(folder / name, clear / name, file._replace(iv=bytes(16)))
    with pytest.raises(CheckError, match="does not say how"):
        demand_encrypted(damaged(folder / name, b"tenc", b"skip"), clear / name, file)


def test_decryption_that_gives_other_bytes_is_refused(
    grey_film: Path, tmp_path: Path, protected: EncoderSettings, reporter: Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    in_place = Tools.packager

    def damaging(self: Tools, arguments: list[str], *, cwd: Path, flags: str = "") -> None:
        in_place(self, arguments, cwd=cwd, flags=flags)
        if "--enable_raw_key_encryption" in arguments:
            for path in cwd.glob("*.mp4"):
                data = bytearray(path.read_bytes())
                data[-40] ^= 1
                path.write_bytes(data)

    monkeypatch.setattr(Tools, "packager", damaging)
    with pytest.raises(CheckError, match="decrypted it is not what was encrypted"):
        encode(grey_film, "film", tmp_path / "out", protected, reporter)
    assert list((tmp_path / "out" / "film").iterdir()) == []


def test_silence_and_black_of_less_than_a_block_are_no_reason_to_refuse_a_film(
    film: Film, tmp_path: Path, protected: EncoderSettings, reporter: Reporter
) -> None:
    silent = film(
        "black-and-silent.mp4", "-f", "lavfi", "-i", "color=black:s=64x36:r=25:d=3",
        "-f", "lavfi", "-i", "anullsrc", "-shortest", "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac",
    )  # fmt: skip
    folder = encode(silent, "film", tmp_path / "out", protected, reporter)
    assert {one.key_id for one in decode(folder).renditions} == {LOW, SOUND}
