"""``make bench-wan``: W1 drained with a wide-area link between Kafka and the applier, against the same without, each twice.

``python -m benchmarks.wan [--flavor mysql] [--rtt-ms 80] [--mbit 1000] [--scale 1]``. The link is ``dev.proxy``; it takes
some of this machine's processors.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from dev import DevError, KafkaServer, free_port, start_kafka, start_proxy
from dev.accounts import prepare_server

from .figures import Run, print_table, save
from .loads import SCHEMA
from .ours import Drain, write_backlog
from .servers import Servers, say, workspace

RATIO_MIN = 0.9


def measure(servers: Servers, folder: Path, kafka: KafkaServer, scale: float, address: str) -> dict[bool, list[Run]]:
    """W1 without and with the link, through which the applier reaches Kafka at ``address``.

    Near, far, far, near: a broker becomes faster for minutes, which must favor neither.
    """
    backlog = write_backlog(servers, "W1", scale)
    runs: dict[bool, list[Run]] = {False: [], True: []}
    for number, far in enumerate((False, True, True, False)):
        name = f"{'far' if far else 'near'}{number}"
        target = servers.fresh()
        prepare_server(target, [], [SCHEMA])
        drain = Drain(folder, backlog, target, kafka, name=name, bootstrap={"west": address} if far else None)
        try:
            run = drain.whole(f"replicator, {name}")
            say(f"{name}: {run.seconds:.1f} s, {run.rows_per_s:,.0f} rows/s")
            differences = drain.differences()
            if differences:
                raise DevError(f"{name}: the target differs:\n" + "\n".join(differences))
            runs[far].append(run)
        finally:
            drain.close()
        target.destroy()
    return runs


def main() -> int:
    """Command line."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.wan", description=__doc__)
    options.add_argument("--flavor", default="mysql", choices=["mysql", "mysql97", "mariadb"])
    options.add_argument("--rtt-ms", type=float, default=80)
    options.add_argument("--jitter-ms", type=float, default=5)
    options.add_argument("--mbit", type=float, default=1000)
    options.add_argument("--scale", type=float, default=1.0)
    chosen = options.parse_args()
    try:
        with workspace("wan") as (folder, stack):
            port = free_port()
            kafka = start_kafka(folder / "kafka", far_port=port, die_with_parent=True)
            stack.callback(kafka.destroy)
            assert kafka.far_listener_port is not None
            rate = chosen.mbit * 1e6 / 8
            link = {"rtt_ms": chosen.rtt_ms, "jitter_ms": chosen.jitter_ms, "bytes_per_s": rate}
            proxy = stack.enter_context(start_proxy(kafka.far_listener_port, port=port, **link))
            servers = Servers(chosen.flavor, folder, stack)
            runs = measure(servers, folder, kafka, chosen.scale, proxy.address)
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    near_s, far_s = (sum([run.seconds for run in runs[far]]) for far in (False, True))
    ratio = near_s / far_s
    lines = []
    for far, relative in ((False, 1.0), (True, ratio)):
        seconds, rates = zip(*[(f"{run.seconds:.1f}", f"{run.rows_per_s:,.0f}") for run in runs[far]], strict=True)
        lines.append((f"{chosen.rtt_ms:g} ms" if far else "none", ", ".join(seconds), "; ".join(rates), f"{relative:.2f}"))
    print_table(("link", "s", "rows/s", "ratio"), lines)
    documents = [run.document() for both in runs.values() for run in both]
    save("wan", {"scale": chosen.scale, "rtt_ms": chosen.rtt_ms, "ratio": round(ratio, 3), "runs": documents})
    if chosen.scale == 1.0 and ratio < RATIO_MIN:
        print(f"below its bound: {ratio:.2f}, wanted {RATIO_MIN}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
