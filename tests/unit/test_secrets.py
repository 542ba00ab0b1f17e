"""Keys derived from secrets."""

from __future__ import annotations

from bsguard.core.secrets import Secrets, keyed_hash


def test_each_use_and_each_secret_has_a_key_of_its_own_newest_first() -> None:
    secrets = Secrets(("new secret", "old secret"))
    identity, other = secrets.derive("identity"), secrets.derive("other")

    assert len({*identity, *other}) == 4
    assert all(len(key) == 32 for key in (*identity, *other))
    assert identity == secrets.derive("identity")
    assert identity[1:] == Secrets(("old secret",)).derive("identity")
    assert Secrets(()).derive("identity") == ()


def test_secrets_are_not_shown() -> None:
    assert "hush" not in repr(Secrets(("hush hush",)))


def test_a_keyed_hash_is_short_stable_and_depends_on_key_and_text() -> None:
    key, other = Secrets(("a", "b")).derive("identity")
    found = keyed_hash(key, "Bearer \xe9\udcff")

    assert len(found) == 16
    assert set(found) <= set("0123456789abcdef")
    assert found == keyed_hash(key, "Bearer \xe9\udcff")
    assert (
        len({found, keyed_hash(other, "Bearer \xe9\udcff"), keyed_hash(key, "Bearer \xe9"), keyed_hash(key, "")}) == 4
    )


def test_a_derived_key_never_changes_between_releases() -> None:
    (key,) = Secrets(("0123456789abcdef",)).derive("identity")

    assert keyed_hash(key, "Bearer token") == "d639f6becd3f4fed"
