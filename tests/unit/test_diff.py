import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from scenario_etl import parquet
from scenario_etl.column_types import INTEGER, JSON, STRING, STRINGS
from scenario_etl.diff import Diff, changed_rows, compare, joined_keys
from scenario_etl.lake import changes_schema
from scenario_etl.lake_file import LakeFile
from scenario_etl.schema import Column, Resource

LISTS = [None, [], [None], [""], ["a"], ["b"], ["a", "b"], ["b", "a"], ["a,b"], ["ab"], ["a", "b", None],
         ["a", None, "b"], [None, None], ["", ""], ["-"], ["1:a"], ["a", "1:b"], ["a1:b"], ["a:b"],
         [":a"], ["", "a"], ["é"], ["a\0b"]]  # fmt: skip


def made_up(*columns: Column, key: Sequence[str] = ("id",)) -> Resource:
    return Resource("things", "/things", "things", None, tuple(key), (1, 100), columns)


def key_column(name: str = "id") -> Column:
    return Column(name, name, STRING, nullable=False)


def difference(resource: Resource, folder: Path, old: list[dict[str, Any]], new: list[dict[str, Any]]) -> Diff:
    """The difference between two files with these rows."""
    files = []
    for number, rows in enumerate((old, new)):
        path = folder / f"{number}.parquet"
        pq.write_table(pa.Table.from_pylist(rows, schema=resource.schema), path, row_group_size=2)
        files.append(LakeFile(str(path), parquet.open_parquet(path), resource.schema))
    return compare(resource, *files)


def rows_of(diff: Diff) -> list[dict[str, Any]]:
    return pa.Table.from_batches(changed_rows(diff), schema=changes_schema(diff.resource)).to_pylist()


def test_a_change_in_the_65th_of_70_compared_columns_is_seen(tmp_path: Path) -> None:
    names = [f"column_{number}" for number in range(1, 71)]
    resource = made_up(key_column(), *(Column(name, name, INTEGER) for name in names))
    old = [{"id": key} | dict.fromkeys(names, 1) for key in ("a", "b", "c")]
    new = [old[0], old[1] | {"column_65": 2}, old[2] | {"column_1": None, "column_64": 0, "column_70": 2}]
    diff = difference(resource, tmp_path, old, new)
    assert diff.counts == {"added": 0, "updated": 2, "deleted": 0}
    assert [(row["id"], row["changed_columns"]) for row in rows_of(diff)] == [
        ("b", ["column_65"]),
        ("c", ["column_1", "column_64", "column_70"]),
    ]


TEXTS = [None, "", "None", "-", "ab", "\u6261", "abcd", "\u6261\u6463"]


def test_any_change_of_a_text_is_seen(tmp_path: Path) -> None:
    resource = made_up(key_column(), Column("name", "name", STRING))
    pairs = list(itertools.product(TEXTS, TEXTS))
    old, new = ([{"id": str(key), "name": pair[side]} for key, pair in enumerate(pairs)] for side in (0, 1))
    diff = difference(resource, tmp_path, old, new)
    assert [row["id"] for row in rows_of(diff)] == [str(key) for key, (a, b) in enumerate(pairs) if a != b]


def test_rows_are_matched_by_all_columns_of_a_composite_primary_key(tmp_path: Path) -> None:
    resource = made_up(
        key_column("project"), key_column("name"), Column("items", "items", INTEGER), key=("project", "name")
    )

    def rows(**items: int) -> list[dict[str, Any]]:
        return [{"project": key[:2], "name": key[3:], "items": count} for key, count in items.items()]

    diff = difference(resource, tmp_path, rows(p1_a=1, p1_b=1, p2_a=1), rows(p2_a=1, p1_a=2, p2_b=1))
    assert [(row["change"], row["project"], row["name"], row["changed_columns"]) for row in rows_of(diff)] == [
        ("updated", "p1", "a", ["items"]),
        ("added", "p2", "b", []),
        ("deleted", "p1", "b", []),
    ]


@given(st.lists(st.tuples(st.text(":1a", max_size=4), st.text(":1a", max_size=4)), min_size=1, max_size=20))
def test_two_composite_keys_are_equal_only_where_all_their_columns_are(keys: list[tuple[str, str]]) -> None:
    columns = [pa.chunked_array([[key[place] for key in keys]], pa.string()) for place in (0, 1)]
    assert len(set(joined_keys(columns).to_pylist())) == len(set(keys))


def test_a_list_of_strings_has_changed_only_where_it_is_not_equal(tmp_path: Path) -> None:
    resource = made_up(key_column(), Column("tags", "tags", STRINGS))
    pairs = list(enumerate(itertools.product(LISTS, LISTS)))
    old = [{"id": str(number), "tags": before} for number, (before, _) in pairs]
    new = [{"id": str(number), "tags": after} for number, (_, after) in pairs]
    found = rows_of(difference(resource, tmp_path, old, new[::-1]))
    assert {row["id"] for row in found} == {str(number) for number, (before, after) in pairs if before != after}
    assert {(row["change"], *row["changed_columns"]) for row in found} == {("updated", "tags")}


def test_lists_of_a_part_of_an_array_are_comparable() -> None:
    column = pa.chunked_array(
        [pa.array(LISTS, STRINGS.arrow).slice(3, 9), pa.array([], STRINGS.arrow), pa.array(LISTS[:3], STRINGS.arrow)]
    )
    expected = STRINGS.comparable(pa.chunked_array([pa.array(LISTS, STRINGS.arrow)])).to_pylist()
    assert STRINGS.comparable(column).to_pylist() == expected[3:12] + expected[:3]
    assert len(set(expected)) == len(LISTS)


def test_a_column_of_json_text_has_changed_where_its_text_has(tmp_path: Path) -> None:
    resource = made_up(key_column(), Column("details", "details", STRING))
    texts = ['{"a": 1, "b": [2, null]}', "{}", None, "null"]
    old = [{"id": str(number), "details": text} for number, text in enumerate(texts)]
    new = [*old[:3], {"id": "3", "details": None}]
    assert rows_of(difference(resource, tmp_path, old, old)) == []
    assert [row["id"] for row in rows_of(difference(resource, tmp_path, old, new))] == ["3"]


def test_a_column_of_lists_that_another_program_has_rewritten_is_read_in_the_declared_type(tmp_path: Path) -> None:
    resource = made_up(key_column(), Column("tags", "tags", STRINGS))
    rows = [{"id": "a", "tags": ["x", None]}, {"id": "b", "tags": None}, {"id": "c", "tags": []}]
    lists = pa.list_(pa.field("element", pa.large_string()))
    table = pa.Table.from_pylist(rows, schema=pa.schema([("id", pa.large_string()), ("tags", lists)]))
    pq.write_table(table, tmp_path / "rewritten.parquet", store_schema=False)
    with parquet.open_parquet(tmp_path / "rewritten.parquet") as opened:
        file = LakeFile("rewritten.parquet", opened, resource.schema)
        assert file.table().schema.equals(resource.schema)
        assert compare(resource, file, file).counts == {"added": 0, "updated": 0, "deleted": 0}
        assert (
            STRINGS.comparable(file.column("tags")).to_pylist() == STRINGS.comparable(file.table()["tags"]).to_pylist()
        )


def changed_json(folder: Path, *pairs: tuple[Any, Any]) -> list[int]:
    """The positions of the pairs of documents whose difference is a change."""
    resource = made_up(key_column(), Column("document", "document", JSON))
    texts = [JSON.convert([{"a": value, "b": [value, 1]} for value in side]) for side in zip(*pairs, strict=True)]
    old, new = (
        [{"id": str(position), "document": text} for position, text in enumerate(side.to_pylist())] for side in texts
    )
    return [int(row["id"]) for row in rows_of(difference(resource, folder, old, new))]


PERMANENT = "https://cdn.example/thumbnails/asset_1"


def test_a_url_in_json_that_is_signed_again_or_has_another_form_is_no_change(tmp_path: Path) -> None:
    urls = [f"{scheme}://cdn.example/a?{query}" for scheme in ("https", "s3") for query in ("Policy=1", "p=1&sig=2")]
    urls += ["https://p.example/?u=b%3FPolicy%3D1", "https://cdn.example/a#Policy=1", "https://a.b/?c=1\\u0026sig=1"]
    pairs = [*itertools.product([*urls, PERMANENT, None], repeat=2), (urls, [None] * len(urls))]
    assert changed_json(tmp_path, *pairs) == []


def test_any_other_change_of_a_url_in_json_is_seen(tmp_path: Path) -> None:
    shop, prompt = "https://shop.example/thumbnails/", "which one?token="
    pairs = [
        (f"{shop}hat", f"{shop}sword"), (f"{shop}hat", None), ({f"{shop}hat": 1}, {f"{shop}sword": 1}),
        ({PERMANENT: 1}, {f"{PERMANENT}2": 1}), ({f"{shop}?sig=1": 1}, {f"{shop}?sig=2": 1}),
        (f"{prompt}gold;sig=1", f"{prompt}silver;sig=1"), (f"a cat {shop}?sig=1", f"a dog {shop}?sig=1"),
        (f'"{PERMANENT}",a', f'"{PERMANENT}2",a'), (f"{PERMANENT}/a", f"{PERMANENT}/b"),
        ("ftp://a?sig=1", "ftp://b?sig=1"),
    ]  # fmt: skip
    assert sorted(changed_json(tmp_path, *pairs)) == list(range(len(pairs)))
