"""Files pass by unless it is said that those of batches are to be read; then each result is a row, once."""

from __future__ import annotations

import json
import sqlite3
from decimal import Decimal
from pathlib import Path

import httpx2
import pytest

from spend_middleware import Spend

URL = "https://api.mistral.ai/v1/files/f1/content"


def results(*numbers: int) -> bytes:
    body = b""
    for number in numbers:
        usage = {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100}
        answer = {"id": f"c{number}", "model": "mistral-small-latest", "usage": usage}
        line = {"custom_id": str(number), "response": {"status_code": 200, "body": answer}}
        body += json.dumps(line).encode() + b"\n"
    return body


@pytest.mark.parametrize(("wanted", "rows"), [(False, 0), (True, 3)])
def test_the_results_of_a_batch_are_read_from_their_file_where_that_is_wanted(
    tmp_path: Path, wanted: bool, rows: int
) -> None:
    path = tmp_path / "spend.db"
    answer = httpx2.Response(200, content=results(1, 2, 3))
    with Spend(f"sqlite:///{path}", batch_seconds=0.01, batch_result_files=wanted) as spend:
        transport = spend.transport(httpx2.MockTransport(lambda request: answer))
        with spend.tag() as tally, httpx2.Client(transport=transport) as client:
            assert [client.get(URL).content for _ in range(2)] == [results(1, 2, 3)] * 2
        assert spend.flush()
    # mistral-small: 1.5e-7 in, 6e-7 out, half of it in a batch
    assert tally.cost == rows * (1000 * Decimal("1.5e-7") + 100 * Decimal("6e-7")) / 2
    with sqlite3.connect(path) as connection:
        found = connection.execute("SELECT provider, call_type, model FROM spend_logs").fetchall()
    assert found == [("mistral", "batch", "mistral-small-latest")] * rows
