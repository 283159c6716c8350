"""The eye that reads signs: door plates and the like, by rapidocr on the CPU. A building labels itself.

What a sign says becomes the name of a thing, cleaned and cut short. It is text that anybody may have written: prompts
quote it, and nothing acts on it.
"""

from __future__ import annotations

import dataclasses
import importlib
import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from embodied_r_ros.adapters.eyes import Picture
from embodied_r_ros.core.boxes import box_sighting
from embodied_r_ros.core.depth import Box
from embodied_r_ros.core.errors import SettingsError
from embodied_r_ros.core.records import Sighting
from embodied_r_ros.core.settings import Settings, setting
from embodied_r_ros.core.text import foreign_name

# Lines of one sign lie closer than this, in heights of a line, and share this part of the narrower one's width.
_LINE_GAP = 0.8
_LINE_OVERLAP = 0.5
# With two letters at least, and a zero before one.
_WORD_WITH_ZERO = re.compile(r'(?=0{0,40}[A-Za-z]0{0,40}[A-Za-z])[A-Za-z0]{3,40}')
_ZERO_IN_WORD = re.compile('0(?=0{0,40}[A-Za-z])')
_LETTER_IN_NUMBER = re.compile(r'(?<=\d)[Oo](?=\d|\b)')
_NUMBER_AFTER_WORD = re.compile(r'(?<=[A-Za-z]{3})(?=\d)')
_ONE_THREAD = {
    'Global.log_level': 'critical',
    'Global.use_cls': False,
    'EngineConfig.onnxruntime.intra_op_num_threads': 1,
    'EngineConfig.onnxruntime.inter_op_num_threads': 1,
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class SignSettings(Settings):
    """How signs are read."""

    sign_min_confidence: float = setting(0.8, 'Text that is read with less confidence is left out.', within=(0.0, 1.0))
    sign_min_height_px: float = setting(
        8.0, 'Lines of text with less height are left out.', unit='px', within=(1.0, 1000.0)
    )
    most_signs: int = setting(
        12, 'At most this many signs are reported per key frame, the highest letters first.', within=(1, 64)
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Line:
    text: str
    confidence: float
    box_px: Box

    @property
    def height_px(self) -> float:
        return self.box_px[3] - self.box_px[1]


class SignEye:
    """Implements `adapters.eyes.Eye`: one sighting per sign; its lines are put together.

    The weights, which come with rapidocr, are loaded by the first look.

    Args:
        settings: how signs are read.
    """

    name = 'signs'
    takes_long = True

    def __init__(self, settings: SignSettings | None = None) -> None:
        self._settings = settings or SignSettings()
        self._read: Any = None

    def look(self, picture: Picture) -> tuple[Sighting, ...]:
        """The signs that a picture shows.

        Raises:
            SettingsError: rapidocr is not installed.
        """
        if self._read is None:
            self._read = _reader()
        found = self._read(picture.image)
        lines = _lines(found, self._settings) if found.txts else []
        sightings = []
        for sign in sorted(_signs(lines), key=lambda sign: -sign.height_px)[: self._settings.most_signs]:
            seen = box_sighting(
                sign.text, sign.box_px, picture.lens, picture.depth if picture.camera else None,
                is_flat=True, source='sign', confidence=sign.confidence,
            )  # fmt: skip
            if seen is not None:
                sightings.append(seen)
        return tuple(sightings)


def _reader() -> Any:
    try:
        return importlib.import_module('rapidocr').RapidOCR(params=dict(_ONE_THREAD))
    except (ImportError, OSError) as error:
        raise SettingsError(
            f'reading signs needs rapidocr and onnxruntime, got {str(error)!r}; '
            'run pip install rapidocr onnxruntime, or leave signs out of eyes'
        ) from error


def _lines(found: Any, settings: SignSettings) -> list[_Line]:
    lines = []
    for quad, text, confidence in zip(found.boxes, found.txts, found.scores):
        corners = np.asarray(quad, np.float64).reshape(4, 2)
        left, upper, right, lower = (float(edge) for edge in (*corners.min(axis=0), *corners.max(axis=0)))
        name = foreign_name(mended(str(text)))
        line = _Line(text=name, confidence=float(confidence), box_px=(left, upper, right, lower))
        sure = line.confidence >= settings.sign_min_confidence
        if sure and line.height_px >= settings.sign_min_height_px and any(map(str.isalnum, name)):
            lines.append(line)
    return lines


def mended(text: str) -> str:
    """The text with what readers mix up put right: zeros within words, the letter within numbers, and a lost blank."""
    words = _WORD_WITH_ZERO.sub(lambda word: _ZERO_IN_WORD.sub(_letter, word[0]), text)
    return _NUMBER_AFTER_WORD.sub(' ', _LETTER_IN_NUMBER.sub('0', words))


def _letter(zero: re.Match[str]) -> str:
    next_letter = zero.string[zero.end() :].lstrip('0')[:1]
    return 'o' if zero.start() and next_letter.islower() else 'O'


def _signs(lines: Sequence[_Line]) -> list[_Line]:
    """Lines that stand close above each other as one sign."""
    signs: list[_Line] = []
    for line in sorted(lines, key=lambda line: line.box_px[1]):
        above = next((place for place, sign in enumerate(signs) if _continues(sign, line)), None)
        if above is None:
            signs.append(line)
        else:
            signs[above] = _joined(signs[above], line)
    return signs


def _continues(sign: _Line, line: _Line) -> bool:
    overlap_px = min(sign.box_px[2], line.box_px[2]) - max(sign.box_px[0], line.box_px[0])
    narrower_px = min(sign.box_px[2] - sign.box_px[0], line.box_px[2] - line.box_px[0])
    gap_px = line.box_px[1] - sign.box_px[3]
    return overlap_px >= _LINE_OVERLAP * narrower_px and abs(gap_px) <= _LINE_GAP * line.height_px


def _joined(sign: _Line, line: _Line) -> _Line:
    edges = list(zip(sign.box_px, line.box_px))
    return _Line(
        text=foreign_name(f'{sign.text} {line.text}'),
        confidence=min(sign.confidence, line.confidence),
        box_px=(min(edges[0]), min(edges[1]), max(edges[2]), max(edges[3])),
    )
