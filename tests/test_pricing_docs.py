"""The programs in docs/prices.md that need nothing but the package run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

from spend_middleware.pricing.book import PriceBook
from spend_middleware.pricing.table import PriceTable

TEXT = (Path(__file__).parents[1] / "docs" / "prices.md").read_text()


def test_the_programs_about_the_price_book_run() -> None:
    programs = [
        p for p in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL) if "spend." not in p.split("import")[0]
    ]
    assert len(programs) == 2
    names: dict[str, object] = {}
    exec(programs[0], names)
    names["book"] = PriceBook(PriceTable.packaged())  # its own, so that what is registered stays here
    exec(programs[1], names)
