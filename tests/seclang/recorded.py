"""Where the rules and cases of others are: in `BSGUARD_TEST_DATA`, else in `shared/data` beside the checkout."""

from __future__ import annotations

import os
from pathlib import Path

FOLDER = Path(os.environ.get("BSGUARD_TEST_DATA") or Path(__file__).parents[3] / "shared" / "data")
