"""The page for people: one self-contained HTML document made from /lag's, everything in it escaped."""

from __future__ import annotations

from html import escape
from typing import Any

__all__ = ["page"]

_STYLE = """
:root{color-scheme:light dark;--line:#8884;--ok:#1a7f37;--late:#9a6700;--bad:#cf222e;--mute:#777}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.3rem;margin:0}h2{font-size:1.1rem;margin:2rem 0 .3rem}
table{border-collapse:collapse;width:100%;margin:.5rem 0}
th,td{text-align:left;padding:.3rem .7rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n,th.n{text-align:right;font-variant-numeric:tabular-nums}
code{font-size:.85em;overflow-wrap:anywhere}.mute{color:var(--mute)}
.ok{color:var(--ok)}.late{color:var(--late)}.critical,.unknown,.bad{color:var(--bad)}
.error{border-left:4px solid var(--bad);padding:.4rem .8rem;margin:.5rem 0;overflow-wrap:anywhere}
"""


def page(document: dict[str, Any]) -> str:
    """The page of that /lag document."""
    ready = '<b class="ok">ready</b>' if document["ready"] else '<b class="bad">not ready</b>'
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="5">',
        '<meta name="viewport" content="width=device-width,initial-scale=1">',
        f"<title>replicator: {_text(document['site'])}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Site {_text(document['site'])}: {ready}</h1>",
        f'<p class="mute">as of {_text(document["time"])}; every 5 seconds anew · ',
        '<a href="lag">lag as JSON</a> · <a href="metrics">metrics</a></p>',
    ]
    if document["note"]:
        parts.append(f'<p class="error">{_text(document["note"])}</p>')
    if not document["flows"]:
        parts.append("<p>No flow runs here.</p>")
    for flow in document["flows"]:
        parts += _flow(flow)
    parts.append("</body></html>")
    return "".join(parts)


def _flow(flow: dict[str, Any]) -> list[str]:
    lag = flow["lag_seconds"]
    shown = "lag unknown" if isinstance(lag, str) else f"{lag:.1f} s behind"
    parts = [
        f'<h2>{_text(flow["pair"])}: {_text(flow["origin"])} → {_text(flow["target"])} ',
        f'<span class="{_text(flow["level"])}">{_text(shown)}</span></h2>',
    ]
    for stream in flow["streams"]:
        calm = stream["state"] == "streaming"
        parts.append(
            f'<p>{_text(stream["role"])} of stream <b>{_text(stream["stream"])}</b>: '
            f'<b class="{"ok" if calm else "bad"}">{_text(stream["state"])}</b> '
            f'<span class="mute">{_text(stream["note"])}</span></p>'
        )
        error = stream["error"]
        if error is not None:
            where = f'<br><span class="mute">at {_text(error["where"])}</span>' if error["where"] else ""
            remedy = f"<br><b>What to do:</b> {_text(error['remedy'])}" if error["remedy"] else ""
            parts.append(f'<div class="error">{_text(error["what"])}{where}{remedy}</div>')
        parts += _stages(stream["stages"])
    return parts


def _stages(stages: dict[str, Any]) -> list[str]:
    if not stages:
        return ['<p class="mute">Nothing has passed yet.</p>']
    heads = "".join(f'<th class="n">{h}</th>' for h in ("Lag (s)", "Transactions", "Sequence"))
    parts = [f"<table><tr><th>Stage</th>{heads}<th>Committed at the origin</th><th>GTID</th></tr>"]
    for name, stage in stages.items():
        numbers = "".join(
            f'<td class="n">{_text(stage[key])}</td>' for key in ("lag_seconds", "lag_transactions", "sequence")
        )
        origin = _text(stage["origin_time"] or "never")
        parts.append(f"<tr><td>{_text(name)}</td>{numbers}<td>{origin}</td><td><code>{_text(stage['gtid'])}</code></td></tr>")
    parts.append("</table>")
    return parts


def _text(value: object) -> str:
    return escape(str(value), quote=True)
