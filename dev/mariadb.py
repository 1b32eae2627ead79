"""MariaDB servers, from the host's Debian packages, unpacked instead of installed."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from .apt import library_path
from .cache import install
from .commands import run
from .database import ROOT_PASSWORD, DatabaseServer, Distribution, create
from .fetch import fetch_mariadb

__all__ = ["mariadb_distribution", "start_mariadb"]

OPTIONS = {
    "log_bin": "binlog",
    "log_slave_updates": "ON",
    "gtid_strict_mode": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "sync_binlog": "1",
    "innodb_flush_log_at_trx_commit": "1",
    "innodb_buffer_pool_size": "256M",
    "innodb_log_file_size": "512M",
    "max_allowed_packet": "128M",
    "local_infile": "ON",
    "character_set_server": "utf8mb4",
    "performance_schema": "OFF",
}

# The preparing server has no accounts loaded until FLUSH PRIVILEGES. Accounts without a name would shadow named ones.
_INIT_SQL = f"""\
FLUSH PRIVILEGES;
DELETE FROM mysql.global_priv WHERE User = '' OR Host NOT IN ('localhost', '127.0.0.1');
FLUSH PRIVILEGES;
ALTER USER 'root'@'localhost' IDENTIFIED BY '{ROOT_PASSWORD}';
CREATE OR REPLACE USER 'root'@'127.0.0.1' IDENTIFIED BY '{ROOT_PASSWORD}';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
"""


def start_mariadb(
    dir: Path,
    *,
    port: int | None = None,
    server_id: int,
    options: Mapping[str, str | None] | None = None,
    die_with_parent: bool = False,
    wait: bool = True,
) -> DatabaseServer:
    """Start a MariaDB server in ``dir``; parameters as for ``start_mysql``. Its GTID domain is its server id."""
    return create(
        dir,
        mariadb_distribution(),
        port=port,
        server_id=server_id,
        options={"gtid_domain_id": str(server_id), **(options or {})},
        die_with_parent=die_with_parent,
        wait=wait,
    )


def mariadb_distribution() -> Distribution:
    """The unpacked MariaDB and its prepared data folder, fetched when missing."""
    home = fetch_mariadb()
    version = (home / "VERSION").read_text().strip()
    env = {"LD_LIBRARY_PATH": library_path(home)}
    places = {
        "basedir": str(home / "usr"),
        "lc_messages_dir": str(home / "usr/share/mysql"),
        "character_sets_dir": str(home / "usr/share/mysql/charsets"),
        "plugin_dir": str(home / "usr/lib/mysql/plugin"),
    }
    if os.geteuid() == 0:
        places["user"] = "root"
    recipe = hashlib.sha256(_INIT_SQL.encode()).hexdigest()[:8]
    template = install(f"template-mariadb-{version}-{recipe}", lambda into: _initialise(into, home, env))
    command = (str(home / "usr/sbin/mariadbd"),)
    return Distribution("mariadb", version, command, env, {**places, **OPTIONS}, template / "data")


def _initialise(into: Path, home: Path, env: Mapping[str, str]) -> None:
    init_sql = into / "init.sql"
    init_sql.write_text(_INIT_SQL)
    argv = [
        str(home / "usr/bin/mariadb-install-db"),
        "--no-defaults",
        f"--basedir={home / 'usr'}",
        f"--datadir={into / 'data'}",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        f"--extra-file={init_sql}",
        "--innodb-log-file-size=16M",  # keeps the copies small; servers grow it at start
    ]
    if os.geteuid() == 0:
        argv.append("--user=root")
    run(argv, "prepare a data folder", env=env)
