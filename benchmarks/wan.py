"""``make bench-wan``: W1 drained with a wide-area link between Kafka and the applier, against the same without.

``python -m benchmarks.wan [--flavor mysql] [--rtt-ms 80] [--mbit 1000] [--scale 1]``. The link is ``dev.proxy``; it takes
some of this machine's processors, which is printed.
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


def measure(servers: Servers, folder: Path, kafka: KafkaServer, scale: float, links: dict[str, str | None]) -> list[Run]:
    """W1 once for each link: its name, and the address through which the applier reaches Kafka."""
    backlog = write_backlog(servers, "W1", scale)
    runs = []
    for name, address in links.items():
        target = servers.fresh()
        prepare_server(target, [], [SCHEMA])
        drain = Drain(folder, backlog, target, kafka, name=name, bootstrap={"west": address} if address else None)
        try:
            run = drain.whole(f"replicator, {name}")
            say(f"{name}: {run.seconds:.1f} s, {run.rows_per_s:,.0f} rows/s")
            differences = drain.differences()
            if differences:
                raise DevError(f"{name}: the target differs:\n" + "\n".join(differences))
            runs.append(run)
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
            runs = measure(servers, folder, kafka, chosen.scale, {"near": None, "far": proxy.address})
    except DevError as error:
        print(error, file=sys.stderr)
        return 1
    near, far = runs
    ratio = far.rows_per_s / near.rows_per_s
    head = ("link", "s", "rows/s", "ratio")
    link_text = f"{chosen.rtt_ms:g} ms"
    print_table(
        head,
        [
            ("none", f"{near.seconds:.1f}", f"{near.rows_per_s:,.0f}", "1"),
            (link_text, f"{far.seconds:.1f}", f"{far.rows_per_s:,.0f}", f"{ratio:.2f}"),
        ],
    )
    save("wan", {"rtt_ms": chosen.rtt_ms, "ratio": round(ratio, 3), "runs": [run.document() for run in runs]})
    if chosen.scale == 1.0 and ratio < RATIO_MIN:
        print(f"below its bound: {ratio:.2f}, wanted {RATIO_MIN}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
