"""Every scenario, in the order of the files."""

from __future__ import annotations

from tests.scenarios.consultations import CONSULTATIONS
from tests.scenarios.everyday import EVERYDAY
from tests.scenarios.oddities import ODDITIES
from tests.scenarios.transfers import TRANSFERS

CATALOGUE = (*EVERYDAY, *TRANSFERS, *CONSULTATIONS, *ODDITIES)
