"""How many examples a property test tries that names a number of its own."""

from __future__ import annotations

import os

QUICK_EXAMPLES = 10  # `./dev quick`: enough to see a broken rule; the whole run tries them all


def examples(count: int) -> int:
    """For `@settings(max_examples=examples(100))`: that many, or the few of the profile "quick"."""
    return min(count, QUICK_EXAMPLES) if os.environ.get("HYPOTHESIS_PROFILE") == "quick" else count
