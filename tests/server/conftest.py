"""Every test of what a transport does runs on both."""

from typing import get_args

import pytest

from tests.server import exchange


@pytest.fixture(params=get_args(exchange.Transport))
def transport(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> exchange.Transport:
    """What servers of `tests.server.exchange` speak through."""
    chosen: exchange.Transport = request.param
    monkeypatch.setattr(exchange, "TRANSPORT", chosen)
    return chosen
