"""A page for people: one HTML file that needs nothing beside it, and Markdown with SVG files."""

import html
import re
from collections.abc import Callable
from pathlib import Path
from string import Template

from usecase.mlops.baseline import plots
from usecase.mlops.baseline.blocks import Block, Card, Figures, Table, Text, Verdict
from usecase.mlops.baseline.plots import Plot

TEMPLATE = Path(__file__).with_name("page.html")
# Colours of the plots are those of the page, which has light and dark ones.
COLOURS = {
    plots.PAPER: "none",
    plots.INK: "var(--ink)",
    plots.SOFT: "var(--soft)",
    plots.GRID: "var(--grid)",
    plots.BLUE: "var(--blue)",
    plots.ORANGE: "var(--orange)",
}

_ITEM = re.compile(r"(?:[-*]|\d+\.)\s+")
_INLINE: list[tuple[str, str | Callable[[re.Match[str]], str]]] = [
    (r"`([^`]+)`", r"<code>\1</code>"),
    (r"\*\*(.+?)\*\*", r"<strong>\1</strong>"),
    (r"(?<![\w*])\*([^\s*][^*]*)\*(?![\w*])", r"<em>\1</em>"),
    (r"\[([^\]]+)\]\((https?://[^\s)]+|mailto:[^\s)]+)\)", r'<a href="\2">\1</a>'),
]


def as_html(card: Card) -> str:
    """The card as one page."""
    names = {section.title: re.sub(r"[^a-z0-9]+", "-", section.title.lower()).strip("-") for section in card.sections}
    tiles = (
        f'<div class="tile {tile.tone}"><dt>{_escape(tile.label)}</dt>'
        f"<dd><b>{_escape(tile.value)}</b> <span>{_escape(tile.note)}</span></dd></div>"
        for tile in card.tiles
    )
    sections = (
        f'<section id="{names[section.title]}">\n<h2>{_escape(section.title)}</h2>\n'
        + "\n".join(_block(block) for block in section.blocks)
        + "\n</section>"
        for section in card.sections
    )
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(
        kind=_escape(card.kind),
        title=_escape(card.title),
        summary=_inline(card.summary),
        tiles="\n".join(tiles),
        notice=f'<p class="notice">{_inline(card.notice)}</p>' if card.notice else "",
        contents="".join(f'<li><a href="#{name}">{_escape(title)}</a></li>' for title, name in names.items()),
        sections="\n".join(sections),
    )


def as_markdown(card: Card) -> str:
    """The card as Markdown; each plot is a file <name>.svg beside it."""
    parts = [f"# {card.kind}: {card.title}", card.summary]
    parts.append("\n".join(f"- {tile.label}: **{tile.value}** {tile.note}".rstrip() for tile in card.tiles))
    if card.notice:
        parts.append(f"> {card.notice}")
    for section in card.sections:
        parts.append(f"## {section.title}")
        parts += [_markdown(block) for block in section.blocks]
    return "\n\n".join(part for part in parts if part) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Text):
        return f'<div class="text">{_paragraphs(block.markdown)}</div>'
    if isinstance(block, Figures):
        return f'<div class="figures">{"".join(_figure(plot) for plot in block.plots)}</div>'
    table = _table(block)
    return f"<details><summary>{_escape(block.summary)}</summary>{table}</details>" if block.summary else table


def _figure(plot: Plot) -> str:
    label = _escape(f"{plot.title}. {plot.note}")
    svg = re.sub(r' id="[a-zA-Z0-9.]+_\d+"', "", plot.svg)  # of groups; nothing refers to them, and they repeat
    svg = re.sub(r'( id="|href="#|url\(#)', rf"\1{plot.name}-", svg)  # other plots draw the same shapes
    svg = re.sub(r"#[0-9a-f]{6}(?=[;\"])", lambda found: COLOURS.get(found.group(), found.group()), svg)
    svg = svg.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1)
    caption = f"<figcaption><b>{_escape(plot.title)}</b> {_escape(plot.note)}</figcaption>"
    return f"<figure>{caption}{svg}</figure>"


def _table(table: Table) -> str:
    head = "".join(f"<th{_class(table, i)}>{_escape(text)}</th>" for i, text in enumerate(table.head))
    rows = ("".join(_td(table, i, cell) for i, cell in enumerate(row)) for row in table.rows)
    body = "\n".join(f"<tr>{row}</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table></div>'


def _td(table: Table, position: int, cell: str | Verdict) -> str:
    if isinstance(cell, Verdict):
        return f'<td class="{cell.tone}">{_escape(cell.text)}</td>'
    return f"<td{_class(table, position)}>{_inline(cell)}</td>"


def _class(table: Table, position: int) -> str:
    return ' class="number"' if position in table.numeric else ""


def _paragraphs(text: str) -> str:
    found = []
    for part in re.split(r"\n[ \t]*\n", text.strip()):
        lines = part.strip().splitlines()
        first = next((i for i, line in enumerate(lines) if _ITEM.match(line)), len(lines))
        if lines[:first]:
            heading = lines[0].startswith("#") and first == len(lines) == 1
            body = _inline(" ".join(lines[:first]).lstrip("# ") if heading else " ".join(lines[:first]))
            found.append(f"<h3>{body}</h3>" if heading else f"<p>{body}</p>")
        if lines[first:]:
            items = re.split(rf"^{_ITEM.pattern}", "\n".join(lines[first:]), flags=re.MULTILINE)[1:]
            found.append("<ul>" + "".join(f"<li>{_inline(' '.join(item.split()))}</li>" for item in items) + "</ul>")
    return "\n".join(found)


def _inline(text: str) -> str:
    text = _escape(text)
    for pattern, replacement in _INLINE:
        text = re.sub(pattern, replacement, text)
    return text


def _escape(text: str) -> str:
    return html.escape(text, quote=True)


def _markdown(block: Block) -> str:
    if isinstance(block, Text):
        return block.markdown
    if isinstance(block, Figures):
        return "\n\n".join(f"**{plot.title}.** {plot.note}\n\n![{plot.title}]({plot.name}.svg)" for plot in block.plots)
    rule = ["---:" if position in block.numeric else "---" for position in range(len(block.head))]
    rows = [[_cell(cell) for cell in row] for row in (block.head, *block.rows)]
    lines = [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]
    return "\n".join([f"**{block.summary}**\n", *lines] if block.summary else lines)


def _cell(cell: str | Verdict) -> str:
    text = cell.text if isinstance(cell, Verdict) else cell
    return " ".join(text.split()).replace("|", "\\|") or " "
