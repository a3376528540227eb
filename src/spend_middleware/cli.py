"""The `spend` command: repricing, verifying, purging, and the database script for those who apply it themselves."""

from __future__ import annotations

import argparse
import getpass
import json
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, is_dataclass
from decimal import Decimal
from typing import Any

from spend_middleware.call import from_pico
from spend_middleware.errors import ConfigurationError, SpendError
from spend_middleware.headers import plain
from spend_middleware.settings import Settings
from spend_middleware.spend import Spend


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, 1 when something was found wrong, 2 for a question that cannot be answered."""
    asked = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = asked.command
    try:
        return command(asked)
    except SpendError as error:
        print(f"spend: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="spend", description="Look after a spend-middleware ledger.")
    parser.add_argument("--database", metavar="URL", help="SPEND_DATABASE_URL when not given")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    reprice = commands.add_parser("reprice", help="price stored calls again; differences become adjustments")
    reprice.add_argument("--since", metavar="DATE", help="the first moment, ISO 8601, UTC")
    reprice.add_argument("--until", metavar="DATE", help="the end, not included")
    reprice.add_argument("--model", help="only this model's calls")
    reprice.add_argument("--dry-run", action="store_true", help="only show the difference")
    reprice.add_argument("--why", default="repriced", help="stands in the entries")
    reprice.set_defaults(command=_reprice)

    verify = commands.add_parser("verify", help="compare rollups with rows; status 1 when they differ")
    verify.add_argument("--repair", action="store_true", help="mend what differs")
    verify.set_defaults(command=_verify)

    purge = commands.add_parser("purge", help="erase a person; totals stay")
    purge.add_argument("--end-user", required=True, metavar="NAME")
    purge.set_defaults(command=_purge)

    health = commands.add_parser("health", help="say how the ledger is; status 1 when it is not well")
    health.set_defaults(command=_health)

    script = commands.add_parser("sql", help="print the SQL script of the schema, for auto_migrate=False")
    script.set_defaults(command=_sql)
    return parser


def _open(asked: argparse.Namespace) -> Spend:
    spend = Spend(asked.database) if asked.database else Spend()
    file = spend.store.database.address.file
    if file is not None and not file.exists():
        # A new file would be a ledger in which all is well.
        raise ConfigurationError(f"there is no database {file}.")
    return spend


def _reprice(asked: argparse.Namespace) -> int:
    with _open(asked) as spend:
        # The difference is shown first, always.
        bounds = {"since": asked.since, "until": asked.until, "model": asked.model}
        shown = spend.reprice(**bounds, dry_run=True)
        print(
            f"{shown.examined} calls examined, {shown.changed} with another price, {shown.priced} priced at last."
        )
        for model, pico in sorted(shown.by_model.items(), key=lambda item: (-abs(item[1]), item[0])):
            print(f"  {model:50} {_usd(pico, '+')} USD")
        before, after = shown.before_pico, shown.after_pico
        print(f"  {'in all':50} {_usd(after - before, '+')} USD ({_usd(before)} -> {_usd(after)})")
        if not asked.dry_run:
            made = spend.reprice(**bounds, dry_run=False, who=getpass.getuser(), why=asked.why)
            print(f"{made.made} adjustments entered.")
    return 0


def _usd(pico: int, sign: str = "") -> str:
    return ("-" if pico < 0 else sign) + plain(from_pico(abs(pico)))


def _verify(asked: argparse.Namespace) -> int:
    with _open(asked) as spend:
        found = spend.verify(repair=asked.repair)
    print(_text(found))
    return 0 if found.agrees or asked.repair else 1


def _purge(asked: argparse.Namespace) -> int:
    with _open(asked) as spend:
        print(_text(spend.forget(end_user=asked.end_user)))
    return 0


def _health(asked: argparse.Namespace) -> int:
    with _open(asked) as spend:
        spend.flush()
        health = spend.health()
    print(_text(health))
    return 0 if health["database_reachable"] and not health["refused"] else 1


def _sql(asked: argparse.Namespace) -> int:
    from spend_middleware.store.migrate import sql_script

    print(sql_script(asked.database or Settings().database_url))
    return 0


def _text(found: Any) -> str:
    values = asdict(found) if is_dataclass(found) and not isinstance(found, type) else found
    return json.dumps(
        values, indent=2, default=lambda value: f"{value:f}" if isinstance(value, Decimal) else str(value)
    )


if __name__ == "__main__":
    sys.exit(main())
