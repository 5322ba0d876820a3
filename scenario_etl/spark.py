"""A Spark data source of the lists of the API, for batches and streams. Requires the `spark` extra."""

from collections import Counter
from collections.abc import Generator, Iterator, MutableMapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, cast

import pyarrow as pa

from scenario_etl.arguments import check_type
from scenario_etl.client import Client
from scenario_etl.errors import APIError, ConfigError, ScenarioError
from scenario_etl.extras import requires_extra
from scenario_etl.incremental import MAX_AGE, MIN_LOOKBACK, check_incremental, is_by_creation, server_time
from scenario_etl.part_reader import rows_inside
from scenario_etl.scans import Scan
from scenario_etl.scope import describe_difference
from scenario_etl.source import Source
from scenario_etl.spark_options import SparkOptions, check_column, parse_options
from scenario_etl.windows import Window

with requires_extra("scenario_etl.spark", "spark"):
    from pyspark import cloudpickle
    from pyspark.sql.datasource import DataSource, DataSourceReader, DataSourceStreamReader, InputPartition
    from pyspark.sql.pandas.types import from_arrow_schema
    from pyspark.sql.streaming.datasource import ReadLimit, SupportsTriggerAvailableNow
    from pyspark.sql.types import StructField, StructType

Offset = dict[str, str]


def source(client: Client) -> type[DataSource]:
    """Return a data source for `spark.dataSource.register`, with the format "scenario".

    The credentials and the other settings of the client are part of the returned class, which Spark sends to its
    executors. They do not appear in options, plans or logs.

    Args:
        client: A client with the credentials and settings to use. It can be closed afterwards.

    Raises:
        ConfigError: The client is not a Client, or its bearer token, session, sleep or clock cannot be pickled.

    """
    check_type("client", client, Client)
    settings = _Settings(client.arguments())

    class ScenarioDataSource(DataSource):  # a local class is pickled by value, with its settings
        def __init__(self, options: MutableMapping[str, str]) -> None:
            self._options = parse_options(options)

        @classmethod
        def name(cls) -> str:
            return "scenario"

        def schema(self) -> StructType:
            resource_schema = self._options.source.resource.schema
            return from_arrow_schema(pa.schema([resource_schema.field(name) for name in self._options.columns]))

        def reader(self, schema: StructType) -> DataSourceReader:
            return _Reader(settings, self._options, schema)

        def streamReader(self, schema: StructType) -> DataSourceStreamReader:  # noqa: N802 - the name of Spark
            return _StreamReader(settings, self._options, schema)

    return ScenarioDataSource


class _Settings:
    """The arguments of a client, with its credentials, so `repr` must not show them."""

    def __init__(self, arguments: dict[str, Any]) -> None:
        for name, value in arguments.items():
            try:
                cloudpickle.dumps(value)  # type: ignore[no-untyped-call, unused-ignore] # only with the extra
            except Exception:  # noqa: BLE001 - of the object of the user; its text may contain a secret
                raise ConfigError(
                    f"{name} of the client cannot be pickled, so Spark cannot send it to its executors, got a value of "
                    f"type {type(value).__name__}; create connections and locks in it on first use, or omit {name}"
                ) from None
        self._arguments = arguments

    @contextmanager
    def client(self, rate_limit_divisor: int = 1) -> Generator[Client]:
        """Yield a client whose rate limit is divided by a number.

        Errors lose their cause, which Spark would log: it may be an error of the user's token function with a secret.
        """
        limit = self._arguments["requests_per_minute"]
        try:
            with Client(**self._arguments | {"requests_per_minute": limit and limit / rate_limit_divisor}) as client:
                yield client
        except ScenarioError as error:
            raise error from None


@dataclass
class _Partition(InputPartition):
    """What one task reads.

    Attributes:
        source: What is read from the API.
        window: Bounds on `column`; rows outside are dropped, and rows without a date are kept.
        column: The column of that date.
        rate_limit_divisor: The number of partitions that share the rate limit of a project.
        limit: The maximum number of rows, None for all.

    """

    source: Source
    window: Window
    column: str
    rate_limit_divisor: int = 1
    limit: int | None = None

    def read(self, settings: _Settings, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield the rows with the columns of a schema; an error names the partition."""
        rows_left = self.limit
        try:
            with settings.client(self.rate_limit_divisor) as client, closing(_batches(self.source, client)) as batches:
                for batch in batches:
                    rows = self._inside(batch).slice(0, rows_left)
                    yield pa.RecordBatch.from_arrays([rows[name] for name in schema.names], schema=schema)
                    if rows_left is not None and (rows_left := rows_left - rows.num_rows) <= 0:
                        return
        except ScenarioError as error:
            advice = "Spark retries the task" if error.transient else "Spark retries the task, which will not help"
            error.add_note(f"Partition: {self.source}. {advice}.")
            raise

    def _inside(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """Return the rows that are in the window or have no date."""
        if self.column not in batch.schema.names:  # such as the links of collections
            return batch
        return rows_inside(batch, self.window, self.column, keep_null=True)


class _Reader(DataSourceReader):
    """Reads a DataFrame. It has no `pushFilters`, which gives wrong rows in Spark 4.3."""

    def __init__(self, settings: _Settings, options: SparkOptions, schema: StructType) -> None:
        self._settings = settings
        self._options = options
        self._schema = _arrow_schema(options, schema)

    def partitions(self) -> list[InputPartition]:
        """Plan what each task reads: without rows that are created later, so that each action has the same rows."""
        options = self._options
        with self._settings.client() as client:
            now = server_time(options.source, client, Counter(), "limits the rows of every action")
            sources = options.source.partitions(client, options.partitions)
        shares = Counter(each.projects for each in sources)
        return [
            _Partition(each, Window(end=now), "created_at", shares[each.projects], options.limit) for each in sources
        ]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        return cast("_Partition", partition).read(self._settings, self._schema)


class _StreamReader(DataSourceStreamReader, SupportsTriggerAvailableNow):
    """Reads a stream.

    An offset contains the scope, the time of the server and, for jobs, the creation of the oldest unfinished job.
    """

    def __init__(self, settings: _Settings, options: SparkOptions, schema: StructType) -> None:
        self._settings = settings
        self._options = options
        self._schema = schema
        self._target: Offset | None = None

    def initialOffset(self) -> Offset:  # noqa: N802 - the name of Spark
        return {}

    def prepareForTriggerAvailableNow(self) -> None:  # noqa: N802 - the name of Spark
        self._target = self._current_offset()

    def latestOffset(self, start: Offset, _: ReadLimit) -> Offset:  # noqa: N802 - the name of Spark
        latest = self._target or self._current_offset()
        _check_scope(start, latest)
        if start and _end_of(latest) < _end_of(start) - MIN_LOOKBACK:
            raise APIError(
                f"the clock of the server ({_end_of(latest)}) is before that of the last batch ({_end_of(start)}), so "
                "one is wrong, and rows might be lost; wait until that time, or use a new checkpoint"
            )
        return latest if _end_of(latest) > _end_of(start) else start

    def partitions(self, start: Offset, end: Offset) -> list[InputPartition]:
        if start == end:
            return []
        with self._settings.client() as client:
            _check_scope(end, self._scope(client))
            projects = self._options.source.project_ids(client)
            sources = self._options.source.partitions(client, min(self._options.partitions, len(projects)))
        return [_increment(each, start, end) for each in sources]

    def read(self, partition: InputPartition) -> Iterator[pa.RecordBatch]:
        return cast("_Partition", partition).read(self._settings, _arrow_schema(self._options, self._schema))

    def _scope(self, client: Client) -> Offset:
        return {"resource": self._options.source.resource.name, **self._options.source.scope(client)}

    def _current_offset(self) -> Offset:
        """Return the offset of now.

        The options are checked here, because PySpark 4.3 hides the error of a constructor behind an UnboundLocalError.
        """
        source = self._options.source
        check_incremental(source, "streamed", "use spark.read")
        if self._options.limit is not None:
            raise ConfigError("limit cannot be used with a stream, which does not end; omit it")
        if source.skip_forbidden:
            raise ConfigError("skipForbidden cannot be used with a stream, which would lose rows; omit it")
        _arrow_schema(self._options, self._schema)
        with self._settings.client() as client:
            scope = self._scope(client)
            until = server_time(source, client, Counter(), "limits the rows of a batch")
            unfinished = _request_oldest_unfinished(source, client) if is_by_creation(source) else None
        dates = {"until": until, "unfinished": unfinished}
        return scope | {name: date.isoformat() for name, date in dates.items() if date}


def _check_scope(checkpoint: Offset, current: Offset) -> None:
    """Raise ConfigError if the offset of a checkpoint has another scope than the query."""
    names = ("resource", "base_url", "project_id", "filters")
    if checkpoint and any(checkpoint.get(name) != current[name] for name in names):
        last, used = describe_difference({name: checkpoint.get(name, "") for name in names}, current)
        raise ConfigError(
            f"the checkpoint was made with {last}, but this query uses {used}; use another checkpoint, or the same "
            "options"
        )


def _increment(source: Source, start: Offset, end: Offset) -> _Partition:
    """Return the partition between two offsets, extended by the lookback."""
    until = _end_of(end)
    since = _end_of(start) - MIN_LOOKBACK if start else None
    if not is_by_creation(source):
        window = Window(since, until)
        return _Partition(replace(source, window=window, date_field="updatedAt"), window, "updated_at")
    if since and "unfinished" in start:
        since = min(since, max(datetime.fromisoformat(start["unfinished"]), until - MAX_AGE))
    window = Window(since, until)
    query = {**source.query, **Window(since).parameters("createdAt")}
    return _Partition(replace(source, query=query), window, "created_at")


def _end_of(offset: Offset) -> datetime:
    return datetime.fromisoformat(offset["until"]) if offset else datetime.min.replace(tzinfo=UTC)


def _request_oldest_unfinished(source: Source, client: Client) -> datetime | None:
    """Return the date of creation of the oldest record that is not finished, None if all are."""
    resource = source.resource
    statuses = next(each.type.choices for each in resource.filters if each.name == "status")
    dates: list[datetime] = []
    for status in statuses:  # in the order of their life, so that a record that changes meanwhile is found later
        if status not in resource.finished_statuses:
            rows = Scan(replace(source, query={**source.query, "status": status}), client).to_arrow()
            dates += rows["created_at"].drop_null().to_pylist()
    return min(dates, default=None)


def _batches(source: Source, client: Client) -> Generator[pa.RecordBatch]:
    yield from Scan(source, client).to_batches()


def _arrow_schema(options: SparkOptions, schema: StructType) -> pa.Schema:
    """Return the schema of the batches for the schema of a DataFrame, which the user may have chosen."""
    resource = options.source.resource
    declared = from_arrow_schema(resource.schema)
    for field in schema.fields:
        check_column(resource, field.name)
        if field.name not in options.columns:
            raise ConfigError(f"the schema has the column {field.name}, the option columns does not; omit one of them")
        wanted = declared[field.name]
        if field.dataType != wanted.dataType or (wanted.nullable and not field.nullable):
            raise ConfigError(
                f"the column {field.name} of {resource.name} is {_type(wanted)}, got {_type(field)}; change the schema"
            )
    return pa.schema([pa.field(each.name, resource.schema.field(each.name).type, each.nullable) for each in schema])


def _type(field: StructField) -> str:
    return f"{field.dataType.simpleString()}{'' if field.nullable else ' not null'}"
