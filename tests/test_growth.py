"""The measure of growth finds what grows too fast, and nothing else."""

from __future__ import annotations

import pytest

from tests import growth
from tests.growth import check_growth


def test_what_grows_with_the_square_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each of so many beginnings reads to the end."""
    monkeypatch.setattr(growth, "TRIES", 2)
    with pytest.raises(pytest.fail.Exception, match="times of what took"):
        check_growth(lambda size: [sum(range(size)) for _ in range(size)], 1_500)


def test_what_grows_with_the_length_passes() -> None:
    """One walk over everything."""
    check_growth(lambda size: sum(range(size)), 1_000_000)
