"""Servers that store names in lower case: statements of the binlog spell them as the client did."""

from __future__ import annotations

import pytest

from tests.harness import Farm, Pairs, execute

pytestmark = pytest.mark.servers


def test_a_renamed_table_is_found_however_a_statement_spells_it(farm: Farm, pairs: Pairs) -> None:
    """MariaDB with lower_case_table_names=1: mapping and filter go by the lower-case name, rows and statements alike."""
    servers = [farm.fresh_database("mariadb", site, lower_case_table_names="1") for site in ("east", "west")]
    try:
        pair = pairs("mariadb", "mariadb", east=servers[0], west=servers[1], name="names", options=_OPTIONS, also_grant=["there"])
        execute(pair.target, "CREATE DATABASE there")
        pair.start()
        execute(
            pair.origin,
            "USE NAMES",
            "CREATE TABLE Orders (id INT PRIMARY KEY, v INT)",
            "INSERT INTO ORDERS VALUES (1, 1)",
            "ALTER TABLE Names.ORDERS ADD COLUMN w INT DEFAULT 3",
            "UPDATE orders SET v = 2",
            "CREATE TABLE Plain LIKE oRDERS",
            "INSERT INTO PLAIN SELECT * FROM Orders",
        )
        pair.settle()
        assert execute(pair.target, "SELECT id, v, w FROM there.bestellungen") == [(1, 2, 3)]
        assert execute(pair.target, "SELECT id, v, w FROM names.plain") == [(1, 2, 3)]
        assert execute(pair.target, "SHOW TABLES IN names LIKE 'orders'") == []
    finally:
        pairs.close()
        for server in servers:
            server.destroy()


_OPTIONS = {
    "tables": {"include": ["names.*"]},
    "mapping": {"tables": {"names.orders": {"to": "there.bestellungen"}}},
}
