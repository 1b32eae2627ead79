"""HTTP: /livez, /readyz, /lag, /metrics and a page for people. Reads only; there is no log-in, so it stays on loopback."""

from __future__ import annotations

import errno
import json
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, NoReturn

from prometheus_client import CONTENT_TYPE_LATEST
from waitress.server import create_server

from ..config_sites import split_address
from ..context import now_us
from ..errors import ReplicatorError
from .client import fetch_lag
from .lag import SiteView, lag_document, reasons
from .metrics import exposition
from .page import page

__all__ = ["HttpServer", "application"]

_THREADS = 4
_CONNECTIONS_MAX = 100

Environ = dict[str, Any]
StartResponse = Callable[[str, list[tuple[str, str]]], object]
_JSON = "application/json"
_DOWN = "503 Service Unavailable"


def application(view: Callable[[], SiteView], clock_us: Callable[[], int] = now_us) -> Callable[..., Iterable[bytes]]:
    """A WSGI application that shows what ``view`` returns at the time of each request."""

    def answer(path: str) -> tuple[str, str, bytes]:
        now, seen = clock_us(), view()
        if path == "/livez":
            return ("200 OK", "text/plain", b"alive\n") if seen.live else (_DOWN, "text/plain", b"hangs\n")
        if path == "/readyz":
            why = reasons(seen, now) + ([] if seen.live else ["the supervisor hangs"])
            return (_DOWN if why else "200 OK"), _JSON, _json({"ready": not why, "reasons": why})
        if path == "/lag":
            return "200 OK", _JSON, _json(lag_document(seen, now))
        if path == "/metrics":
            return "200 OK", CONTENT_TYPE_LATEST, exposition(seen, now)
        if path == "/":
            return "200 OK", "text/html; charset=utf-8", page(lag_document(seen, now)).encode()
        return "404 Not Found", "text/plain", b"there are /, /lag, /metrics, /livez and /readyz\n"

    def app(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            start_response("405 Method Not Allowed", [("Allow", "GET, HEAD"), ("Content-Length", "0")])
            return [b""]
        status, kind, body = answer(environ.get("PATH_INFO", "/"))
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        headers += [("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'")]
        headers += [("X-Content-Type-Options", "nosniff")]
        start_response(status, headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return app


def _json(document: object) -> bytes:
    return (json.dumps(document, indent=1) + "\n").encode()


class HttpServer:
    """Listens from its construction on; raises ReplicatorError where the address is taken or not ours."""

    def __init__(self, listen: str, view: Callable[[], SiteView]) -> None:
        host, port = split_address(listen)
        try:
            self._server = create_server(
                application(view),
                host=host,
                port=port,
                threads=_THREADS,
                connection_limit=_CONNECTIONS_MAX,
                channel_timeout=20,
                ident="replicator",
                clear_untrusted_proxy_headers=True,
            )
        except OSError as error:
            _refuse(listen, error)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)

    def start(self) -> None:
        """Answer from now on, in a thread."""
        self._thread.start()

    def _run(self) -> None:
        # Closing it from another thread ends its loop with an error on the closed socket.
        with suppress(OSError):
            self._server.run()

    def close(self) -> None:
        """Stop listening."""
        self._server.close()


def _refuse(listen: str, error: OSError) -> NoReturn:
    if error.errno != errno.EADDRINUSE:
        raise ReplicatorError(
            f"cannot listen on {listen}: {error.strerror}", where="http.listen", remedy="choose an address of this host"
        ) from error
    raise ReplicatorError(
        f"cannot listen on {listen}: {_who(listen)}",
        where="http.listen",
        remedy="stop that one, or give this daemon another address (http.listen, sites.NAME.http.listen or --listen)",
    ) from error


def _who(listen: str) -> str:
    """Who has the address; another daemon of ours says so itself."""
    try:
        site = fetch_lag(f"http://{listen}", timeout_s=2.0)["site"]
    except ReplicatorError:
        return "another program listens there"
    return f"a replicator for the site {site} runs there already"
