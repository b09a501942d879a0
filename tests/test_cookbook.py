"""The tutorials and the cookbook, run from the first block to the last as a reader would."""

from collections.abc import Iterator
from pathlib import Path

import pytest

import docs_pages
from docs_pages import Reader

# One environment for all pages, since making it takes longer than a page.
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("cookbook")]


@pytest.fixture(scope="module")
def reader(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who has read the first tutorial, and stands in the repository that it makes."""
    folder = tmp_path_factory.mktemp("reader")
    tools = folder / "tools"
    tools.mkdir()
    reader = Reader(folder, template, tools)
    reader.read("docs/tutorials/first-model.md")
    yield reader
    reader.end_services()


@pytest.mark.parametrize("name", docs_pages.RUN[3:] + docs_pages.RUN[1:3])
def test_a_page_does_what_it_says(name: str, reader: Reader) -> None:
    """The use cases begin at the first commit; the tutorials go on where the one before them ends."""
    reader.begin_again()
    reader.read(name)
