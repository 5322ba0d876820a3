"""Names of Arrow types, without what only says how an engine stores them."""

import re

import pyarrow as pa


def type_name(kind: pa.DataType) -> str:
    """The name of a type; large strings and lists are as others, and items of lists have no name."""
    return re.sub(r"large_|\w+: ", "", str(kind))
