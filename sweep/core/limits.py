"""What every name and number of a study must fit: in a config, in the log, and in a table.

The types below carry these limits as annotations. Only the codec of the log checks them
(`sweep.core.codec`): an object that our own code makes is not checked.
"""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, GetCoreSchemaHandler
from pydantic_core import CoreSchema

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
"""The name of a study or of a trial: a valid file name in any folder, and never a path."""

LARGEST = 1e150
"""The largest magnitude of a number: its square and its sums stay finite."""

Name = Annotated[str, Field(pattern=f"^{NAME.pattern}$")]
Number = Annotated[float, Field(gt=-LARGEST, lt=LARGEST, allow_inf_nan=False)]
Seconds = Annotated[float, Field(ge=0, lt=LARGEST, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=0, lt=2**63)]
"""A whole number that a table's int64 column holds."""


class EveryField:
    """A dataclass of which a line of the log must hold every field.

    A default serves Python code only. A line that lacks a field is damaged: one flipped bit in
    a field's name must not turn into the field's default.
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        schema = handler(source)
        dataclass: Any = handler.resolve_ref_schema(schema)
        for field in dataclass["schema"]["fields"]:
            if field["schema"]["type"] == "default":
                field["schema"] = field["schema"]["schema"]
        return schema
