"""Asks a daemon, perhaps one of another site, for its /lag."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

from ..errors import ReplicatorError

__all__ = ["fetch_lag"]

_BYTES_MAX = 8 << 20


def fetch_lag(base_url: str, *, timeout_s: float = 3.0) -> dict[str, Any]:
    """The document; raises ReplicatorError where nobody answers, or something else does."""
    # No proxy from the environment: the address is the configuration's own word.
    opener = build_opener(ProxyHandler({}))
    try:
        with opener.open(f"{base_url}/lag", timeout=timeout_s) as answer:
            document = json.loads(answer.read(_BYTES_MAX))
        if not isinstance(document, dict) or "site" not in document or "flows" not in document:
            raise ValueError("not a /lag document")
    except (URLError, OSError, http.client.HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise ReplicatorError(
            f"no daemon answers at {base_url}: {reason}",
            where=base_url,
            remedy="start it there, or give its address as other hosts reach it by http.url of the site",
        ) from error
    return document
