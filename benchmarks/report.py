"""Figures with their spread and their targets, as text and as Markdown."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

END = "<!-- end of results -->"


@dataclass(frozen=True)
class Target:
    """A bound on the median."""

    bound: float
    at_least: bool = False

    def verdict(self, value: float) -> str:
        met = value >= self.bound if self.at_least else value <= self.bound
        return f"{'>=' if self.at_least else '<='} {self.bound:.2f} {'met' if met else 'NOT MET'}"


@dataclass
class Section:
    """A table of figures.

    Attributes
    ----------
    title
        What was simulated.
    middle_half
        Whether the spread is that of the middle half of the rounds, for figures of many rounds;
        else it is that of all.
    rows
        Figure, case, median, spread and target as text.
    """

    title: str
    middle_half: bool = False
    rows: list[tuple[str, str, str, str, str]] = field(default_factory=list)

    def add(
        self, figure: str, case: str, values: Sequence[float], target: Target | None = None
    ) -> None:
        """Add a measured figure, from its values in all rounds."""
        median = statistics.median(values)
        low, high = min(values), max(values)
        if self.middle_half and len(values) > 1:
            low, _, high = statistics.quantiles(values, n=4)
        spread = f"{_number(low)} to {_number(high)}"
        verdict = target.verdict(median) if target else ""
        self.rows.append((figure, case, _number(median), spread, verdict))

    def add_fact(self, figure: str, case: str, fact: str) -> None:
        """Add something that is not a number."""
        self.rows.append((figure, case, fact, "", ""))

    def text(self) -> str:
        rows = [("", *self._head()), *self._rows_named_once()]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        lines = [self.title]
        for row in rows:
            cells = [
                cell.rjust(width) if k in (1, 2) else cell.ljust(width)
                for k, (cell, width) in enumerate(zip(row, widths, strict=True))
            ]
            lines.append(("  " + "   ".join(cells)).rstrip())
        return "\n".join(lines)

    def markdown(self) -> str:
        head, *body = [
            "|" + "|".join(f" {cell} " if cell else " " for cell in row) + "|"
            for row in [(self.title, *self._head()), *self._rows_named_once()]
        ]
        return "\n".join([head, "| --- | ---: | ---: | --- | --- |", *body])

    def _head(self) -> tuple[str, ...]:
        return ("", "median", "middle half" if self.middle_half else "range", "target")

    def _rows_named_once(self) -> list[tuple[str, ...]]:
        """Rows without the name of the figure where it is that of the row above."""
        names = [""] + [row[0] for row in self.rows]
        pairs = zip(names, self.rows, strict=False)
        return [("" if row[0] == above else row[0], *row[1:]) for above, row in pairs]


def _number(value: float) -> str:
    """Three significant digits, and no power of ten."""
    return f"{value:,.0f}" if abs(value) >= 99.95 else f"{value:#.3g}"


def check_page(path: Path, parts: Sequence[str]) -> str | None:
    """What is wrong with a page that shall take the results of some parts; None if nothing."""
    if not path.is_file():
        return f"{path} does not exist"
    page = path.read_text()
    for part in parts:
        begin = page.find(_begin(part))
        if begin < 0 or page.find(END, begin) < 0:
            return f"{path} lacks the lines '{_begin(part)}' and '{END}', between which they go"
    return None


def write_page(path: Path, part: str, facts: str, sections: Sequence[Section]) -> None:
    """Replace the results of a part in a page."""
    page = path.read_text()
    before, begin, after = page.partition(_begin(part))
    _, end, after = after.partition(END)
    tables = "\n\n".join(section.markdown() for section in sections)
    path.write_text(f"{before}{begin}\n\n{tables}\n\n*{facts}*\n\n{end}{after}")


def _begin(part: str) -> str:
    return f"<!-- results of {part} -->"
