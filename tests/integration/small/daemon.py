"""The real supervisor with ``worker.py`` for its workers: ``daemon.py CONFIG SITE``."""

from __future__ import annotations

import sys
from pathlib import Path

from replicator.errors import ReplicatorError
from replicator.service.child import Launch, default_command
from replicator.service.logging import configure_logging
from replicator.service.supervisor import Supervisor, read_config


def command(launch: Launch) -> list[str]:
    """As the real one, with the small worker for the real module."""
    python, _, _, *options = default_command(launch)
    return [python, str(Path(__file__).with_name("worker.py")), *options]


if __name__ == "__main__":
    configure_logging("json")
    config, text = read_config(Path(sys.argv[1]))
    try:
        supervisor = Supervisor(config, text, sys.argv[2], log_form="json", command=command, crashes_max=4)
        sys.exit(supervisor.run())
    except ReplicatorError as error:
        sys.exit(f"error: {error}")
