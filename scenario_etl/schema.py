"""Declaration of resources: Column and Resource."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import pyarrow as pa

from scenario_etl.column_types import PANDAS_TYPES, STRING, TIMESTAMP, ColumnType
from scenario_etl.errors import ConfigError
from scenario_etl.filters import Filter

THUMBNAIL_COLUMNS = ("updated_at", "thumbnail_asset_id", "thumbnail_url")
RESERVED_NAMES = ("snapshot_date", "change", "changed_columns")  # of columns that a lake adds


@dataclass(frozen=True, slots=True)
class Column:
    """A column of a resource.

    Attributes:
        name: Name of the column in snake_case.
        field: Name of the field in the JSON record; a dot separates the names of nested objects, as in "thumbnail.url".
        type: One of the types in `column_types`, such as STRING.
        nullable: Whether the value may be missing or null; False for keys.
        is_categorical: Whether the column has few distinct values; it is then dictionary-encoded in Parquet files.
        signed_url: "thumbnail" or "content" if the values are signed URLs of these, whose query is a credential that
            expires; "" otherwise.
        optional: Whether the API may omit the field; null is then not counted as missing.
        included_by: Argument of `scan` that adds the column, "" if the table always has it.
        description: What the value is, with its unit, as a phrase for the documentation.

    """

    name: str
    field: str
    type: ColumnType
    nullable: bool = True
    is_categorical: bool = False
    signed_url: Literal["", "thumbnail", "content"] = ""
    optional: bool = False
    included_by: str = ""
    description: str = ""

    @property
    def parent(self) -> str:
        """The dotted name of the object with the field, "" for the record."""
        return self.field.rpartition(".")[0]


# of the table of several projects; no field of the records
PROJECT = Column(
    "project_id", "", STRING, nullable=False, is_categorical=True, description="ID of the project that was read."
)


@dataclass(frozen=True, slots=True)
class Resource:
    """A list of the API, and the table that it is converted to.

    Attributes:
        name: Name of the table, also on the command line.
        path: Path below the base URL.
        records_key: Key of the list of records in a page.
        record_key: Key of the record in the response to a request for a single id, such as `GET /collections/{id}`;
            None if missing rows of the resource cannot be looked up.
        primary_key: Names of the columns that identify a row. Each must be the exploded column, or a STRING column that
            is not nullable, with a field that is not nested.
        page_sizes: Minimum and maximum page size, None if the list has no pages.
        columns: Columns in the order of the table.
        filters: Filters that the API supports for this list.
        fixed_query: Query parameters of every request.
        ignored_fields: Dotted names of fields that the API declares but that have no column; they are not counted as
            unknown.
        required_objects: Dotted names of objects that every record has; if one is missing, its fields count as missing.
        finished_statuses: Values of `status` after which a record does not change anymore; empty for resources without.
        exploded: Name of a STRINGS column of which each item becomes a row, "" for none. Other fields are ignored.

    Raises:
        ConfigError: A column of the primary key is not a STRING column, is nullable or is nested.

    """

    name: str
    path: str
    records_key: str
    record_key: str | None
    primary_key: tuple[str, ...]
    page_sizes: tuple[int, int] | None
    columns: tuple[Column, ...]
    filters: tuple[Filter, ...] = ()
    fixed_query: Mapping[str, str] = field(default_factory=dict, hash=False)
    ignored_fields: tuple[str, ...] = ()
    required_objects: tuple[str, ...] = ()
    exploded: str = ""
    finished_statuses: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _check_columns(self.name, self.columns)
        keys = [column for column in self.columns if column.name in self.primary_key]
        if not keys or len(keys) != len(self.primary_key) or not all(self._can_be_key(column) for column in keys):
            raise ConfigError(
                f"{self.name}: the primary key must consist of STRING columns that are not nullable, with fields that "
                f"are not nested, got {', '.join(self.primary_key) or 'no column'}"
            )

    @property
    def schema(self) -> pa.Schema:
        """The Arrow schema of the table."""
        return with_pandas_types(
            pa.field(each.name, each.type.value_type, nullable=False) if each.name == self.exploded else each
            for each in self.record_schema
        )

    @property
    def record_schema(self) -> pa.Schema:
        """The Arrow schema with one row per record, which differs if a column is exploded."""
        return with_pandas_types([pa.field(c.name, c.type.arrow, c.nullable) for c in self.columns])

    @property
    def key_fields(self) -> list[str]:
        """The names of the fields that identify a record."""
        keys = [column for column in self.columns if column.name in self.primary_key]
        return [column.field for column in keys if column.name != self.exploded]

    @property
    def has_thumbnails(self) -> bool:
        """Whether the table has the columns that thumbnails are stored from."""
        return {*THUMBNAIL_COLUMNS} <= {column.name for column in self.columns}

    def _can_be_key(self, column: Column) -> bool:
        is_key = column.type == STRING and not column.nullable and "." not in column.field
        return is_key or column.name == self.exploded

    @property
    def has_projects(self) -> bool:
        """Whether the table has the rows of several projects, with a column for the project."""
        return PROJECT in self.columns

    def with_projects(self) -> "Resource":
        """Return the resource with a first column `project_id`, which is also part of the primary key."""
        if self.has_projects:
            return self
        return replace(self, columns=(PROJECT, *self.columns), primary_key=(PROJECT.name, *self.primary_key))

    def without_projects(self) -> "Resource":
        """Return the resource without the column for the project, as its records are."""
        if not self.has_projects:
            return self
        return replace(self, columns=self.columns[1:], primary_key=self.primary_key[1:])

    def with_columns_of(self, arguments: Collection[str]) -> "Resource":
        """Return the resource without the columns that none of these arguments includes.

        Raises:
            ConfigError: An argument includes no column.

        """
        if unknown := [each for each in arguments if each not in {column.included_by for column in self.columns}]:
            raise ConfigError(
                f"{unknown[0]} is not supported for {self.name}, because it adds no column there; omit it"
            )
        omitted = [column for column in self.columns if column.included_by and column.included_by not in arguments]
        return replace(
            self,
            columns=tuple(column for column in self.columns if column not in omitted),
            ignored_fields=(*self.ignored_fields, *(column.field for column in omitted)),
        )

    @property
    def dictionary_columns(self) -> list[str]:
        """The names of the columns that are dictionary-encoded."""
        return [column.name for column in self.columns if column.is_categorical]


def _check_columns(resource: str, columns: Sequence[Column]) -> None:
    names = [column.name for column in columns]
    for column in columns:
        is_reserved = column.name in RESERVED_NAMES or (column.name == PROJECT.name and column != PROJECT)
        if names.count(column.name) > 1 or is_reserved:
            raise ConfigError(
                f"{resource}: the column name {column.name} is reserved or already used; choose another name"
            )
        if column.signed_url and (column.type != STRING or not column.nullable):
            raise ConfigError(f"{resource}: {column.name} has signed URLs, so it must be a nullable STRING column")


def with_pandas_types(fields: Iterable[pa.Field]) -> pa.Schema:
    """Return a schema whose metadata makes pandas read the same dtypes whether or not a null occurs.

    The metadata is what pandas itself writes into Parquet files (its "Storing pandas DataFrame objects in Apache
    Parquet format"). Columns of other types than those in `column_types` are left to pandas.
    """
    fields = list(fields)
    columns = [
        {"name": each.name, "field_name": each.name, "pandas_type": kind, "numpy_type": dtype, "metadata": zone}
        for each in fields
        if each.type in PANDAS_TYPES
        for kind, dtype in [PANDAS_TYPES[each.type]]
        for zone in [{"timezone": "UTC"} if each.type == TIMESTAMP.arrow else None]
    ]
    document = {"index_columns": [], "column_indexes": [], "columns": columns, "pandas_version": "3.0.0"}
    return pa.schema(fields, metadata={"pandas": json.dumps(document)})
