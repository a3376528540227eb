#!/bin/sh
# Builds the wheel and uses it, without any extra, in a fresh environment: what users install is what is tried.
set -eu
bin=$1
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$bin/uv" build --quiet --wheel --out-dir "$folder" --python "$bin/python"
ls -l "$folder"/*.whl
"$bin/uv" venv --quiet --python "$bin/python" "$folder/venv"
"$bin/uv" pip install --quiet --python "$folder/venv/bin/python" "$folder"/*.whl
cd "$folder"
"$folder/venv/bin/python" -W error - <<'PY'
import sys

import spend_middleware
from spend_middleware import Spend, Usage, completion_cost, token_counter

heavy = {"sqlalchemy", "fastapi", "tiktoken", "alembic"} & set(sys.modules)
assert not heavy, f"imported too early: {heavy}"
assert completion_cost(model="gpt-4o-mini", prompt="Hey, how's it going?", completion="Well.") > 0
assert token_counter("gpt-4", messages=[{"role": "user", "content": "Hey, how's it going?"}]) == 14
with Spend("sqlite:///spend.db", master_key="sk-only-for-this-try") as spend:
    spend.record(provider="openai", model="gpt-4o-mini", usage=Usage(input_tokens=9, output_tokens=12))
    assert spend.flush()
    assert spend.app is not None
print("the wheel works:", spend_middleware.__version__)
PY
