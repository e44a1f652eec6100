"""Texts as they stand in the page: the one place where names and values become HTML."""

import html
from collections.abc import Sequence

from algoprof.exporters.text import cells

_LONGEST = 160


def text(value: object, longest: int = _LONGEST) -> str:
    r"""Return any value as text of an element or of a quoted attribute.

    What is not seen, or turns text round, is shown as an escape; a long text is cut in its middle.

    >>> text('</script>"\0\udcff')
    '&lt;/script&gt;&quot;\\x00\\udcff'
    """
    return html.escape(cells.name(str(value), longest))


def name(value: str, longest: int = _LONGEST) -> str:
    """Return a name as an element that keeps its direction of writing to itself.

    >>> name("load"), name("")
    ('<bdi>load</bdi>', '<i>(no name)</i>')
    """
    return f"<bdi>{text(value, longest)}</bdi>" if value else "<i>(no name)</i>"


def path(names: tuple[str, ...]) -> str:
    """Return the names down to a section.

    >>> path(("job", "load"))
    '<bdi>job</bdi> &rsaquo; <bdi>load</bdi>'
    """
    return " &rsaquo; ".join(name(one) for one in names)


def percent(part: float, whole: float) -> float:
    """Return a part in percent of the whole, from 0 to 100, as precise as a screen shows it.

    >>> percent(1, 3), percent(1, 0), percent(4, 3)
    (33.333, 0.0, 100.0)
    """
    return round(100 * min(1.0, max(0.0, part / whole)), 3) if whole > 0 else 0.0


def swatch(color: str) -> str:
    """Return a small square in a colour of the style sheet, for legends.

    >>> swatch("own")
    '<svg class="swatch" aria-hidden="true"><rect class="own" width="100%" height="100%"/></svg>'
    """
    return f'<svg class="swatch" aria-hidden="true"><rect class="{color}" width="100%" height="100%"/></svg>'


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]], label: str) -> str:
    """Return a table, whose first column names its rows, in a box that scrolls where the screen is narrow.

    Args:
        head: what the columns are called, as text.
        rows: cells, as HTML.
        label: what the table is called for those who hear it.

    >>> table(("section", "time"), [(name("load"), "2 s")], "Sections").count("<tr>")
    2
    """
    titles = "".join(f'<th scope="col">{text(one)}</th>' for one in head)
    body = "\n".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in others)}</tr>'
        for first, *others in rows
    )
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{text(label)}"><table>\n'
        f"<thead><tr>{titles}</tr></thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )
