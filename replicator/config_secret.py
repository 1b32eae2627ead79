"""Secrets and TLS: where a password comes from, and how a connection is kept private.

A secret is looked up only when a connection needs it: the same file is at every site, and one site need not know the
other's passwords. It is never part of a repr, a log line or an error.
"""

from __future__ import annotations

import ipaddress
import os
import ssl
import typing
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from .errors import ConfigError

__all__ = ["SECRET_KEYS", "Model", "Secret", "Tls", "is_loopback"]

SECRET_KEYS = frozenset({"password", "key", "key_password"})
"""Keys whose values are never shown."""


class Model(BaseModel):
    """Base of all configuration objects: frozen, and unknown keys are errors."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True, allow_inf_nan=False
    )

    @field_validator("*", mode="before")
    @classmethod
    def _number_proper(cls, value: Any, info: ValidationInfo) -> Any:
        """``true`` is no 1, and ``3_306`` no number, whatever Python says."""
        annotation = cls.model_fields[str(info.field_name)].annotation
        kinds = {annotation, *typing.get_args(annotation)}
        if kinds & {int, float} and (isinstance(value, bool) or (isinstance(value, str) and "_" in value)):
            raise ValueError("not a number; remedy: write a number")
        return value


def _beside_the_file(path: Path | None, info: ValidationInfo) -> Path | None:
    """Paths are relative to the configuration file, not to where the program was started."""
    folder = (info.context or {}).get("folder")
    return path if path is None or folder is None else folder / path


class Secret(Model):
    """At most one source of a password."""

    password: SecretStr | None = None
    """The password itself; better keep it out of the file by one of the others."""
    password_env: str | None = Field(default=None, min_length=1)
    """Name of the environment variable that holds it."""
    password_file: Path | None = None
    """File that holds it (a final newline does not count); relative to the configuration file."""
    password_credential: str | None = Field(default=None, min_length=1)
    """Name of a systemd credential (`LoadCredential=`)."""

    _anchor = field_validator("password_file")(_beside_the_file)

    @model_validator(mode="after")
    def _one_source(self) -> Any:
        given = [name for name in Secret.model_fields if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} exclude each other; remedy: keep one of them")
        return self

    def secret(self, what: str) -> str:
        """The secret, looked up now; raises ConfigError naming what is missing. Empty where none is configured."""
        if self.password is not None:
            return self.password.get_secret_value()
        if self.password_env is not None:
            value = os.environ.get(self.password_env)
            if value is None:
                raise ConfigError(
                    f"the password of {what} is missing: the environment variable {self.password_env} is not set",
                    remedy=f"set {self.password_env}, or use password_file or password_credential",
                )
            return value
        if self.password_file is not None:
            return _read_secret(self.password_file, what, "create the file, readable for this user alone")
        if self.password_credential is not None:
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            if folder is None:
                raise ConfigError(
                    f"the password of {what} is missing: $CREDENTIALS_DIRECTORY is not set",
                    remedy=f"start it by systemd with LoadCredential={self.password_credential}:PATH",
                )
            path = Path(folder) / self.password_credential
            return _read_secret(path, what, f"add LoadCredential={self.password_credential}:PATH to the unit")
        return ""


def _read_secret(path: Path, what: str, remedy: str) -> str:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = f"{path}: {error.strerror}" if isinstance(error, OSError) else f"{path} is not UTF-8"
        raise ConfigError(f"the password of {what} cannot be read: {reason}", where=str(path), remedy=remedy) from error
    return text.removesuffix("\n").removesuffix("\r")


class Tls(Model):
    """TLS of one connection. It verifies the certificate and the host's name unless told otherwise."""

    enabled: bool = True
    """`false` sends everything in the clear."""
    verify: Literal["full", "ca", "none"] = "full"
    """`full`: certificate and host name; `ca`: certificate only; `none`: neither (encrypted, but open to impostors)."""
    ca: Path | None = None
    """Certificates to trust (PEM); default: the system's."""
    cert: Path | None = None
    """Our own certificate (PEM), where the server wants one."""
    cert_key: Path | None = None
    """The private key of `cert` (PEM)."""

    _anchor = field_validator("ca", "cert", "cert_key")(_beside_the_file)

    @model_validator(mode="after")
    def _whole(self) -> Any:
        if (self.cert is None) != (self.cert_key is None):
            raise ValueError("cert and cert_key belong together; remedy: give both or none")
        return self

    def context(self, what: str) -> ssl.SSLContext:
        """An SSL context that does as configured; raises ConfigError where a file cannot be used."""
        try:
            context = ssl.create_default_context(cafile=str(self.ca) if self.ca else None)
            if self.cert is not None:
                context.load_cert_chain(self.cert, self.cert_key)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"the TLS files of {what} cannot be used: {error}",
                where=", ".join(str(path) for path in (self.ca, self.cert, self.cert_key) if path),
                remedy="check that they exist, are PEM and readable for this user",
            ) from error
        context.check_hostname = self.verify == "full"
        if self.verify == "none":
            context.verify_mode = ssl.CERT_NONE
        else:
            # Servers make their own authorities, mostly without the extensions that the strict check asks for.
            context.verify_flags &= ~ssl.VERIFY_X509_STRICT
        return context


def is_loopback(host: str) -> bool:
    """Whether connections to that host never leave this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
