"""The picture of `gpupool demo`: a column per strategy; rows of numbers, of a photograph, of a part magnified."""

from __future__ import annotations

from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import gpupool as gp

FEATURE_MAP = np.array([[1, 3, 2, 0], [5, 7, 4, 2], [8, 0, 6, 6], [2, 2, 9, 3]], dtype=np.float32)
PATCH_COLOURS = ((255, 214, 165), (189, 224, 254), (202, 235, 190), (246, 201, 226))
WHOLE_COLOUR = (224, 224, 224)
INK, GRAY, PAPER, MARK = (25, 25, 30), (95, 95, 105), (255, 255, 255), (255, 235, 59)

Pen = ImageDraw.ImageDraw

PANEL_WIDTH, PANEL_HEIGHT = 336, 224
MARGIN, GAP, HEADER, HEADING, CAPTION = 32, 32, 158, 62, 44
CELL = PANEL_HEIGHT // 4
CROP_TOP, CROP_LEFT, CROP_PATCHES = 11, 17, (8, 12)  # in patches: the magnified part of the photograph

COLUMNS = (
    ("Input", "split into patches"),
    ("Max pooling", "the highest value\nof each patch"),
    ("Average pooling", "the mean\nof each patch"),
    ("Global average pooling", "one mean\nof the whole map"),
)


def draw(photo: np.ndarray, window: int, highest: np.ndarray, mean: np.ndarray, overall: np.ndarray) -> Image.Image:
    """Draw the photograph and its three pooled forms, below the same operations on a 4 x 4 map of numbers."""
    rows = 3 * (HEADING + PANEL_HEIGHT + CAPTION)
    size = (2 * MARGIN + 4 * PANEL_WIDTH + 3 * GAP, HEADER + rows + MARGIN // 2)
    canvas = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(canvas)
    for column, (title, subtitle) in enumerate(COLUMNS):
        _text(pen, (_left(column), 26), title, 32, INK)
        pen.multiline_text((_left(column), 70), subtitle, fill=GRAY, font=_font(24), spacing=8)
    channels = photo.shape[2]
    used = (highest.shape[0] * window, highest.shape[1] * window)
    _numbers(pen, _top(0))
    _heading(pen, 1, f"On a photograph: patches of {window} x {window} pixels, each colour channel by itself")
    swatch = tuple(round(float(value)) for value in overall.reshape(-1))
    whole = _enlarge(np.full((1, 1, channels), swatch, np.uint8))
    photograph = Image.fromarray(photo[: used[0], : used[1]]).resize((PANEL_WIDTH, PANEL_HEIGHT), Image.Resampling.BOX)
    for column, panel in enumerate((photograph, _enlarge(highest), _enlarge(mean), whole)):
        canvas.paste(panel, (_left(column), _top(1)))
    _mark(pen, highest.shape, (0, 1, 2))
    effects = ("", ": bright details win", ": details blend", ": one colour is left")
    shapes = ((*used, channels), highest.shape, mean.shape, overall.shape)
    _captions(pen, 1, [_by(shape) + effect for shape, effect in zip(shapes, effects, strict=True)])
    _magnified(canvas, pen, window, photo, highest, mean, swatch)
    return canvas


def _left(column: int) -> int:
    """Where a column begins."""
    return MARGIN + column * (PANEL_WIDTH + GAP)


def _top(row: int) -> int:
    """Where the panels of a row begin."""
    return HEADER + row * (HEADING + PANEL_HEIGHT + CAPTION) + HEADING


def _font(size: int) -> Any:
    """Pillow's own typeface: the same picture on every machine."""
    return ImageFont.load_default(size)


def _text(pen: Pen, at: tuple[float, float], text: str, size: int, fill: Any, anchor: str = "la") -> None:
    """One line of text."""
    pen.text(at, text, fill=fill, font=_font(size), anchor=anchor)


def _heading(pen: Pen, row: int, text: str) -> None:
    """The line above a row of panels."""
    top = _top(row) - HEADING
    pen.line((MARGIN, top, _left(3) + PANEL_WIDTH, top), fill=(200, 200, 205), width=2)
    _text(pen, (MARGIN, top + 16), text, 26, INK)


def _by(shape: tuple[int, ...]) -> str:
    """(2, 2) -> '2 x 2'."""
    return " x ".join(map(str, shape))


def _captions(pen: Pen, row: int, texts: list[str]) -> None:
    """A line below each panel."""
    for column, text in enumerate(texts):
        _text(pen, (_left(column), _top(row) + PANEL_HEIGHT + 8), text, 22, GRAY)


def _numbers(pen: Pen, top: int) -> None:
    """The first row: the operations on numbers; a patch and what becomes of it have one colour."""
    family = "three such maps, 3 x 4 x 4, become 3 x 2 x 2 or 3 x 1 x 1"
    _heading(pen, 0, f"In numbers: a feature map of 4 x 4, patches of 2 x 2 ({family})")
    x = FEATURE_MAP[None]
    results = [gp.max_pool2d(x, 2)[0], gp.avg_pool2d(x, 2)[0], gp.global_avg_pool2d(x)[0]]
    for column, values in enumerate((FEATURE_MAP, *results)):
        height, width = values.shape
        left, first = _left(column), top + (4 - height) * CELL // 2
        for i, j in np.ndindex(height, width):
            patch = 2 * (i * 2 // height) + (j * 2 // width)
            box = (left + j * CELL, first + i * CELL, left + (j + 1) * CELL, first + (i + 1) * CELL)
            pen.rectangle(box, fill=PATCH_COLOURS[patch] if height > 1 else WHOLE_COLOUR, outline=GRAY)
            centre = ((box[0] + box[2]) / 2, (box[1] + box[3]) / 2)
            _text(pen, centre, f"{values[i, j]:g}", 26 if height > 1 else 24, INK, "mm")
        if height == 4:
            for cut in (0, 2, 4):
                pen.line((left, top + cut * CELL, left + 4 * CELL, top + cut * CELL), fill=INK, width=3)
                pen.line((left + cut * CELL, top, left + cut * CELL, top + 4 * CELL), fill=INK, width=3)
    _captions(pen, 0, [_by(values.shape) for values in (FEATURE_MAP, *results)])
    for column, worked in enumerate(("max(1, 3, 5, 7) = 7", "(1+3+5+7) / 4 = 4", "60 / 16 = 3.75"), start=1):
        wide = 2 if column < 3 else 1
        at = (_left(column) + wide * CELL + 20, top + (4 - wide) * CELL // 2 + CELL / 2)
        colour = PATCH_COLOURS[0] if column < 3 else WHOLE_COLOUR
        box = pen.textbbox(at, worked, font=_font(22), anchor="lm")
        pen.rectangle((box[0] - 8, box[1] - 8, box[2] + 8, box[3] + 8), fill=colour)
        _text(pen, at, worked, 22, INK, "lm")


def _enlarge(pixels: np.ndarray) -> Image.Image:
    """Pixels as the squares that they are, to the size of a panel."""
    return Image.fromarray(pixels).resize((PANEL_WIDTH, PANEL_HEIGHT), Image.Resampling.NEAREST)


def _mark(pen: Pen, shape: tuple[int, ...], columns: tuple[int, ...]) -> None:
    """Frame the part that the next row magnifies."""
    y, x = PANEL_HEIGHT / shape[0], PANEL_WIDTH / shape[1]
    for column in columns:
        left, top = _left(column) + CROP_LEFT * x, _top(1) + CROP_TOP * y
        box = (left, top, left + CROP_PATCHES[1] * x, top + CROP_PATCHES[0] * y)
        pen.rectangle(box, outline=MARK, width=3)


def _magnified(
    canvas: Image.Image,
    pen: Pen,
    window: int,
    photo: np.ndarray,
    highest: np.ndarray,
    mean: np.ndarray,
    swatch: tuple[int, ...],
) -> None:
    """The third row: the framed part, patch by patch, and the one pixel of the global average in figures."""
    _heading(pen, 2, "The framed part, magnified: every patch becomes one pixel")
    rows, columns = (
        slice(first, first + count) for first, count in zip((CROP_TOP, CROP_LEFT), CROP_PATCHES, strict=True)
    )
    fine = tuple(slice(part.start * window, part.stop * window) for part in (rows, columns))
    for column, pixels in enumerate((photo[fine], highest[rows, columns], mean[rows, columns])):
        canvas.paste(_enlarge(pixels), (_left(column), _top(2)))
        for i in range(CROP_PATCHES[0] + 1):
            y = _top(2) + i * PANEL_HEIGHT // CROP_PATCHES[0]
            pen.line((_left(column), y, _left(column) + PANEL_WIDTH, y), fill=MARK, width=1)
        for j in range(CROP_PATCHES[1] + 1):
            x = _left(column) + j * PANEL_WIDTH // CROP_PATCHES[1]
            pen.line((x, _top(2), x, _top(2) + PANEL_HEIGHT), fill=MARK, width=1)
    channels = photo.shape[2]
    shapes = (photo[fine].shape, (*CROP_PATCHES, channels), (*CROP_PATCHES, channels))
    _captions(pen, 2, [*map(_by, shapes), "one number per channel"])
    height = PANEL_HEIGHT // channels
    for index, (name, value) in enumerate(zip(("red", "green", "blue"), swatch, strict=False)):
        colour = tuple(value if channel == index else 0 for channel in range(3))
        top = _top(2) + index * height
        pen.rectangle((_left(3), top, _left(3) + PANEL_WIDTH, top + height - 4), fill=colour)
        _text(pen, (_left(3) + 16, top + height / 2), f"{name}: mean {value}", 26, PAPER, "lm")
