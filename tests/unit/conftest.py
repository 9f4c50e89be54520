"""What all unit tests share."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

# A timing never decides about a test.
settings.register_profile("noref", deadline=None)
settings.load_profile("noref")


@pytest.fixture
def minded() -> Iterator[None]:
    """SIGINT is minded, also where the tests were started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.signal(signal.SIGINT, before) is signal.default_int_handler
