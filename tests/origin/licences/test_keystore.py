from __future__ import annotations

import logging
from pathlib import Path

import pytest

from encoder.errors import ProtectionError
from origin.licences.keystore import KeyStore
from tests.origin.licences.test_service import KEY_ID, OTHER, SECRET, key_file


def test_film_that_was_taken_away_has_no_key_any_more(tmp_path: Path) -> None:
    (tmp_path / "film.toml").write_text(key_file())
    store = KeyStore(tmp_path, 0.0)
    assert store.find(KEY_ID) is not None
    (tmp_path / "film.toml").unlink()
    assert not store.is_due(0.9) and store.is_due(1.0) and not store.is_due(1.5)
    store.look()
    assert store.find(KEY_ID) is None


def test_files_are_read_again_only_if_they_changed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "film.toml").write_text(key_file())
    store = KeyStore(tmp_path, 0.0)
    monkeypatch.delattr("origin.licences.keystore.read_keys")
    store.look()
    assert store.find(KEY_ID) is not None


def test_broken_file_is_told_of_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = KeyStore(tmp_path, 0.0)
    (tmp_path / "film.toml").write_text("[[keys")
    for _ in range(3):
        store.look()
    assert [record.message for record in caplog.records] == ["a key file cannot be used"]


def test_folder_that_cannot_be_read_takes_no_key_away(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "film.toml").write_text(key_file())
    store = KeyStore(tmp_path, 0.0)

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "iterdir", refuse)
    store.look()
    assert store.find(KEY_ID) is not None
    assert "Permission denied" in vars(caplog.records[0])["reason"]
    with pytest.raises(ProtectionError, match="cannot be read: Permission denied"):
        KeyStore(tmp_path, 0.0)


def test_films_may_share_a_key_but_not_an_id(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "one.toml").write_text(key_file())
    (tmp_path / "two.toml").write_text(key_file())
    store = KeyStore(tmp_path, 0.0)
    found = store.find(KEY_ID)
    assert found is not None and found.titles == ("one", "two")
    (tmp_path / "two.toml").write_text(key_file().replace(SECRET, OTHER))
    caplog.set_level(logging.WARNING)
    store.look()
    kept = store.find(KEY_ID)
    assert kept is not None and (kept.titles, kept.key.secret.hex()) == (("one",), SECRET)
    assert "another key of the ID" in vars(caplog.records[-1])["reason"]
    with pytest.raises(ProtectionError, match=r"two\.toml has another key of the ID a7e61c37-.* than one has"):
        KeyStore(tmp_path, 0.0)
