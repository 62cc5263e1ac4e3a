"""Ranges of amounts in a study file: [lowest, highest], both included, null for an open end."""

from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

from scalebed.core.errors import ScalebedError
from scalebed.core.quantities import FLOPS, PARAMS, TOKENS, Amount, read_amount

_END = {"anyOf": [{"type": "number"}, {"type": "string"}, {"type": "null"}]}
_SCHEMA = WithJsonSchema({"type": "array", "items": _END, "minItems": 2, "maxItems": 2})


def _reader(amount: Amount) -> BeforeValidator:
    """Return a validator that reads ends as people write them: 4e8, 400M, 7B."""

    def read(value: Any) -> tuple[float | None, float | None]:
        if not isinstance(value, list | tuple) or len(value) != 2:
            raise ValueError(f"{value!r} is no range, expected [lowest, highest], null for no end")
        low, high = (_end(end, amount) for end in value)
        if low is None and high is None:
            raise ValueError("a range without ends says nothing, expected [lowest, highest]")
        if low is not None and high is not None and low > high:
            raise ValueError(f"the lowest {value[0]} is above the highest {value[1]}")
        return low, high

    return BeforeValidator(read)


def _end(value: Any, amount: Amount) -> float | None:
    if value is None:
        return None
    try:
        return read_amount(str(value), "an end", amount)
    except ScalebedError as error:
        raise ValueError(str(error)) from error


Ends = tuple[float | None, float | None]
ParamsRange = Annotated[Ends, _reader(PARAMS), _SCHEMA]
TokensRange = Annotated[Ends, _reader(TOKENS), _SCHEMA]
FlopsRange = Annotated[Ends, _reader(FLOPS), _SCHEMA]
