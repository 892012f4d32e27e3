from pathlib import Path

import pytest
from pydantic import Field, SecretStr

from tillstream.errors import Misconfigured
from tillstream.settings import (
    BrokerAddresses,
    CommaSeparated,
    Port,
    ServiceSettings,
    is_development_password,
    load_settings,
)

pytestmark = pytest.mark.unit

SECRET = "postgresql://reader:Zt9-unlikely@db/shop"


class Settings(ServiceSettings):
    database_url: SecretStr = Field(description="Where the database is.")
    some_port: Port = 1
    brokers: BrokerAddresses = "kafka:9092"
    origins: CommaSeparated = ()
    spare_secret: SecretStr | None = None


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLSTREAM_DATABASE_URL", SECRET)


def problem() -> str:
    with pytest.raises(Misconfigured) as raised:
        load_settings(Settings)
    assert "Zt9-unlikely" not in str(raised.value)
    return str(raised.value)


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLSTREAM_SHOP_TIMEZONE", "Asia/Kathmandu")
    monkeypatch.setenv("TILLSTREAM_ORIGINS", "https://a.example, https://b.example,")
    settings = load_settings(Settings)
    assert settings.shop_timezone.key == "Asia/Kathmandu"
    assert settings.origins == ("https://a.example", "https://b.example")
    assert settings.database_url.get_secret_value() == SECRET
    assert (settings.env, settings.log_level, settings.bind_host) == ("production", "INFO", "127.0.0.1")


@pytest.mark.parametrize("value", ["kafka:9092", "kafka-1:9092, 10.0.0.2:19092", "[::1]:9092"])
def test_addresses_of_brokers_are_taken_as_they_are(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TILLSTREAM_BROKERS", value)
    assert load_settings(Settings).brokers == value


@pytest.mark.parametrize(
    "value", ["kafka", "kafka:abc", ":9092", "kafka:0", "kafka:65536", "kafka:9092,", "k:-1"]
)
def test_address_that_no_client_could_use_is_named(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("TILLSTREAM_BROKERS", value)
    wrong = value.rsplit(",", maxsplit=1)[-1]
    assert problem() == f"TILLSTREAM_BROKERS is wrong: {wrong!r} is not host:port."


def test_secret_is_never_shown() -> None:
    assert "Zt9" not in repr(load_settings(Settings))


@pytest.mark.parametrize("value", [None, ""])
def test_missing_secret_is_named_with_its_file_variant(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("TILLSTREAM_DATABASE_URL")
    if value is not None:
        monkeypatch.setenv("TILLSTREAM_DATABASE_URL", value)
    assert problem() == (
        "TILLSTREAM_DATABASE_URL (or TILLSTREAM_DATABASE_URL_FILE) is not set, and there is no default: "
        "Where the database is."
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TILLSTREAM_SOME_PORT", "65536"),
        ("TILLSTREAM_SOME_PORT", "eighty"),
        ("TILLSTREAM_SHOP_TIMEZONE", "Mars/Olympus"),
        ("TILLSTREAM_SHOP_TIMEZONE", "../../etc/passwd"),
        ("TILLSTREAM_ENV", "staging"),
        ("TILLSTREAM_LOG_LEVEL", "loud"),
    ],
)
def test_wrong_value_is_one_sentence_naming_the_variable(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    monkeypatch.setenv(name, value)
    sentence = problem()
    assert sentence.startswith(f"{name} is wrong: ")
    assert "\n" not in sentence


def test_every_wrong_variable_is_named_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TILLSTREAM_SOME_PORT", "-1")
    monkeypatch.setenv("TILLSTREAM_ENV", "test")
    sentence = problem()
    assert "TILLSTREAM_SOME_PORT" in sentence
    assert "TILLSTREAM_ENV" in sentence


def test_secret_may_stand_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(SECRET + "\n", encoding="utf-8")
    monkeypatch.delenv("TILLSTREAM_DATABASE_URL")
    monkeypatch.setenv("TILLSTREAM_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert load_settings(Settings).database_url.get_secret_value() == SECRET


def test_optional_secret_may_stand_in_a_file_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "spare").write_text("Zt9-unlikely", encoding="utf-8")
    monkeypatch.setenv("TILLSTREAM_SPARE_SECRET_FILE", str(tmp_path / "spare"))
    spare = load_settings(Settings).spare_secret
    assert spare is not None
    assert spare.get_secret_value() == "Zt9-unlikely"


def test_secret_and_its_file_together_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TILLSTREAM_DATABASE_URL_FILE", str(tmp_path / "url"))
    assert (
        problem() == "Set either TILLSTREAM_DATABASE_URL or TILLSTREAM_DATABASE_URL_FILE, not both of them."
    )


@pytest.mark.parametrize("content", [None, b"", b"\xff\xfe", b"x" * 70_000])
def test_unusable_secret_file_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "url"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.delenv("TILLSTREAM_DATABASE_URL")
    monkeypatch.setenv("TILLSTREAM_DATABASE_URL_FILE", str(path))
    assert problem().startswith("TILLSTREAM_DATABASE_URL_FILE names a file that ")


def test_file_of_a_variable_that_is_no_secret_is_not_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "port").write_text("77", encoding="utf-8")
    monkeypatch.setenv("TILLSTREAM_SOME_PORT_FILE", str(tmp_path / "port"))
    assert load_settings(Settings).some_port == 1


@pytest.mark.parametrize(
    "secret",
    [
        "postgres",
        "ChangeMe",
        "for-development-only",
        "postgresql://owner:tillstream@db/shop",
        "postgresql://owner:change%2Dme@db/shop",
        "postgresql://db/shop?user=owner&password=postgres",
        "host=db password=postgres user=owner",
        "host=db password = 'secret' user=owner",
    ],
)
def test_production_refuses_development_password(monkeypatch: pytest.MonkeyPatch, secret: str) -> None:
    assert is_development_password(secret)
    monkeypatch.setenv("TILLSTREAM_DATABASE_URL", secret)
    assert problem().startswith("TILLSTREAM_DATABASE_URL holds a well-known development password")
    monkeypatch.setenv("TILLSTREAM_ENV", "development")
    assert load_settings(Settings).database_url.get_secret_value() == secret


@pytest.mark.parametrize(
    "secret",
    [SECRET, "postgresql://tillstream@db/tillstream", "host=postgres user=tillstream", "Zt9-unlikely"],
)
def test_production_takes_other_secrets(secret: str) -> None:
    assert not is_development_password(secret)
