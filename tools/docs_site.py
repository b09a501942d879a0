"""Gather the pages of the documentation site from where they lie in the template, for `make docs`.

The pages stay readable in GitLab, where links lead from file to file. Here each gets its place in the site, and its
links lead there; what is no page (a folder, a licence) is named without a link.

Usage: python tools/docs_site.py            writes .site/pages, which zensical makes the site of
       python tools/docs_site.py --check    fails when a page of .site/html takes something from another host
"""

from __future__ import annotations

import posixpath
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import docs_reference

ROOT = Path(__file__).resolve().parent.parent
TREE = ROOT / "{{cookiecutter.project_slug}}"
SITE = ROOT / ".site"
# Pages that stand elsewhere than in docs/, and folders of pages, by their place in the site.
PAGES = {"index.md": ROOT / "README.md"} | {
    f"project/{name.lower()}.md": ROOT / f"{name}.md" for name in ("CONTRIBUTING", "CHANGELOG", "SECURITY")
}
FOLDERS = {"": ROOT / "docs", "repository": TREE / "docs", "terraform": TREE / "terraform"}
OF_THE_TEAM = TREE / "docs/model_card.md"  # a form that the team fills in

# Made for the site alone: it changes with every message, and people look for a message by searching.
MADE = {"reference/messages.md": docs_reference.messages}

FENCE = re.compile(r"^( *```).*?^\1$", re.MULTILINE | re.DOTALL)
# A code span first: what looks like a link in it is none.
LINK = re.compile(r"(`+)[^`\n]+\1|(!?)\[([^\]\n]*)\]\(([^)\s]+)\)")
LISTED = r" *(?:[-|] ?|\d+\. )"  # the beginning of an item or of a row
# What a page or a style loads by itself, from an address with a host.
ADDRESS = r"((?:https?:)?//[^\s\"'>)]+)"
TAKEN = {
    ".html": re.compile(rf"<(?:script|link|img|iframe|source|video|audio)\b[^>]*?\b(?:src|href)=[\"']?{ADDRESS}"),
    ".css": re.compile(rf"url\([\"']?{ADDRESS}"),
}
NEEDS = re.compile(r"^( *)<!-- needs: (.+) -->$", re.MULTILINE)


class DeadLinkError(Exception):
    """A link to a file that is not there. Headings are looked for by the program that makes the site."""


def places() -> dict[Path, str]:
    """Where each page, or folder with a page of its own, stands in the site."""
    found = {source: place for place, source in PAGES.items()}
    for place, folder in FOLDERS.items():
        for source in sorted(folder.rglob("*.md")):
            if source != OF_THE_TEAM:
                found[source] = posixpath.join(place, source.relative_to(folder).as_posix())
    for source, place in list(found.items()):
        if source.name == "README.md" and source.parent != ROOT:
            found[source.parent] = place
    return found


def page(source: Path, place: str, known: dict[Path, str]) -> str:
    """The text of a page as the site wants it."""
    outside = []  # text between the blocks of code, which no link stands in
    text, last = source.read_text(encoding="utf-8"), 0
    for block in FENCE.finditer(text):
        outside += [_linked(text[last : block.start()], source, place, known), block[0]]
        last = block.end()
    return "".join([*outside, _linked(text[last:], source, place, known)])


def _linked(text: str, source: Path, place: str, known: dict[Path, str]) -> str:
    def moved(match: re.Match[str]) -> str:
        _, image, words, link = match.groups()
        if link is None:
            return match[0]
        name, mark, anchor = link.partition("#")
        if re.match(r"[a-z]+:", link) or not name:
            return match[0]
        target = (source.parent / name).resolve()
        if not target.exists():
            raise DeadLinkError(f"{source}: the link {link} leads nowhere")
        if image:
            return f"![{words}]({posixpath.relpath(f'assets/{target.name}', _folder(place))})"
        if target not in known:
            return words
        shown = _title(target) if words.endswith(".md") else words
        return f"[{shown}]({posixpath.relpath(known[target], _folder(place))}{mark}{anchor})"

    text = NEEDS.sub(r'\1<p class="needs">Needs \2.</p>\n', text)
    # Python-Markdown wants a blank line before a list or a table, and four blanks before a list in a list.
    text = re.sub(r"(?m)^( {0,3})(?=- )", lambda match: "    " if match[1] else "", LINK.sub(moved, text))
    return re.sub(rf"(?m)^(?!{LISTED})(.*\S.*\n)(?={LISTED})", r"\1\n", text)


def _title(source: Path) -> str:
    """The heading of a page; a path says little where no folder is seen."""
    file = source / "README.md" if source.is_dir() else source
    return file.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ")


def _folder(place: str) -> str:
    return posixpath.dirname(place) or "."


def gather(folder: Path) -> int:
    """Write all pages and pictures below a folder, which is emptied first; how many pages there are."""
    shutil.rmtree(folder, ignore_errors=True)
    known = places()
    pages = [(source, place) for source, place in known.items() if source.is_file()]
    for source, place in pages:
        file = folder / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(page(source, place, known), encoding="utf-8")
    for place, make in MADE.items():
        (folder / place).write_text(make(), encoding="utf-8")
    shutil.copytree(ROOT / "docs/assets", folder / "assets", dirs_exist_ok=True)
    for picture in (ROOT / "benchmarks").rglob("*.png"):
        shutil.copy(picture, folder / "assets")
    return len(pages) + len(MADE)


def outside(folder: Path) -> Iterator[str]:
    """Each script, style, font, frame or picture of the site below a folder that another host would have to give."""
    for file in sorted(folder.rglob("*")):
        if file.suffix in TAKEN:
            for address in TAKEN[file.suffix].findall(file.read_text(encoding="utf-8")):
                yield f"{file.relative_to(folder)}: {address}"


def main() -> None:
    """Gather the pages, or look at the site that was made of them."""
    if sys.argv[1:] == ["--check"]:
        if found := list(outside(SITE / "html")):
            sys.exit("error: the site takes something from another host: " + "; ".join(found[:5]))
        return
    try:
        print(f"{gather(SITE / 'pages')} pages")
    except DeadLinkError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
