"""Every error that this package raises, as one small tree.

    SpendError
    ├── ConfigurationError        a setting or argument has a value that cannot work
    │   └── TakenError            the name is taken by something else
    ├── MissingDependencyError    an optional package is needed (also an ImportError)
    ├── PriceError                a price or a price map is not usable
    ├── StoreError                the database or the journal cannot do what was asked
    │   └── SchemaError           the database holds a schema that this version cannot use
    └── NotFoundError             nothing is known under the name that was asked for

Nothing here is ever raised into a metered call: what goes wrong while metering is logged once and counted.
"""

from __future__ import annotations


class SpendError(Exception):
    """The root of all errors of this package."""


class ConfigurationError(SpendError, ValueError):
    """A setting or an argument has a value that cannot work; the message names the value and the remedy."""


class MissingDependencyError(SpendError, ImportError):
    """An optional package is needed; the message holds the command that installs it."""


class PriceError(SpendError, ValueError):
    """A price or a price map is not usable; the message names the model and the field."""


class StoreError(SpendError):
    """The database or the journal cannot do what was asked."""


class SchemaError(StoreError):
    """The database holds a schema that this version cannot use."""


class NotFoundError(SpendError, LookupError):
    """Nothing is known under the name that was asked for."""


class TakenError(ConfigurationError):
    """The name is taken by something else.

    Args:
        field: The field of the request that holds the name.
    """

    def __init__(self, message: str, field: str = "") -> None:
        super().__init__(message)
        self.field = field
