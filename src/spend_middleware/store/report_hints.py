"""Functions of SQL that are named differently on each database, or tell its planner which index to take."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Integer
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement

from spend_middleware.store.columns import Name


class common(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    """A condition that most rows meet, which SQLite is told; PostgreSQL has statistics and knows.

    Nobody runs ANALYZE on an application's SQLite file, and without statistics its planner takes every equality for a
    rare one: it would read all days of a zone to find one name (https://www.sqlite.org/lang_corefunc.html#likelihood).
    """

    type = (
        Integer()
    )  # called boolean, SQLAlchemy would compare it with 1, and SQLite no longer see the column in it
    inherit_cache = True


class rare(FunctionElement[Any]):  # noqa: N801
    """A condition that few rows meet, which SQLite is told too."""

    type = Integer()
    inherit_cache = True


@compiles(common)
@compiles(rare)
def _as_it_is(element: FunctionElement[Any], compiler: SQLCompiler, **more: Any) -> str:
    return compiler.process(element.clauses, **more)


@compiles(common, "sqlite")
def _with_its_likelihood(element: common, compiler: SQLCompiler, **more: Any) -> str:
    return f"likelihood({compiler.process(element.clauses, **more)}, 0.9)"


@compiles(rare, "sqlite")
def _with_its_rarity(element: rare, compiler: SQLCompiler, **more: Any) -> str:
    return f"likelihood({compiler.process(element.clauses, **more)}, 0.00001)"


class unfolded(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    """The texts of a JSON list as rows: a row's tags need no index that leads from rows to tags."""

    inherit_cache = True


@compiles(unfolded)
def _of_jsonb(element: unfolded, compiler: SQLCompiler, **more: Any) -> str:
    return f"jsonb_array_elements_text(CAST({compiler.process(element.clauses, **more)} AS jsonb))"


@compiles(unfolded, "sqlite")
def _of_json(element: unfolded, compiler: SQLCompiler, **more: Any) -> str:
    return f"json_each({compiler.process(element.clauses, **more)})"


class unforeseen(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    """A value that PostgreSQL's planner is not shown, so that it reckons with what a value has on average.

    Of a day or span that is younger than its statistics it would expect no rows at all, any index would do as well,
    and it may read everybody's rows of that day to find one owner's.
    """

    type = Name
    inherit_cache = True


@compiles(unforeseen)
def _asked_apart(element: unforeseen, compiler: SQLCompiler, **more: Any) -> str:
    return f"(SELECT {compiler.process(element.clauses, **more)})"


@compiles(unforeseen, "sqlite")
def _shown(element: unforeseen, compiler: SQLCompiler, **more: Any) -> str:
    return compiler.process(element.clauses, **more)


class unsought(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    """A column that SQLite shall not look rows up by, so that it begins with the other table of a join."""

    type = Integer()
    inherit_cache = True


@compiles(unsought)
def _plain(element: unsought, compiler: SQLCompiler, **more: Any) -> str:
    return compiler.process(element.clauses, **more)


@compiles(unsought, "sqlite")
def _with_a_plus(element: unsought, compiler: SQLCompiler, **more: Any) -> str:
    return f"+{compiler.process(element.clauses, **more)}"


class sorted_after(FunctionElement[Any]):  # noqa: N801 - a function of SQL
    """A number to sort by when the rows have been found, in no case along an index of it.

    PostgreSQL without statistics, or with those of a small table, would rather walk through all calls in their order
    until it has met a page of one session's, than look these few up and sort them.
    """

    type = BigInteger()
    inherit_cache = True


@compiles(sorted_after)
def _computed(element: sorted_after, compiler: SQLCompiler, **more: Any) -> str:
    return f"({compiler.process(element.clauses, **more)} + 0)"
