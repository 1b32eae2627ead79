"""MySQL servers: 8.0.31 from a Maven artifact (the default), 9.7 from Debian unstable."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from .apt import library_path
from .cache import install
from .commands import run
from .database import ROOT_PASSWORD, DatabaseServer, Distribution, create
from .fetch import fetch_mysql80, fetch_mysql97

__all__ = ["MySqlVersion", "mysql_distribution", "start_mysql"]

MySqlVersion = Literal["8.0", "9.7"]

OPTIONS = {
    "mysqlx": "OFF",
    "log_bin": "binlog",
    "log_replica_updates": "ON",
    "gtid_mode": "ON",
    "enforce_gtid_consistency": "ON",
    "binlog_format": "ROW",
    "binlog_row_image": "FULL",
    "binlog_row_metadata": "FULL",
    "sync_binlog": "1",
    "innodb_flush_log_at_trx_commit": "1",
    "innodb_buffer_pool_size": "256M",
    "innodb_redo_log_capacity": "512M",
    "max_allowed_packet": "128M",
    "local_infile": "ON",
    "secure_file_priv": "NULL",
    "performance_schema": "OFF",
}

# Run while the data folder is prepared, before there is a binlog.
_INIT_SQL = f"""\
ALTER USER 'root'@'localhost' IDENTIFIED BY '{ROOT_PASSWORD}';
CREATE USER 'root'@'127.0.0.1' IDENTIFIED BY '{ROOT_PASSWORD}';
GRANT ALL PRIVILEGES ON *.* TO 'root'@'127.0.0.1' WITH GRANT OPTION;
"""


def start_mysql(
    dir: Path,
    *,
    port: int | None = None,
    server_id: int,
    version: MySqlVersion = "8.0",
    options: Mapping[str, str | None] | None = None,
    die_with_parent: bool = False,
    wait: bool = True,
) -> DatabaseServer:
    """Start a MySQL server in ``dir``, fetched first if need be; data that is already there is kept.

    ``port=None`` picks a free one. ``options`` are server options on top of ``OPTIONS`` ("" for a bare word, None to
    drop one). ``die_with_parent`` ties its life to the calling process. ``wait=False`` returns before it is ready.
    """
    return create(
        dir,
        mysql_distribution(version),
        port=port,
        server_id=server_id,
        options=options,
        die_with_parent=die_with_parent,
        wait=wait,
    )


def mysql_distribution(version: MySqlVersion) -> Distribution:
    """The unpacked MySQL of ``version`` and its prepared data folder, fetched when missing."""
    if version == "8.0":
        home = fetch_mysql80()
        command: tuple[str, ...] = (str(home / "bin/mysqld"),)
        env = {"LD_LIBRARY_PATH": f"{home}/lib/private:{home}/bin:{library_path(home / 'debian')}"}
        places = {"basedir": str(home), "lc_messages_dir": str(home / "share")}
        exact = "8.0.31"
    else:
        home = fetch_mysql97()
        libraries = library_path(home)
        loader = next(home.glob("usr/lib*/ld-linux-x86-64.so.2"), home / "lib64/ld-linux-x86-64.so.2")
        command = (str(loader), "--library-path", libraries, str(home / "usr/sbin/mysqld"))
        env = {}
        places = {
            "basedir": str(home / "usr"),
            "lc_messages_dir": str(home / "usr/share/mysql"),
            "character_sets_dir": str(home / "usr/share/mysql/charsets"),
            "plugin_dir": str(home / "usr/lib/mysql/plugin"),
        }
        exact = (home / "VERSION").read_text().strip()
    if os.geteuid() == 0:
        places["user"] = "root"
    recipe = hashlib.sha256(_INIT_SQL.encode()).hexdigest()[:8]
    template = install(f"template-mysql-{exact}-{recipe}", lambda into: _initialise(into, command, env, places))
    return Distribution("mysql", exact, command, env, {**places, **OPTIONS}, template / "data")


def _initialise(into: Path, command: tuple[str, ...], env: Mapping[str, str], places: Mapping[str, str]) -> None:
    init_sql = into / "init.sql"
    init_sql.write_text(_INIT_SQL)
    # A small redo log keeps the copies small; servers grow it at start to their own capacity.
    settings = {**places, "datadir": str(into / "data"), "init_file": str(init_sql), "mysqlx": "OFF"}
    settings["innodb_redo_log_capacity"] = "8M"
    defaults_file = into / "my.cnf"
    defaults_file.write_text("[mysqld]\n" + "".join(f"{name}={value}\n" for name, value in settings.items()))
    run([*command, f"--defaults-file={defaults_file}", "--initialize-insecure"], "prepare a data folder", env=env)
    (into / "data/auto.cnf").unlink(missing_ok=True)
    shutil.rmtree(into / "data/#innodb_temp", ignore_errors=True)
