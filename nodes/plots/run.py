"""One run: what was done at every evaluation, the local error where it was measured, and seconds."""

import math
from dataclasses import dataclass

from torch import Tensor

from ...hicache_core import Evaluation, RunReport
from .sheet import COMPUTED, ERROR, FORECAST, PAPER, QUIET, REFUSED, RULE, WARNING, Sheet

WIDTH, MARGIN, AXIS = 960, 28, 76  # points; AXIS: room for numbers left of the panels
COLOURS = {"computed": COMPUTED, "forecast": FORECAST, "refused": REFUSED}
MEANING = {"computed": "computed", "forecast": "forecast", "refused": "planned as forecast, but computed"}
LOW = 0.4  # height of a forecast in the timeline
HEAD, LINE = 100, 18  # points: above the first panel, and of a line of text


@dataclass(frozen=True)
class Panel:
    """A strip of the sheet with one column for each evaluation."""

    top: float
    height: float
    columns: int

    @property
    def pitch(self) -> float:
        return (WIDTH - AXIS - MARGIN) / max(self.columns, 1)

    def left(self, column: int) -> float:
        return AXIS + column * self.pitch


def draw_run(report: RunReport, scale: int = 2) -> Tensor:
    """IMAGE (1, H, W, 3) with H, W in pixels; ``scale`` pixels to a point."""
    measured = any(e.error for e in report.evaluations)
    heights = {_timeline: 56.0, **({_errors: 96.0} if measured else {}), _seconds: 110.0}
    notes = [line for message in report.messages for line in Sheet(1, 1, scale).wrapped(message, WIDTH - 2 * MARGIN)]
    height = HEAD + sum(heights.values()) + 34.0 * len(heights) + LINE * len(notes) + MARGIN
    sheet, top = Sheet(WIDTH, height, scale), float(HEAD)
    _head(sheet, report)
    for draw, tall in heights.items():
        draw(sheet, Panel(top, tall, len(report.evaluations)), report.evaluations)
        top += tall + 34.0
    _steps(sheet, Panel(top - 30.0, 0.0, len(report.evaluations)), report.evaluations)
    for index, line in enumerate(notes):
        sheet.text(MARGIN, top + 12.0 + LINE * index, line, 12, WARNING)
    return sheet.as_image()


def draw_absence(sentence: str, scale: int = 2) -> Tensor:
    """IMAGE (1, H, W, 3): a sheet as wide, with the reason why there is no run to draw."""
    lines = Sheet(1, 1, scale).wrapped(sentence, WIDTH - 2 * MARGIN, 14)
    sheet = Sheet(WIDTH, 2.0 * MARGIN + LINE * len(lines), scale)
    for index, line in enumerate(lines):
        sheet.text(MARGIN, MARGIN + LINE * (index + 0.5), line, 14)
    return sheet.as_image()


def _head(sheet: Sheet, report: RunReport) -> None:
    x = MARGIN + sheet.text(MARGIN, 30, "HiCache", 20) + 14
    sheet.text(x, 31, report.summary(), 14, QUIET)
    x = float(MARGIN)
    for action, meaning in MEANING.items():
        sheet.box(x, 56, 12, 12, COLOURS[action])
        x += 18 + sheet.text(x + 18, 62, meaning, 12, QUIET) + 22
    sheet.box(x, 56, 12, 12, COMPUTED)
    sheet.dot(x + 6, 62, 2.5, PAPER)
    sheet.text(x + 18, 62, "computed, and drift corrected", 12, QUIET)


def _title(sheet: Sheet, panel: Panel, text: str) -> None:
    sheet.text(AXIS, panel.top - 9, text, 12, QUIET)


def _timeline(sheet: Sheet, panel: Panel, evaluations: tuple[Evaluation, ...]) -> None:
    _title(sheet, panel, "evaluations of the model, in order")
    for column, one in enumerate(evaluations):
        tall = panel.height * (LOW if one.action == "forecast" else 1.0)
        gap = 1.0 if panel.pitch > 4 else 0.0
        sheet.box(panel.left(column), panel.top + panel.height - tall, panel.pitch - gap, tall, COLOURS[one.action])
        if one.corrected:
            sheet.dot(panel.left(column) + (panel.pitch - gap) / 2, panel.top + 7, min(2.5, panel.pitch / 3), PAPER)


def _errors(sheet: Sheet, panel: Panel, evaluations: tuple[Evaluation, ...]) -> None:
    _title(sheet, panel, "error that a forecast would have had, as a share of what was computed")
    found = [math.log10(e.error) for e in evaluations if e.error]
    low, high = math.floor(min(found)), math.ceil(max(found) + 1e-9)
    for power in range(low, high + 1):
        y = panel.top + panel.height * (high - power) / max(high - low, 1)
        sheet.box(AXIS, y, WIDTH - AXIS - MARGIN, 0.5, RULE)
        sheet.text(AXIS - 8, y, f"{10.0**power:g}", 11, QUIET, "rm")
    for column, one in enumerate(evaluations):
        if one.error:
            y = panel.top + panel.height * (high - math.log10(one.error)) / max(high - low, 1)
            sheet.dot(panel.left(column) + panel.pitch / 2, y, 3.0, ERROR)


def _seconds(sheet: Sheet, panel: Panel, evaluations: tuple[Evaluation, ...]) -> None:
    _title(sheet, panel, "seconds of each")
    most = max((e.seconds for e in evaluations), default=0.0) or 1.0
    for share in (0.0, 0.5, 1.0):
        y = panel.top + panel.height * (1.0 - share)
        sheet.box(AXIS, y, WIDTH - AXIS - MARGIN, 0.5, RULE)
        sheet.text(AXIS - 8, y, f"{most * share:.2g}", 11, QUIET, "rm")
    for column, one in enumerate(evaluations):
        tall, gap = panel.height * one.seconds / most, 1.0 if panel.pitch > 4 else 0.0
        sheet.box(panel.left(column), panel.top + panel.height - tall, panel.pitch - gap, tall, COLOURS[one.action])


def _steps(sheet: Sheet, panel: Panel, evaluations: tuple[Evaluation, ...]) -> None:
    """The numbers of the sampler's steps, the first one 0, where there is room for them."""
    last = -math.inf
    for column, one in enumerate(evaluations):
        x = panel.left(column) + panel.pitch / 2
        first = column == 0 or evaluations[column - 1].step != one.step
        if first and x - last > 34.0:
            sheet.text(x, panel.top + 8, str(one.step), 11, QUIET, "mm")
            last = x
    sheet.text(AXIS - 8, panel.top + 8, "step", 11, QUIET, "rm")
