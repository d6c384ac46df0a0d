"""The geometry of a hole in a window: which pixels are told from which, and its symmetry.

How alike two pixels are depends on their offset alone, and not on its sign. So a hole that looks
the same when the window is turned by half leaves two kinds of patterns that tell nothing of each
other, those that stay and those that change their sign: two systems of half the size.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt

_Floats = npt.NDArray[np.float64]
_Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Folded:
    """How alike patterns (a) and patterns (b) are, to be looked up in tables of all offsets.

    Attributes
    ----------
    plain : (a, b) intp
        Where the pair of their first pixels stands in a table.
    turned : (a, b) intp, optional
        The same with the second pattern's other pixel.
    factors : (a, b) float64
        What the sum of both counts; the difference where ``sign`` is -1.
    """

    plain: _Numbers
    turned: _Numbers | None = None
    sign: int = 1
    factors: _Floats | None = None

    def __call__(self, tables: _Floats) -> _Floats:
        """Look up in tables (n, offsets): (n, a, b)."""
        found = tables.take(self.plain, axis=1)
        if self.turned is not None:
            turned = tables.take(self.turned, axis=1)
            found = found + turned if self.sign > 0 else found - turned
        if self.factors is not None:
            found *= self.factors
        return found


@dataclass(frozen=True)
class Patterns:
    """Orthonormal patterns of the known and the unknown pixels.

    Attributes
    ----------
    known, unknown : (pixels, patterns) float64
        Of each pixel how much it has of each pattern.
    known_known, known_unknown, unknown_unknown : Folded
        How alike they are.
    """

    known: _Floats
    unknown: _Floats
    known_known: Folded
    known_unknown: Folded
    unknown_unknown: Folded


def pairs(ones: _Numbers, others: _Numbers, shape: tuple[int, int]) -> _Numbers:
    """Return where in a table of all offsets each pair of a window's pixels stands.

    The table holds the offsets (2 * height - 1, 2 * width - 1), flat, both from the negative on.
    """
    height, width = shape
    down = ones[:, None] // width - others // width
    across = ones[:, None] % width - others % width
    places: _Numbers = (down + height - 1) * (2 * width - 1) + across + width - 1
    return places


def patterns(hole: npt.NDArray[np.bool_]) -> Sequence[Patterns]:
    """Return the patterns in which a window with a hole (height, width), True inside, is solved."""
    height, width = hole.shape
    return _patterns(height, width, hole.tobytes())


def symmetric(hole: npt.NDArray[np.bool_]) -> bool:
    """Tell whether a hole looks the same when its window is turned by half."""
    flat = hole.ravel()
    return np.array_equal(flat, flat[::-1])


@lru_cache(maxsize=16)  # of the greatest windows some megabytes each
def _patterns(height: int, width: int, hole: bytes) -> tuple[Patterns, ...]:
    flat = np.frombuffer(hole, bool)
    shape = (height, width)
    known, unknown = np.flatnonzero(~flat), np.flatnonzero(flat)
    if not symmetric(flat):
        return (
            Patterns(
                np.eye(len(known)),
                np.eye(len(unknown)),
                Folded(pairs(known, known, shape)),
                Folded(pairs(known, unknown, shape)),
                Folded(pairs(unknown, unknown, shape)),
            ),
        )
    return tuple(
        Patterns(
            _basis(len(known), sign),
            _basis(len(unknown), sign),
            _folded(known, known, shape, sign),
            _folded(known, unknown, shape, sign),
            _folded(unknown, unknown, shape, sign),
        )
        for sign in (1, -1)
    )


def _folded(ones: _Numbers, others: _Numbers, shape: tuple[int, int], sign: int) -> Folded:
    rows, columns = (_firsts(len(each), sign) for each in (ones, others))
    return Folded(
        pairs(ones[:rows], others[:columns], shape),
        pairs(ones[:rows], others[::-1][:columns], shape),
        sign,
        np.outer(_shares(len(ones), sign), _shares(len(others), sign)),
    )


def _firsts(pixels: int, sign: int) -> int:
    """Return how many patterns of a sign so many pixels have; one in the middle is its own pair."""
    return (pixels + 1) // 2 if sign > 0 else pixels // 2


def _shares(pixels: int, sign: int) -> _Floats:
    shares = np.ones(_firsts(pixels, sign))
    if sign > 0 and pixels % 2:
        shares[-1] = 0.5**0.5
    return shares


def _basis(pixels: int, sign: int) -> _Floats:
    firsts = np.eye(pixels)[:, : _firsts(pixels, sign)]
    basis: _Floats = (firsts + sign * firsts[::-1]) * 0.5**0.5 * _shares(pixels, sign)
    return basis


def halves(covariances: _Floats, channels: int) -> tuple[_Floats, _Floats]:
    """Part covariances (..., n, n) of samples that look the same when the window is turned by half.

    Returns
    -------
    (..., a, a) and (..., b, b) float64
        Of what is the same in the first half of the pixels (and the middle one) and in the others,
        and of what changes its sign.
    """
    pixels = covariances.shape[-1] // channels
    same, other = channels * _firsts(pixels, 1), channels * _firsts(pixels, -1)
    stack = covariances.shape[:-2]
    first = covariances[..., :same, :]
    straight = first[..., :same]
    by_pixel = first.reshape(*stack, same, pixels, channels)
    turned = by_pixel[..., ::-1, :][..., : same // channels, :].reshape(straight.shape)
    even, odd = straight + turned, (straight - turned)[..., :other, :other]
    even[..., other:] /= 2  # the middle one is its own pair
    return even, odd


def solved_in_halves(
    parts: tuple[_Floats, _Floats], more: _Floats, right: _Floats, channels: int
) -> _Floats:
    """Solve the covariance that ``parts`` are the halves of, and ``more`` (..., n) on its diagonal.

    ``right`` is (..., n, k); ``more`` must look the same when turned.
    """
    stack, (size, count) = right.shape[:-2], right.shape[-2:]
    by_pixel = right.reshape(*stack, size // channels, channels, count)
    turned = by_pixel[..., ::-1, :, :].reshape(right.shape)
    even, odd = (
        _half_solved(part, more, side / 2)
        for part, side in zip(parts, (right + turned, right - turned), strict=True)
    )
    pairs_of = odd.shape[-2]
    first, last = even[..., :pairs_of, :] + odd, even[..., :pairs_of, :] - odd
    backwards = last.reshape(*stack, -1, channels, count)[..., ::-1, :, :].reshape(last.shape)
    return np.concatenate([first, even[..., pairs_of:, :], backwards], axis=-2)


def _half_solved(part: _Floats, more: _Floats, side: _Floats) -> _Floats:
    each = np.arange(part.shape[-1])
    wanted = side[..., : len(each), :]
    if not wanted.any():
        return np.zeros_like(wanted)
    both = part.copy()
    both[..., each, each] += more[..., : len(each)]
    return np.asarray(np.linalg.solve(both, wanted), np.float64)
