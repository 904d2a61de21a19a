"""Draws tables and what they refer to, as SVG: an entity-relationship diagram that needs no program and no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

#: Sizes in pixels.
WIDTH, GAP, LINE, HEAD, MARGIN, SPACE = 190, 60, 19, 30, 24, 22
#: Lines to a table and its head have its colour; each is readable on white.
COLOURS = ("#0b5c8f", "#97266d", "#0b6e4f", "#8a4b08", "#5b3e99", "#a61b1b", "#3d5a1e", "#1f6f78", "#7c5c00", "#1d3a8a")
FONT = "system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', sans-serif"


@dataclass(frozen=True)
class Card:
    """A table in the drawing: its key and references, and how many columns it has besides."""

    table: str
    references: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    others: int
    x: int
    y: int

    @property
    def height(self) -> int:
        """The height in pixels."""
        return height_of(self.key, self.references)

    def line_of(self, column: str) -> int:
        """Return the y of a reference's row."""
        rows = [*self.key, *(name for name, _ in self.references if name not in self.key)]
        return self.y + HEAD + rows.index(column) * LINE + 12


def height_of(key: Sequence[str], references: Sequence[tuple[str, str]]) -> int:
    """Return the height of a card, which has a row more for the columns that are not shown."""
    rows = {*key, *(name for name, _ in references)}
    return HEAD + (len(rows) + 1) * LINE + 8


def draw(columns: Mapping[str, Sequence[str]], keys: Mapping[str, Sequence[str]], references: Mapping[str, str]) -> str:
    """Return the drawing.

    :param columns: the columns of each table.
    :param keys: the columns of each table's primary key.
    :param references: the table that a column of this name refers to, in every table.
    """
    found = {
        table: tuple((name, references[name]) for name in names if references.get(name) in columns)
        for table, names in columns.items()
    }
    cards = _place(columns, keys, found)
    colours = {
        table: COLOURS[number % len(COLOURS)]
        for number, table in enumerate(sorted({target for pairs in found.values() for _, target in pairs}))
    }
    width = max(card.x for card in cards.values()) + WIDTH + MARGIN
    height = max(card.y + card.height for card in cards.values()) + MARGIN
    lines = [
        _line(card, name, cards[target], colours[target]) for card in cards.values() for name, target in card.references
    ]
    boxes = [_box(card, colours) for card in cards.values()]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    return "\n".join((
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-labelledby="title desc" font-family="{FONT}">',
        '<title id="title">The tables and what they refer to</title>',
        f'<desc id="desc">{escape(describe(found))}</desc>',
        "<!-- A card of its own, so that it is as readable on a dark page as on a light one. -->",
        f'<rect x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="10" fill="#ffffff" stroke="#d5d9de"/>',
        *lines,
        *boxes,
        "</svg>",
    ))  # fmt: skip


def describe(references: Mapping[str, Sequence[tuple[str, str]]]) -> str:
    """Return in words what the drawing shows."""
    found = [f"{table}.{name} is an id of {target}" for table, pairs in references.items() for name, target in pairs]
    return f"{'; '.join(found)}."


def _place(
    columns: Mapping[str, Sequence[str]],
    keys: Mapping[str, Sequence[str]],
    references: Mapping[str, tuple[tuple[str, str], ...]],
) -> dict[str, Card]:
    """Return a card for each table: those that refer to others to the left of them, and those alone below."""
    levels = find_levels({table: {target for _, target in pairs} for table, pairs in references.items()})
    linked = {table for table, pairs in references.items() if pairs} | {t for p in references.values() for _, t in p}
    deepest = max(levels.values())
    bottoms: dict[int, int] = {}
    cards = {}

    def add(table: str, column: int, top: int) -> None:
        y = max(bottoms.get(column, MARGIN), top)
        others = len(columns[table]) - len({*keys[table], *(name for name, _ in references[table])})
        x = MARGIN + column * (WIDTH + GAP)
        cards[table] = Card(table, references[table], tuple(keys[table]), others, x, y)
        bottoms[column] = y + cards[table].height + SPACE

    for table in columns:
        if table in linked:
            # A lower start for each further column keeps lines out of the heads of cards between.
            add(table, deepest - levels[table], MARGIN)
    top = max(bottoms.values(), default=MARGIN) + SPACE
    alone = [table for table in columns if table in keys and table not in linked]
    for number, table in enumerate(alone):
        add(table, number % (deepest + 1), top)
    return cards


def find_levels(references: Mapping[str, set[str]]) -> dict[str, int]:
    """Return for each table the length of the longest way along references to a table that refers to none.

    :raises ValueError: tables refer to each other in a circle.
    """
    levels: dict[str, int] = {}

    def level(table: str, above: tuple[str, ...]) -> int:
        if table in above:
            raise ValueError(f"References in a circle: {' -> '.join((*above, table))}.")
        if table not in levels:
            targets = references.get(table, set()) - {table}
            levels[table] = max((level(target, (*above, table)) + 1 for target in targets), default=0)
        return levels[table]

    for table in references:
        level(table, ())
    return levels


def _line(card: Card, column: str, target: Card, colour: str) -> str:
    x, y = card.x + WIDTH, card.line_of(column)
    if target.table == card.table:
        return (
            f'<path d="M{x} {y}C{x + 34} {y} {x + 34} {card.y + 15} {x} {card.y + 15}" fill="none" '
            f'stroke="{colour}" stroke-width="1.4"/>'
        )
    end = target.y + HEAD // 2
    bend = max(30, (target.x - x) // 2)
    return (
        f'<path d="M{x} {y}C{x + bend} {y} {target.x - bend} {end} {target.x} {end}" fill="none" stroke="{colour}" '
        'stroke-width="1.4" stroke-opacity="0.75"/>'
    )


def _box(card: Card, colours: Mapping[str, str]) -> str:
    head = colours.get(card.table, "#52606d")
    frame = f'x="{card.x}" y="{card.y}" width="{WIDTH}" height="{card.height}" rx="6"'
    top = f"M{card.x} {card.y + HEAD}v-{HEAD - 6}a6 6 0 0 1 6 -6h{WIDTH - 12}a6 6 0 0 1 6 6v{HEAD - 6}z"
    parts = [
        f'<rect {frame} fill="#ffffff" stroke="#9aa5b1"/>',
        f'<path d="{top}" fill="{head}"/>',
        _text(card.x + 10, card.y + 20, card.table, "#ffffff", weight=600),
    ]
    targets = dict(card.references)
    y = card.y + HEAD + 16
    for name in dict.fromkeys((*card.key, *targets)):
        weight = 600 if name in card.key else 400
        parts.append(_text(card.x + 10, y, name, colours.get(targets.get(name, ""), "#1f2933"), weight=weight))
        y += LINE
    noun = "column" if card.others == 1 else "columns"
    parts.append(_text(card.x + 10, y, f"{card.others} more {noun}" if card.others else "no more columns", "#7b8794"))
    return "\n".join(parts)


def _text(x: int, y: int, text: str, colour: str, *, weight: int = 400) -> str:
    return f'<text x="{x}" y="{y}" font-size="13" fill="{colour}" font-weight="{weight}">{escape(text)}</text>'
