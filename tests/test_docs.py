"""The documentation of the public names."""

import inspect
import re
from importlib import import_module
from pathlib import Path
from pkgutil import resolve_name

import numpydoc.validate
import pytest

import skdepict
from skdepict import datasets, metrics, networks, plotting

DOCS = Path(__file__).parents[1] / "docs"
PAGES = [*DOCS.glob("*.rst"), *DOCS.glob("guide/*.rst")]
# Sections that not everything needs; and names in Returns, which scikit-learn has too.
LEFT_OUT = {"ES01", "EX01", "SA01", "RT02"}


def public_names():
    names = [f"skdepict.{name}" for name in skdepict.__all__ if name[0] != "_"]
    names += [
        f"skdepict.{module.__name__.split('.')[1]}.{name}"
        for module in (plotting, networks)
        for name in module.__all__
    ]
    for module in (datasets, metrics, import_module("skdepict.report")):
        names += [
            f"{module.__name__}.{name}"
            for name, function in inspect.getmembers(module, inspect.isfunction)
            if function.__module__ == module.__name__ and name[0] != "_"
        ]
    for name in list(names):
        parent, _, last = name.rpartition(".")
        found = getattr(import_module(parent), last)
        if inspect.isclass(found):
            names += [
                f"{name}.{method}"
                for method, value in inspect.getmembers(found, callable)
                if method[0] != "_" and value.__module__.startswith("skdepict")
            ]
    return names


@pytest.mark.parametrize("name", public_names())
def test_docstrings_are_complete(name):
    errors = numpydoc.validate.validate(name)["errors"]
    assert [error for error in errors if error[0] not in LEFT_OUT] == []


def test_every_public_name_is_in_the_reference():
    reference = (DOCS / "api.rst").read_text()
    for name in public_names():
        last = name.split(".")[
            2
            if name.split(".")[1]
            in {"metrics", "plotting", "networks", "datasets", "report"}
            else 1
        ]
        if last != "main":
            assert f"   {last}\n" in reference, name


def test_every_page_is_in_a_table_of_contents():
    for folder in (DOCS, DOCS / "guide"):
        index = (folder / "index.rst").read_text()
        for page in folder.glob("*.rst"):
            if page.stem not in {"index", "sg_execution_times"}:
                assert f"   {page.stem}\n" in index, page


@pytest.mark.parametrize(
    "path", sorted((DOCS.parent / "examples").glob("*.py")), ids=str
)
def test_every_example_has_a_title_and_a_picture(path):
    text = path.read_text()
    first, title, underline = text.splitlines()[:3]
    assert first == '"""'
    assert underline == "=" * len(title)
    # The gallery runs the others, and takes what they draw.
    if not path.stem.startswith("plot_"):
        (drawn,) = re.findall(r'sphinx_gallery_thumbnail_path = "(.+)"', text)
        assert (DOCS / drawn).exists()


def test_no_page_is_left_to_be_written():
    for page in PAGES:
        text = page.read_text()
        assert "TODO" not in text, page
        assert "To be filled" not in text, page


def test_files_that_contributors_are_sent_to_exist():
    package = Path(skdepict.__file__).parent
    table = (DOCS.parent / "CONTRIBUTING.rst").read_text().split("Imports between")[0]
    named = re.findall(r"``(\w+(?:/\w+)*(?:/|\.py))``", table)
    assert len(named) > 20
    assert [name for name in named if not (package / name).exists()] == []


@pytest.mark.parametrize("page", sorted(PAGES), ids=lambda page: page.stem)
def test_names_of_the_package_on_a_page_exist(page):
    for name in re.findall(r"``(skdepict(?:\.\w+)+)[`(]", page.read_text()):
        if not name.endswith((".skdepict", "__main__")):
            resolve_name(name)
