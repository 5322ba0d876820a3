"""The documentation is right: every code block runs, links lead somewhere, tables match the package."""

import doctest
import importlib.util
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import pytest

import scenario_etl
from scenario_etl import Emulator
from scenario_etl.cli_options import FILTERS
from tests.helpers import environment
from tests.system.faults.listings import COLLECTIONS, JOBS, TAGS
from tests.system.faults.modes import WAITING, modes_of

CHECKOUT = Path(__file__).parents[2]
PAGES = [
    CHECKOUT / "README.md",
    CHECKOUT / "CONTRIBUTING.md",
    CHECKOUT / "CHANGELOG.md",
    *sorted(CHECKOUT.glob("docs/*.md")),
]
FENCED = re.compile(r"^```([\w ]+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
BLOCKS = [(page, kind, block) for page in PAGES for kind, block in FENCED.findall(page.read_text())]
RUN_HERE = ("python", "console", "pycon")
RUN_ELSEWHERE = {
    "sh": "changes the machine: .ci/run, test_completion.py",
    "text": "shows paths",
    "python engine": "needs an environment of its own: tests/engines/test_engines.py",
    "python signature": "compared with the package: tests/tools/test_docs.py",
    "python spark": "tests/engines/test_spark_pages.py",
    **dict.fromkeys(
        ("sh cron", "crontab", "ini", "dockerfile", "sh kubernetes", "yaml kubernetes", "yaml github", "python airflow",
         "python dagster", "python prefect", "yaml prometheus"),
        "test_recipes.py, .ci/run",
    ),
}  # fmt: skip
MAX_README = 150  # lines


@dataclass
class Reader:
    """A person who reads one page from its start: with an account, in an empty folder."""

    api: Emulator
    folder: Path
    names: dict = field(default_factory=dict)


@pytest.fixture(scope="module")
def reader(request, tmp_path_factory) -> Iterator[Reader]:
    with Emulator(250) as api:
        yield Reader(api, tmp_path_factory.mktemp(request.param.stem))


@pytest.mark.parametrize(
    ("reader", "kind", "block"),
    [pytest.param(page, kind, block, id=f"{page.name}: {block.splitlines()[0]}") for page, kind, block in BLOCKS
     if kind in RUN_HERE],
    indirect=["reader"],
    scope="module",
)  # fmt: skip
def test_every_block_runs_in_the_order_of_the_page(reader: Reader, kind: str, block: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(reader.folder)
        for name, value in environment(reader.api).items():
            patch.setenv(name, value)
        {"python": run_python, "console": run_console, "pycon": run_examples}[kind](block, reader.names)


def run_python(block: str, names: dict) -> None:
    exec(compile(block, "page", "exec"), names)


def run_console(block: str, _: dict) -> None:
    """Run each command, and compare its output if the page has one."""
    for command, expected in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
        done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
        assert not expected or doctest.OutputChecker().check_output(expected, done.stdout, flags), done.stdout


def run_examples(block: str, _: dict) -> None:
    """Run the examples of a docstring, with the public names imported."""
    names = {"date": date} | {name: getattr(scenario_etl, name) for name in scenario_etl.__all__}
    example = doctest.DocTestParser().get_doctest(block, names, "page", None, None)
    assert doctest.DocTestRunner().run(example).failed == 0


def test_every_block_is_run_by_a_test() -> None:
    assert {kind for _, kind, _ in BLOCKS} == {*RUN_HERE, *RUN_ELSEWHERE}


@pytest.mark.parametrize("block", [block for _, kind, block in BLOCKS if kind.partition(" ")[0] == "sh"])
def test_every_shell_block_is_valid(block: str) -> None:
    subprocess.run(["bash", "-n"], input=block, text=True, check=True)


def test_the_first_example_needs_no_account(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = next(block for page, kind, block in BLOCKS if (page.name, kind) == ("README.md", "python"))
    run_python(first, {})


def test_the_readme_is_short() -> None:
    assert len((CHECKOUT / "README.md").read_text().splitlines()) <= MAX_README


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_between_pages_has_a_target(page: Path) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", FENCED.sub("", page.read_text()))
    for link in links:
        path, _, anchor = link.partition("#")
        if path.startswith("https://"):
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub makes of the headings of a page."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in re.findall(r"^#+ (.*)$", FENCED.sub("", page.read_text()), re.MULTILINE):
        slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_in_the_list_of_the_readme_and_starts_with_its_purpose(page: Path) -> None:
    title, _, purpose = page.read_text().splitlines()[:3]
    assert title.startswith("# ")
    assert page.name in ("README.md", "CHANGELOG.md") or re.match(r"[A-Z].*\w", purpose)
    name = str(page.relative_to(CHECKOUT))
    assert name == "README.md" or f"]({name})" in (CHECKOUT / "README.md").read_text().split("## Documentation")[1]


def test_every_program_and_test_that_a_page_names_exists() -> None:
    text = "\n".join(page.read_text() for page in PAGES)
    modules = re.findall(r"python -m (tests\.[\w.]+)", text)
    assert modules
    assert all(importlib.util.find_spec(module) for module in modules)
    assert all((CHECKOUT / path).exists() for path in re.findall(r"\btests/[\w/.]*\w", text))


@pytest.mark.parametrize(("command", "tables"), [("export", 1), ("snapshot", 2)])
def test_the_options_are_those_of_the_command_line(command: str, tables: int) -> None:
    section = (CHECKOUT / "docs/operations.md").read_text().split("\n## Options\n")[1].split("\n## ")[0]
    rows = [table.splitlines() for table in re.findall(r"(?:^\|.*\n)+", section, re.MULTILINE)[:tables]]
    documented = {
        name for table in rows for row in table for name in re.findall(r"--[a-z][a-z-]+", row.split(" | ")[0])
    }
    done = subprocess.run(
        ["scenario-etl", command, "--help"], capture_output=True, text=True, check=True, env=environment()
    )
    listed = re.findall(r"^  (?:-\w, )?(--[a-z-]+)(?:[ /]+(--[a-z-]+))?", done.stdout, re.MULTILINE)
    options = {name for names in listed for name in names if name}
    filters = {f"--{name.replace('_', '-')}" for name in FILTERS}
    assert documented - filters == options - filters - {"--help"} | {"--include-personal", "--include-embedding"}
    assert filters < options


def test_the_table_of_faults_has_the_number_of_modes_of_each_family() -> None:
    text = (CHECKOUT / "docs/reliability.md").read_text()
    rows = re.findall(r"^\| (?:\*\*)?([a-z ]+?)(?:\*\*)? \| (\d+) \| ", text, re.MULTILINE)
    modes, jobs, tags = map(modes_of, (COLLECTIONS, JOBS, TAGS))
    counts = Counter(mode.family for mode in modes) | {"all": len(modes)}
    assert {family: int(count) for family, count in rows} == counts
    assert f"in one of {len(modes)} ways" in text
    assert f"in {len(modes)} failure modes" in (CHECKOUT / "README.md").read_text()
    assert f"in {len(jobs)} modes of `jobs`" in text
    assert f"in {len(tags)} modes of\n`tags`" in text
    assert f"leave out {len(WAITING)} modes" in text
