"""Reads worked thoughts, drills and moves as a stranger would, and does their arithmetic anew."""

from __future__ import annotations

import collections
import math
import re

HALF_METRE = 0.5
AROUND = {
    'lr': {'right': (90, 90), 'left': (270, 90)},
    'lrb': {'right': (67.5, 67.5), 'behind': (180, 45), 'left': (292.5, 67.5)},
    'q4': {'front-right': (45, 45), 'back-right': (135, 45), 'back-left': (225, 45), 'front-left': (315, 45)},
    'w4': {'ahead': (0, 45), 'right': (90, 45), 'behind': (180, 45), 'left': (270, 45)},
    'a4': {'forward': (0, 45), 'turn-right': (90, 45), 'turn-around': (180, 45), 'turn-left': (270, 45)},
    'w8': dict(
        zip(
            'ahead front-right right back-right behind back-left left front-left'.split(),
            ((45 * eighth, 22.5) for eighth in range(8)),
        )
    ),
}

_N = r'(-?\d+)'
_POSE = rf'p(\d+) (\d+)deg {_N} {_N}'
_LOOK_UP = re.compile(
    rf'q(\d) n\d+ o(\d+) (ahead|left|right)(?:(\d+)deg)? ([\d.]+)m {_POSE} = (\d+)deg {_N} {_N} r(\d) {_N} {_N}'
)
_SUBTRACTION = re.compile(rf'r\d+ {_N} {_N} - (?:r\d+|p\d+ \d+deg) {_N} {_N} = {_N} {_N}(?: (dir|dist) (\d+))?')
_ANGLES = re.compile(r'dir (\d+)deg - (\d+)deg = (\d+)deg ([a-z-]+)')
_STEP = re.compile(rf's(\d+) (forward|left|right|stay)(?: ([\d.]+)(m|deg))?((?: -?\d+){{2}})? {_POSE}')
_LEAST = re.compile(r'((?:q\d (?:n\d+ )?o\d+ )+)min (q\d) (?:n\d+ )?o(\d+)')
_REST = re.compile(r'([\d.]+)(m|deg) - ([\d.]+)(m|deg) = ([\d.]+)(m|deg)')


def shares(angle, cells):
    """Cells to the right and ahead, rounded."""
    return round(cells * math.sin(math.radians(angle))), round(cells * math.cos(math.radians(angle)))


def lies_in(word, angle, families=AROUND):
    """Whether a clockwise angle lies in the sector that a word names in one of some families, its borders included."""
    sectors = [AROUND[family][word] for family in families if word in AROUND[family]]
    return any(abs((angle - middle + 180) % 360 - 180) <= half for middle, half in sectors)


def check_arithmetic(text, families=AROUND):
    """Do every sum in a thought or drill anew; returns how many there were of each kind."""
    done = collections.Counter()
    for match in _LOOK_UP.finditer(text):
        tag, step, side, off, metres, at, heading, x, y, way, dx, dy, place, to_x, to_y = match.groups()
        turned = {'ahead': 0, 'left': -int(off or 0), 'right': int(off or 0)}[side]
        assert (tag, step) == (place, at), match[0]
        assert int(way) == (int(heading) + turned) % 360, match[0]
        assert (int(dx), int(dy)) == shares(int(way), float(metres) / HALF_METRE), match[0]
        assert (int(to_x), int(to_y)) == (int(x) + int(dx), int(y) + int(dy)), match[0]
        done['look-up'] += 1
    for match in _SUBTRACTION.finditer(text):
        to_x, to_y, x, y, dx, dy = (int(number) for number in match.groups()[:6])
        assert (to_x - x, to_y - y) == (dx, dy), match[0]
        if match[7] == 'dir':
            exact = math.degrees(math.atan2(dx, dy))
            assert int(match[8]) % 15 == 0 and abs((int(match[8]) - exact + 180) % 360 - 180) <= 7.5 + 1e-9, match[0]
        if match[7] == 'dist':
            assert abs(int(match[8]) - math.hypot(dx, dy)) <= 0.5, match[0]
        done['subtraction'] += 1
    for match in _ANGLES.finditer(text):
        assert int(match[3]) == (int(match[1]) - int(match[2])) % 360, match[0]
        assert lies_in(match[4], int(match[3]), families), match[0]
        done['angles'] += 1
    for match in _LEAST.finditer(text):
        listed = dict(re.findall(r'(q\d) (?:n\d+ )?(o\d+)', match[1]))
        assert listed[match[2]] == f'o{match[3]}' == min(listed.values(), key=lambda step: int(step[1:])), match[0]
        done['least'] += 1
    for match in _REST.finditer(text):
        if match[2] == match[4] == match[6] and not re.search(r'dir $', text[: match.start()]):
            assert float(match[5]) == max(0.0, float(match[1]) - float(match[3])), match[0]
            done['rest'] += 1
    return done + check_steps(text)


def check_steps(text):
    """Follow each track of poses in a text; returns how many steps there were."""
    done = collections.Counter()
    for track in re.split(r' \. ?', text.removeprefix('drill ')):
        parts = track.split(' ; ')
        start = re.fullmatch(_POSE, parts[0])
        if start is None:
            continue
        number, heading, x, y = map(int, start.groups())
        for part in parts[1:]:
            match = _STEP.fullmatch(part)
            assert match, part
            step, kind, size, _, moved, at, *pose = match.groups()
            if kind in ('left', 'right'):
                heading = (heading + int(size) * (1 if kind == 'right' else -1)) % 360
            if kind == 'forward':
                dx, dy = shares(heading, float(size) / HALF_METRE)
                assert moved.split() == [str(dx), str(dy)], part
                x, y = x + dx, y + dy
            number += 1
            assert (int(step), int(at), [int(value) for value in pose]) == (number, number, [heading, x, y]), part
            done['step'] += 1
    return done


def arrived(moves):
    """Metres forward and left, and degrees turned left, that moves come to."""
    forward_m = left_m = turned_deg = 0.0
    for move in moves:
        if move.kind == 'turn':
            turned_deg += move.amount
            continue
        way = math.radians(turned_deg + (90.0 if move.kind == 'left' else 0.0))
        forward_m += move.amount * math.cos(way)
        left_m += move.amount * math.sin(way)
    return forward_m, left_m, turned_deg
