"""A site as configured: its database, its Kafka cluster, its HTTP address."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator

from .config_secret import Model, Secret, Tls, is_loopback

__all__ = ["Database", "Http", "Kafka", "Name", "Sasl", "Site", "split_address"]

NAME_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9_-]*$"
Name = Annotated[str, Field(pattern=NAME_PATTERN, max_length=32)]
"""Names go into topics, metrics and rows: letters, digits, `_` and `-`, at most 32."""


def split_address(text: str, *, default_host: str = "") -> tuple[str, int]:
    """Split ``host:port`` (IPv6 in brackets); raises ValueError with a remedy."""
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or not 0 < int(port) < 65536 or (":" in host and not host.startswith("[")):
        raise ValueError("not of the form host:port; remedy: write it as 127.0.0.1:8642 or [::1]:8642")
    host = host.strip("[]") or default_host
    if not host:
        raise ValueError("the host is missing; remedy: write it as 127.0.0.1:8642")
    return host, int(port)


def _address(text: str) -> str:
    split_address(text)
    return text


_PLAIN_SESSION = (
    "SET SESSION autocommit=1, sql_select_limit=18446744073709551615, sql_big_selects=1, sql_safe_updates=0, "
    "sql_auto_is_null=0, completion_type=0 /*!50708 , max_execution_time=0 */ /*M!100100 , max_statement_time=0 */"
)
"""Against a server's global defaults that would cut our answers short, refuse our statements or change what they mean.

With a global ``autocommit=0``, pymysql's own ``autocommit=True`` does nothing: the server's greeting claims it is on already.
Each flavor reads only one of the two comments: MariaDB takes versions from 50700 on for MySQL's."""


def _host(text: str) -> str:
    try:
        text.encode("idna")
    except UnicodeError:
        raise ValueError("not the name or address of a host; remedy: write a DNS name, or an IP address") from None
    return text


class Database(Secret):
    """A MySQL or MariaDB server. TLS: on unless the server is on this machine."""

    host: Annotated[str, Field(min_length=1), AfterValidator(_host)] = "127.0.0.1"
    """Name or address of the server."""
    port: int = Field(default=3306, ge=1, le=65535)
    """Of the server."""
    unix_socket: str | None = Field(default=None, min_length=1)
    """Path of the server's socket; then host and port don't count."""
    user: str = Field(default="replicator", min_length=1)
    """Account with the grants of docs/OPERATING.md."""
    tls: Tls | None = None
    """Default: verified TLS, none for loopback and sockets. `{enabled: false}` turns it off."""

    @property
    def address(self) -> str:
        """``host:port`` or the socket's path, for messages."""
        return self.unix_socket or f"{self.host}:{self.port}"

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        if self.tls is not None:
            return self.tls.enabled
        return self.unix_socket is None and not is_loopback(self.host)

    def connect_args(self) -> dict[str, Any]:
        """What ``pymysql.connect`` needs; looks the password up. Raises ConfigError where it is missing."""
        what = f"the database {self.address}"
        args: dict[str, Any] = {"user": self.user, "password": self.secret(what), "init_command": _PLAIN_SESSION}
        if self.unix_socket is not None:
            args["unix_socket"] = self.unix_socket
        else:
            args.update(host=self.host, port=self.port)
        if self.uses_tls:
            args["ssl"] = (self.tls or Tls()).context(what)
        else:
            args["ssl_disabled"] = True
        return args


class Sasl(Secret):
    """How to log in to Kafka."""

    mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """`PLAIN`, `SCRAM-SHA-256` or `SCRAM-SHA-512`."""
    username: str
    """Account at the cluster."""


def _listed(value: Any) -> Any:
    return value.split(",") if isinstance(value, str) else value


class Kafka(Model):
    """A Kafka cluster. TLS: on unless all brokers are on this machine."""

    bootstrap_servers: Annotated[
        tuple[Annotated[str, AfterValidator(_address)], ...], BeforeValidator(_listed), Field(min_length=1)
    ]
    """Brokers to ask first, as `host:port`."""
    tls: Tls | None = None
    """Default: verified TLS, none where all brokers are on loopback."""
    sasl: Sasl | None = None
    """Log-in; default: none."""
    replication_factor: int | None = Field(default=None, ge=1, le=32)
    """Of topics that we create; default: the broker's."""
    min_insync_replicas: int | None = Field(default=None, ge=1, le=32)
    """Of topics that we create; default: the broker's."""
    retention_hours: int = Field(default=168, ge=-1)
    """How long transactions are kept for an applier that is away; -1: for ever."""

    @model_validator(mode="after")
    def _plausible(self) -> Kafka:
        if self.retention_hours == 0:
            raise ValueError("retention_hours of 0 keeps nothing; remedy: give hours, or -1 for ever")
        factor, in_sync = self.replication_factor, self.min_insync_replicas
        if factor is not None and in_sync is not None and in_sync > factor:
            raise ValueError("min_insync_replicas is over replication_factor; remedy: lower it, else nothing can be written")
        return self

    @property
    def uses_tls(self) -> bool:
        """Whether connections are encrypted."""
        if self.tls is not None:
            return self.tls.enabled
        return not all(is_loopback(split_address(server)[0]) for server in self.bootstrap_servers)

    @property
    def address(self) -> str:
        """The bootstrap servers, for messages."""
        return ",".join(self.bootstrap_servers)

    def client_args(self) -> dict[str, Any]:
        """What kafka-python's clients need; looks the password up. Raises ConfigError where it is missing."""
        args: dict[str, Any] = {"bootstrap_servers": list(self.bootstrap_servers)}
        protocol = "SSL" if self.uses_tls else "PLAINTEXT"
        if self.sasl is not None:
            protocol = "SASL_" + protocol
            args.update(
                sasl_mechanism=self.sasl.mechanism,
                sasl_plain_username=self.sasl.username,
                sasl_plain_password=self.sasl.secret(f"Kafka at {self.address}"),
            )
        args["security_protocol"] = protocol
        if self.uses_tls:
            args["ssl_context"] = (self.tls or Tls()).context(f"Kafka at {self.address}")
        return args


def _url(text: str) -> str:
    if not re.match(r"https?://[^\s/]+", text):
        raise ValueError("not the beginning of an address; remedy: write it as http://db1.example:8642")
    return text


class Http(Model):
    """Where the daemon answers."""

    listen: Annotated[str, AfterValidator(_address)] = "127.0.0.1:8642"
    """`host:port`; keep it on loopback, there is no log-in."""
    url: Annotated[str, AfterValidator(_url)] | None = None
    """How other sites reach it (through a proxy, say); default: `http://` and the listen address."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port to listen on."""
        return split_address(self.listen)

    @property
    def base_url(self) -> str:
        """Where to ask it, without a final slash."""
        return (self.url or f"http://{self.listen}").rstrip("/")


class Site(Model):
    """A datacenter."""

    database: Database
    """The site's MySQL or MariaDB server."""
    kafka: Kafka | None = None
    """The site's Kafka cluster, if it has one."""
    http: Http | None = None
    """Default: the file's own `http`."""
    priority: int | None = Field(default=None, ge=0)
    """The lower number wins ties between sites; default: the order in the file, from 1."""
    server_id: int | None = Field(default=None, ge=1, le=2**32 - 1)
    """With which the source registers at the database; several streams count up from it.
    Default: made from the stream's name."""
    _name: str = PrivateAttr("")

    @property
    def name(self) -> str:
        """Its key under ``sites``."""
        return self._name

    def named(self, name: str) -> Site:
        """The same site with its name."""
        site = self.model_copy()
        site._name = name
        return site

