"""What README and docs/ promise exists: links, settings, reasons, annotations, make targets, files."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from controllers.settings import PREFIX, Settings
from devenv import providers

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()


def source() -> str:
    return "\n".join(path.read_text() for path in (ROOT / "cloudherd").rglob("*.py"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)]+)\)", page.read_text())):
        path = (page.parent / target) if target else page
        assert path.exists(), target
        headings = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE) if anchor else []
        assert not anchor or anchor in {heading.lower().replace(" ", "-") for heading in headings}, anchor


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_has_the_targets_that_are_named(page: Path) -> None:
    targets = set(re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^    |config )make ([a-z0-9-]+)", page.read_text(), re.MULTILINE)) <= targets


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_exist(page: Path) -> None:
    named = re.findall(r"\b((?:charts|crds|examples|operator|cloudherd|devenv|docs)/[\w./-]*)", page.read_text())
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_every_setting_is_told_with_its_default() -> None:
    rows = dict(re.findall(rf"^\| `{PREFIX}(\w+)`[ *]*\| ([^|]*?) *\|", OPERATIONS, re.MULTILINE))
    assert rows.keys() == {name.upper() for name in Settings.model_fields} | {"SIMULATED_DIR"}
    for name, field in Settings.model_fields.items():
        told = rows[name.upper()].strip("`")
        default = "" if field.default is None else str(field.default)
        assert told == (default.lower() if isinstance(field.default, bool) else default)


def test_every_reason_that_is_told_is_one_that_is_given() -> None:
    told = set(re.findall(r"`([A-Z][A-Za-z]+)`", OPERATIONS.partition("## Conditions")[2]))
    made = {f"{what}{how}" for what in ("Flavor", "Image") for how in ("Unknown", "Ambiguous")}  # of two words there
    given = set(re.findall(r'"([A-Z]\w+)"', source())) | made
    assert told - given - {"Recreate"} == set()


def test_the_tables_of_providers_are_what_the_code_declares() -> None:
    text = providers.PAGE.read_text()
    assert text == providers.page(text), "write them anew: python -m devenv.providers"
    assert set(providers.TESTED) == set(
        tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["cloudherd.clouds"]
    )


def test_every_annotation_of_the_api_is_told() -> None:
    used = set(re.findall(r'annotation\("([a-z-]+)"\)', source())) | {"take-over"}
    assert [name for name in sorted(used) if f"`cloudherd.dev/{name}" not in OPERATIONS] == []
