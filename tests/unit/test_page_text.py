from scenario_etl.dashboard import page_text


def test_a_blank_name_is_replaced_and_a_long_one_is_shortened() -> None:
    assert {page_text.name(each) for each in (None, "", " ", "\u202e")} == {"(no name)"}
    assert page_text.name("x" * 201) == "x" * 199 + "…"


def test_changed_columns_are_listed_without_the_date_unless_only_it_changed() -> None:
    changed = (["name", "updated_at"], ["updated_at"], [])
    assert [page_text.columns(each) for each in changed] == ["name", "only updated_at", ""]


def test_numbers_from_ten_million_on_are_shortened() -> None:
    numbers = (None, 9_999_999, 10_000_000, 1_234_567_890)
    assert [page_text.short(each) for each in numbers] == ["-", "9,999,999", "10.0M", "1.2bn"]
