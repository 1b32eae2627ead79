"""Mapping: what is named or shaped differently at the target, and what must not leave the origin.

::

    mapping:
      databases: {shop: shop_copy}                 # origin's name: target's name
      tables:
        shop.user:
          to: crm.customer                         # wins over ``databases``
          drop_columns: [notes]
          masks:
            email: {method: hash}                  # keyed; or null, constant (value:), truncate (length:)
          rows: {column: country, equals: [DE, AT]}   # or not_equals
      hash_key: {password_env: MASK_KEY}

Masks and row filters work at the source, so what they hide never enters Kafka; names change at the target. Tables are
named exactly as at the origin, without wildcards.
"""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, model_validator

from .config_secret import Model, Secret
from .errors import ConfigError
from .filter import parse_pattern

__all__ = ["Mapping", "Mask", "RowFilter", "TableMapping", "exact_name"]

HASH_BYTES = 32


def exact_name(text: str) -> tuple[str, str]:
    """Split the name of one table, ``schema.table``; raises ValueError where it is a glob."""
    pattern = parse_pattern(text)
    if not pattern.exact:
        raise ValueError("a wildcard, where one table must be named; remedy: write each table out, or use backticks")
    return _plain(pattern.schema), _plain(pattern.table)


def _plain(glob: str) -> str:
    """Undo the escaping that makes a literal name a glob."""
    for char in "*?[":
        glob = glob.replace(f"[{char}]", char)
    return glob


def _table(text: str) -> str:
    try:
        exact_name(text)
    except ValueError as error:
        words = str(error)
        raise ValueError(words if "remedy:" in words else f"{words}; remedy: write it as schema.table") from None
    return text


TableName = Annotated[str, AfterValidator(_table)]
Identifier = Annotated[str, Field(min_length=1, max_length=64)]
Scalar = str | int | float | None


def _mask(value: Any) -> Any:
    """`email: hash` is short for `email: {method: hash}`; a bare null is the method of that name."""
    if value is None:
        return {"method": "null"}
    if isinstance(value, str):
        return {"method": value}
    if isinstance(value, dict) and "method" in value and value["method"] is None:
        return {**value, "method": "null"}
    return value


class Mask(Model):
    """What stands in a column instead of its value."""

    method: Literal["hash", "null", "constant", "truncate"]
    """`hash` (keyed), `null`, `constant` or `truncate`."""
    value: Scalar = None
    """Of `constant`."""
    length: int | None = Field(default=None, ge=0)
    """Of `truncate`: characters that stay. Of `hash`: hexadecimal digits that stay (default: all 64)."""

    @model_validator(mode="after")
    def _fits(self) -> Mask:
        given = self.model_fields_set
        if self.method == "constant" and "value" not in given:
            raise ValueError("constant needs its value; remedy: add value:")
        if self.method != "constant" and "value" in given:
            raise ValueError(f"value means nothing to {self.method}; remedy: remove it, or use constant")
        if self.method == "truncate" and self.length is None:
            raise ValueError("truncate needs a length; remedy: add length:")
        if self.method in ("null", "constant") and "length" in given:
            raise ValueError(f"length means nothing to {self.method}; remedy: remove it")
        if self.method == "hash" and self.length is not None and not 16 <= self.length <= 2 * HASH_BYTES:
            raise ValueError("a hash needs 16 to 64 digits; remedy: give such a length or none")
        return self


def _values(value: Any) -> Any:
    return value if isinstance(value, list | tuple) or value is None else [value]


Values = Annotated[tuple[Scalar, ...] | None, BeforeValidator(_values)]


class RowFilter(Model):
    """Which rows of a table are carried, by the value of one column."""

    column: Identifier
    """The column that decides."""
    equals: Values = None
    """Rows with one of these values are carried; ENUM and SET by label, TIMESTAMP in UTC."""
    not_equals: Values = None
    """Rows with any other value are carried."""

    @model_validator(mode="after")
    def _one(self) -> RowFilter:
        if (self.equals is None) == (self.not_equals is None):
            raise ValueError("give either equals or not_equals; remedy: keep one of them")
        if not (self.equals or self.not_equals):
            raise ValueError("the list of values is empty; remedy: name at least one")
        return self


class TableMapping(Model):
    """What is different about one table."""

    to: TableName | None = None
    """Its name at the target, `schema.table`."""
    drop_columns: tuple[Identifier, ...] = ()
    """Columns that the target does not have or does not get; they never enter Kafka."""
    masks: dict[Identifier, Annotated[Mask, BeforeValidator(_mask)]] = {}
    """By column, what stands there instead of its value."""
    rows: RowFilter | None = None
    """Which rows are carried."""

    @model_validator(mode="after")
    def _fits(self) -> TableMapping:
        dropped = {name.casefold() for name in self.drop_columns}
        both = [name for name in self.masks if name.casefold() in dropped]
        if both:
            raise ValueError(f"the columns {', '.join(both)} are both dropped and masked; remedy: keep one of the two")
        if len(dropped) != len(self.drop_columns):
            raise ValueError("drop_columns names a column twice; remedy: remove one")
        return self

    @property
    def changes_rows(self) -> bool:
        """Whether rows must be decoded at the source."""
        return bool(self.drop_columns or self.masks or self.rows)


class Mapping(Model):
    """All of a pair's mapping."""

    databases: dict[Identifier, Identifier] = {}
    """Origin's name to target's name."""
    tables: dict[TableName, TableMapping] = {}
    """By the table's name at the origin, without wildcards."""
    hash_key: Secret = Secret()
    """The key of all `hash` masks; must stay the same for equal values to get equal hashes."""
    _tables: dict[tuple[str, str], TableMapping] = PrivateAttr(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Mapping:
        for text, rules in self.tables.items():
            name = exact_name(text)
            if name in self._tables:
                raise ValueError(f"the table {text} is mapped twice; remedy: merge the two")
            self._tables[name] = rules
        _distinct(list(self.databases.values()), "databases")
        _distinct([".".join(exact_name(rules.to)) for rules in self.tables.values() if rules.to], "tables")
        hashed = any(m.method == "hash" for rules in self.tables.values() for m in rules.masks.values())
        if hashed and not self.hash_key.model_fields_set:
            raise ValueError("a hash mask needs a key; remedy: add mapping.hash_key with password_env or password_file")
        return self

    @staticmethod
    def names(table: str) -> tuple[str, str]:
        """Schema and table of a name as written in the file."""
        return exact_name(table)

    @property
    def empty(self) -> bool:
        """Whether target and origin look alike."""
        return not (self.databases or self.tables)

    def rules(self, schema: str, table: str) -> TableMapping | None:
        """What is different about that table of the origin, apart from its database's name."""
        return self._tables.get((schema, table))

    def changes_rows(self, schema: str, table: str) -> bool:
        """Whether that table's rows must be decoded at the source."""
        rules = self.rules(schema, table)
        return rules is not None and rules.changes_rows

    def target_schema(self, schema: str) -> str:
        """The database's name at the target."""
        return self.databases.get(schema, schema)

    def target_table(self, schema: str, table: str) -> tuple[str, str]:
        """The table's names at the target."""
        rules = self.rules(schema, table)
        if rules is not None and rules.to is not None:
            return exact_name(rules.to)
        return self.target_schema(schema), table

    def hash(self, value: bytes, *, key: bytes, length: int | None) -> bytes:
        """HMAC-SHA-256 of a value's text, as hexadecimal digits."""
        return hmac.new(key, value, hashlib.sha256).hexdigest()[:length].encode()

    def key(self) -> bytes:
        """The key of `hash` masks, looked up now; raises ConfigError where it is missing or empty."""
        key = self.hash_key.secret("the mapping's hash key").encode()
        if not key:
            raise ConfigError("the mapping's hash key is empty", remedy="put at least 16 random characters there")
        return key


def _distinct(names: list[str], what: str) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"several {what} get the same name {', '.join(twice)}; remedy: give each its own")
