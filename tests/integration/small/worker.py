"""A worker process like the real ones, whose role does what the file ``$BEHAVIOUR/<stream>`` says, read at each start."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from replicator.config import StreamConfig
from replicator.context import Worker, now_us
from replicator.errors import ReplicatorError, TransientError
from replicator.model import Role, State
from replicator.service.worker import main


def work(stream: StreamConfig, worker: Worker) -> None:
    """Stream, fail, crash or hang as told."""
    file = Path(os.environ["BEHAVIOUR"]) / str(stream.id)
    behaviour = file.read_text().strip() if file.exists() else "stream"
    if behaviour == "crash-at-once":
        os.kill(os.getpid(), signal.SIGSEGV)
    if behaviour == "retry":
        raise TransientError("the broker is away", where="nowhere", remedy="bring it back")
    if behaviour == "stop":
        raise ReplicatorError("a <b>bad</b> event", where="GTID x:1", remedy="look & think")
    if behaviour == "defect":
        raise ZeroDivisionError
    worker.reporter.set_state(State.STREAMING, "streaming")
    sequence = 0
    while not worker.stop.wait(0.02):
        if behaviour != "hang":
            worker.reporter.tick()
        sequence += 1
        worker.reporter.count("transactions")
        for stage in ("fetched", "applied"):
            worker.reporter.stage(stage, sequence, f"u:{sequence}", now_us())
        if behaviour == "crash-later" and sequence == 20:
            os.kill(os.getpid(), signal.SIGKILL)
    if behaviour == "never-ends":
        time.sleep(60)
    (file.parent / f"{stream.id}.drained").write_text(str(sequence))


if __name__ == "__main__":
    main(functions={Role.SOURCE: work, Role.APPLIER: work})
