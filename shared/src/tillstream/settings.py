"""What every service reads from its environment, and how it says that something is missing or wrong.

A variable is `TILLSTREAM_` plus the field's name in capitals. A secret may instead stand in a file that
`TILLSTREAM_<NAME>_FILE` names, as container platforms hand them out. `load_settings` is the one way in: whatever is wrong comes
back as one `Misconfigured` with a sentence per variable, and never with the value of a secret.
"""

import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, override
from urllib.parse import parse_qs, unquote, urlsplit
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from tillstream.errors import Misconfigured
from tillstream.variables import PREFIX

FILE_SUFFIX = "_FILE"
MAX_SECRET_FILE_BYTES = 65_536
MAX_PORT = 65_535
# Passwords that stand in examples, Compose files and tutorials; in production they are as good as none.
DEVELOPMENT_PASSWORDS = frozenset(
    {"admin", "change-me", "changeme", "password", "postgres", "root", "secret", "test", "tillstream"}
)
DEVELOPMENT_PASSWORD_MARK = "development"  # noqa: S105 - the mark by which a password is refused, not a password

_KEYWORD_PASSWORD = re.compile(r"\bpassword\s*=\s*(?:'((?:[^'\\]|\\.)*)'|(\S+))")


def _split_commas(value: object) -> object:
    return (
        tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value
    )


CommaSeparated = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split_commas)]
Port = Annotated[int, Field(ge=0, le=MAX_PORT)]


def _broker_addresses(value: str) -> str:
    for address in value.split(","):
        host, _, port = address.strip().rpartition(":")
        if not host or not re.fullmatch(r"[0-9]{1,5}", port) or not 0 < int(port) <= MAX_PORT:
            raise ValueError(f"{address.strip()!r} is not host:port")
    return value


BrokerAddresses = Annotated[str, AfterValidator(_broker_addresses)]


class ServiceSettings(BaseSettings):
    """The variables that all processes know. A service adds its own in a subclass and sets its default `ops_port`."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    env: Literal["development", "production"] = Field(
        default="production", description="`production` refuses well-known development passwords."
    )
    shop_timezone: ZoneInfo = Field(
        default=ZoneInfo("UTC"),
        description="IANA name of the zone in which a shop day begins; must equal what the migration wrote.",
    )
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = Field(
        default="INFO", description="The least level of a log line that is written."
    )
    bind_host: str = Field(
        default="127.0.0.1", min_length=1, description="The address that the ports bind to."
    )
    ops_port: Port = Field(
        default=9100,
        description="Port of `/metrics`, `/health/live` and `/health/ready`; 0 takes any free one.",
    )

    @override
    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return (init_settings, env_settings, SecretFiles(settings_cls))

    @override
    def model_post_init(self, context: Any, /) -> None:
        if self.env != "production":
            return
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr) and is_development_password(value.get_secret_value()):
                raise Misconfigured(
                    f"{variable(name)} holds a well-known development password, which TILLSTREAM_ENV=production refuses."
                )


class SecretFiles(PydanticBaseSettingsSource):
    """Reads `TILLSTREAM_<NAME>_FILE` for every secret of a settings class."""

    @override
    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = os.environ.get(variable(field_name) + FILE_SUFFIX, "")
        if not path or not is_secret(field):
            return None, field_name, False
        if os.environ.get(variable(field_name)):
            raise Misconfigured(
                f"Set either {variable(field_name)} or {variable(field_name)}{FILE_SUFFIX}, not both of them."
            )
        return _read_secret(variable(field_name) + FILE_SUFFIX, Path(path)), field_name, False

    @override
    def __call__(self) -> dict[str, Any]:
        found = {
            name: self.get_field_value(field, name)[0]
            for name, field in self.settings_cls.model_fields.items()
        }
        return {name: value for name, value in found.items() if value is not None}


def load_settings[Settings: ServiceSettings](settings_class: type[Settings]) -> Settings:
    """Read the settings from the environment. Raises Misconfigured with one sentence per wrong variable."""
    try:
        return settings_class()
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False, include_context=False)
        raise Misconfigured(" ".join(_sentence(settings_class, detail) for detail in details)) from None


def variable(field_name: str) -> str:
    """The name of the environment variable behind a field."""
    return PREFIX + field_name.upper()


def is_secret(field: FieldInfo) -> bool:
    """Whether the field's values must never be shown."""
    annotation = field.annotation
    return annotation is SecretStr or SecretStr in getattr(annotation, "__args__", ())


def is_development_password(secret: str) -> bool:
    """Whether a secret is, or a connection string contains, a password that everybody knows."""
    return any(
        password.lower() in DEVELOPMENT_PASSWORDS or DEVELOPMENT_PASSWORD_MARK in password.lower()
        for password in _passwords(secret)
    )


def _passwords(secret: str) -> list[str]:
    if "://" in secret:
        try:
            url = urlsplit(secret)
            found = [unquote(url.password)] if url.password else []
        except ValueError:  # not a URL after all: its reader will say so
            return []
        return found + parse_qs(url.query).get("password", [])
    keyword = _KEYWORD_PASSWORD.search(secret)
    return [keyword.group(1) or keyword.group(2) or ""] if keyword else [secret]


def _read_secret(name: str, path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_SECRET_FILE_BYTES + 1)
        text = raw.decode().rstrip("\r\n")
    except OSError as error:
        raise Misconfigured(f"{name} names a file that cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise Misconfigured(f"{name} names a file that is not UTF-8 text.") from None
    if not text or len(raw) > MAX_SECRET_FILE_BYTES:
        raise Misconfigured(
            f"{name} names a file that is empty or larger than {MAX_SECRET_FILE_BYTES} bytes."
        )
    return text


def _sentence(settings_class: type[ServiceSettings], detail: ErrorDetails) -> str:
    field_name = str(detail["loc"][0]) if detail["loc"] else ""
    field = settings_class.model_fields.get(field_name)
    if field is None:
        return f"The settings are wrong: {detail['msg']}."
    if detail["type"] == "missing":
        also = f" (or {variable(field_name)}{FILE_SUFFIX})" if is_secret(field) else ""
        what = f": {field.description}" if field.description else "."
        return f"{variable(field_name)}{also} is not set, and there is no default{what}"
    said = detail["msg"].removeprefix("Value error, ").rstrip(".")
    return f"{variable(field_name)} is wrong: {said}."
