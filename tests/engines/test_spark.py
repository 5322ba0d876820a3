"""DataFrames of Spark: the same rows as a scan, what is planned, and what fails."""

import pyarrow as pa
import pytest
import requests
from pyspark.errors import AnalysisException, PySparkException
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql.types import StructType

import scenario_etl
from scenario_etl import Client, ConfigError, Emulator, scan
from scenario_etl.emulator import Fault
from tests.dated import DatedAPI

pytestmark = pytest.mark.filterwarnings("ignore:PySpark does not yet fully support pandas:FutureWarning")


def load(spark: SparkSession, client: Client, resource: str = "assets", **options: object) -> DataFrame:
    spark.dataSource.register(scenario_etl.spark.source(client))
    return spark.read.format("scenario").options(resource=resource, **options).load()


def ordered(table: pa.Table, schema: pa.Schema) -> pa.Table:
    """The rows of a table in the order of its keys, with the nullability of a schema."""
    keys = [name for name in ("project_id", "job_id", "id", "owner_id", "tag_name") if name in schema.names]
    return table.cast(schema).sort_by([(name, "ascending") for name in keys])


def plan(client: Client, **options: str) -> list:
    """What the tasks of a DataFrame read."""
    source = scenario_etl.spark.source(client)(options)
    return source.reader(source.schema()).partitions()


def test_four_partitions_of_eight_projects_have_the_rows_of_a_scan(spark, api, client) -> None:
    expected = scan("assets", client=client, project_id=api.project_ids).to_arrow()
    df = load(spark, client, projectId=",".join(api.project_ids), partitions=4)
    assert len(plan(client, resource="assets", projectId=",".join(api.project_ids), partitions="4")) == 4
    assert expected.num_rows == 900
    assert ordered(df.toArrow(), expected.schema).equals(ordered(expected, expected.schema))


@pytest.mark.parametrize("resource", ["collections", "jobs", "models", "tags", "workflows", "projects", "teams"])
def test_a_list_has_the_values_types_and_nulls_of_a_scan(spark, client, resource) -> None:
    expected = scan(resource, client=client).to_arrow()
    found = load(spark, client, resource).toArrow()
    assert [(each.name, each.type) for each in found.schema] == [(each.name, each.type) for each in expected.schema]
    assert ordered(found, expected.schema).equals(ordered(expected, expected.schema))


def test_windows_of_one_project_have_the_rows_of_a_scan(spark, client) -> None:
    expected = scan("assets", client=client).to_arrow()
    found = load(spark, client, partitions=3).toArrow()
    assert ordered(found, expected.schema).equals(ordered(expected, expected.schema))


@pytest.mark.parametrize("options", [{"partitions": 4}, {"allProjects": True}, {"resource": "collections"}], ids=str)
def test_a_second_action_has_the_same_rows_while_records_are_created(spark, api, client, options) -> None:
    df = load(spark, client, **options).select("id")
    first = df.collect()
    api.create_assets(30)
    collection = {"name": "new"}
    requests.post(f"{api.url}/collections", json=collection, auth=("demo", "demo"), timeout=60).raise_for_status()
    assert sorted(df.collect()) == sorted(first)


@pytest.mark.parametrize("options", [{}, {"allProjects": True}], ids=str)
def test_a_limit_is_exact(spark, client, options) -> None:
    assert load(spark, client, limit=150, **options).count() == 150
    assert load(spark, client, "collections", limit=1000, **options).count() == 40


def test_a_limit_reads_no_more_pages_than_needed(spark, api, client) -> None:
    assert load(spark, client, limit=150).count() == 150
    assert ["pageSize=100" in path for _, path in api.requests] == [False, True, True]  # the first for the time


def test_columns_and_a_schema_choose_columns_by_name(spark, client) -> None:
    names = load(spark, client, columns="updated_at, id")
    spark.dataSource.register(scenario_etl.spark.source(client))
    typed = spark.read.format("scenario").schema("updated_at timestamp, id string").option("resource", "assets").load()
    expected = scan("assets", client=client).to_arrow().select(["updated_at", "id"])
    assert names.columns == typed.columns == ["updated_at", "id"]
    assert ordered(names.toArrow(), expected.schema).equals(ordered(expected, expected.schema))
    assert sorted(typed.collect()) == sorted(names.collect())


@pytest.mark.parametrize(
    ("schema", "message"),
    [("id string, nam string", "unknown column 'nam'; did you mean 'name'"),
     ("created_at string", "the column created_at of collections is timestamp, got string; change the schema"),
     ("name string not null", "the column name of collections is string, got string not null; change the schema")],
)  # fmt: skip
def test_a_schema_with_another_column_or_type_is_an_error(spark, client, schema, message) -> None:
    spark.dataSource.register(scenario_etl.spark.source(client))
    with pytest.raises(PySparkException, match=message):
        spark.read.format("scenario").schema(schema).option("resource", "collections").load().count()


@pytest.mark.parametrize(
    ("options", "message"),
    [({"projctId": "a"}, "ConfigError: unknown option 'projctid'; did you mean 'projectId'? The options of assets "),
     ({"strict": "yes"}, "ConfigError: strict must be true or false, got 'yes'\n"),
     ({"resource": "asets"}, "ConfigError: 'asets' is not a resource; did you mean 'assets'? ")],
)  # fmt: skip
def test_a_wrong_option_is_an_error_of_one_line_without_a_request(spark, api, client, options, message) -> None:
    with pytest.raises(AnalysisException) as caught:
        load(spark, client, **options)
    assert message in str(caught.value)
    assert not api.requests


def test_a_partition_that_fails_once_is_read_again_and_its_rows_count_once(spark, api, client) -> None:
    pages: list[str] = []

    def fail_once(_: str, path: str) -> Fault | None:
        pages.append(path)
        return Fault(status=503) if "pageSize=100" in path and len(pages) == 6 else None

    expected = scan("jobs", client=client, all_projects=True).to_arrow()
    api.on_request = fail_once
    found = load(spark, client, "jobs", allProjects=True, partitions=2).toArrow()
    assert any(pages.count(path) == 2 for path in pages[:6])
    assert ordered(found, expected.schema).equals(ordered(expected, expected.schema))


def test_an_error_names_the_partition_and_what_spark_does(spark, api, client) -> None:
    df = load(spark, client, "collections", projectId=",".join(api.project_ids), partitions=8)
    api.on_request = lambda _, path: Fault(status=503) if api.project_ids[5] in path else None
    with pytest.raises(PySparkException, match="TransientError: GET http") as caught:
        df.count()
    partition = f"collections of {api.project_ids[5]}"
    assert f"Partition: {partition}. Spark retries the task." in str(caught.value)


def test_the_rate_limit_is_divided_among_the_windows_of_a_project(api) -> None:
    client = Client("demo", "demo", base_url=api.url, requests_per_minute=90)
    (project, *_) = api.project_ids
    windows = plan(client, resource="assets", projectId=project, partitions="3")
    groups = plan(client, resource="assets", allProjects="true", partitions="4")
    assert [each.rate_limit_divisor for each in windows] == [3, 3, 3]
    assert [each.rate_limit_divisor for each in groups] == [1] * 4


@pytest.mark.parametrize("name", ["bearer_token", "session", "sleep", "clock"])
def test_what_cannot_be_pickled_is_an_error_of_the_source(name) -> None:
    class Locked:
        def __init__(self) -> None:
            self.client = api.client()  # cannot be pickled

        def __call__(self) -> str:
            return "token"

    api = DatedAPI()
    arguments = {"api_key": None, "api_secret": None} if name == "bearer_token" else {}
    client = api.client(**arguments) if name == "session" else Client(
        *([] if arguments else ["k", "s"]), **{name: Locked()}
    )  # fmt: skip
    with pytest.raises(ConfigError, match=rf"{name} of the client cannot be pickled, so Spark cannot send it"):
        scenario_etl.spark.source(client)


def test_a_bearer_token_function_and_a_session_reach_the_executors(spark) -> None:
    token = "of-a-function"
    session = requests.Session()
    session.headers["X-Team"] = "art"
    with Emulator(30, bearer_token=token) as api:
        client = Client(bearer_token=lambda: token, base_url=api.url, session=session)
        assert load(spark, client, "collections").count() == 30


def test_the_text_of_an_error_of_a_bearer_token_function_is_in_no_error(spark) -> None:
    def fail() -> str:
        raise RuntimeError("client_secret=TOP")

    spark.conf.set("spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled", "false")
    try:
        with pytest.raises(PySparkException, match="the bearer_token callable raised RuntimeError") as caught:
            load(spark, Client(bearer_token=fail, base_url="http://127.0.0.1:1/v1"), "collections").count()
    finally:
        spark.conf.unset("spark.sql.execution.pyspark.udf.simplifiedTraceback.enabled")
    assert "=TOP" not in str(caught.value)


def test_a_source_requires_a_client() -> None:
    with pytest.raises(ConfigError, match="client must be a Client, got a value of type str"):
        scenario_etl.spark.source("key")


def test_the_schema_is_known_without_a_request(spark, api, client) -> None:
    schema = load(spark, client).schema
    assert isinstance(schema, StructType)
    assert [each.name for each in schema if not each.nullable] == ["id"]
    assert not api.requests
