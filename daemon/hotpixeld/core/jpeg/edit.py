"""Turns new pixel values into new coefficients of the blocks that hold them.

The wanted change of each sample is transformed and rounded to whole quantisation steps, so that
frequencies it does not touch stay. The plane it is measured on is never clipped: a saturated defect
overshoots, and its surroundings undershoot, where the decoder shows 255 and 0.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from hotpixeld.core.jpeg.blocks import Blocks
from hotpixeld.core.jpeg.parse import ZIGZAG, Colour, Header
from hotpixeld.core.patch import Patch

_WEIGHT_REPAIRED = 4.0  # measured: 3 to 5 give the least error in the 9x9, 1 and 8 more
_MOST_STEPS = 60
_UNSEEN_DN2 = 64 * 1.5**2  # squared error of a block that is 1.5 DN off
_DC_RANGE, _AC_RANGE = (-1024, 1023), (-1023, 1023)

_K = np.arange(8)
_BASIS_1D = np.sqrt(2 / 8) * np.cos((2 * _K[None, :] + 1) * _K[:, None] * np.pi / 16)
_BASIS_1D[0] /= np.sqrt(2)
#: Row-major: each frequency's 64 samples, orthonormal.
_BASIS = np.einsum("uy,vx->uvyx", _BASIS_1D, _BASIS_1D).reshape(64, 64)

_Floats = npt.NDArray[np.float64]


def component_values(values_dn: npt.NDArray[np.integer], colour: Colour) -> _Floats:
    """Convert frame values (n, channels) to the components that the file codes, unrounded.

    CMYK frames are as Pillow gives them, inverted against what the file holds.
    """
    values = values_dn.astype(np.float64)
    if colour in ("cmyk", "ycck"):
        values[:, 3] = 255 - values[:, 3]
    if colour == "cmyk":
        values[:, :3] = 255 - values[:, :3]
    if colour not in ("ycc", "ycck"):
        return values
    red, green, blue = values[:, 0], values[:, 1], values[:, 2]
    values[:, :3] = np.stack(
        [
            0.299 * red + 0.587 * green + 0.114 * blue,
            -0.168735892 * red - 0.331264108 * green + 0.5 * blue + 128,
            0.5 * red - 0.418687589 * green - 0.081312411 * blue + 128,
        ],
        axis=1,
    )
    return values


@dataclass(frozen=True)
class Mcus:
    """Where the pixels of a patch lie.

    Attributes
    ----------
    numbers : (t,) intp
        The touched MCUs, rising.
    which : (n,) intp
        For each pixel of the patch, the index of its MCU in ``numbers``.
    rows, columns : (n,) intp
        For each pixel its place in that MCU.
    """

    numbers: npt.NDArray[np.intp]
    which: npt.NDArray[np.intp]
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]


def touched_mcus(header: Header, patch: Patch) -> Mcus:
    """Find the MCUs that ``patch`` touches."""
    high, wide = 8 * header.down, 8 * header.across
    of_pixel = patch.rows // high * header.mcus_across + patch.columns // wide
    numbers, which = np.unique(of_pixel, return_inverse=True)
    return Mcus(numbers, which, patch.rows % high, patch.columns % wide)


def edited(
    header: Header, mcus: Mcus, blocks: Blocks, values_dn: npt.NDArray[np.integer]
) -> Blocks:
    """Return the blocks of the touched MCUs with the pixels set.

    Parameters
    ----------
    blocks : (t, blocks, 64) int64
        Coefficients of the touched MCUs in the order of the scan, DC absolute.
    values_dn : (n, channels) uint8
        The patch's values.

    Returns
    -------
    (t, blocks, 64) int64
    """
    targets = component_values(values_dn, header.colour)
    result = blocks.copy()
    owners = np.array(header.block_components)
    steps = [component.quantisation.astype(np.float64) for component in header.components]
    alike = defaultdict[tuple[int, int], list[int]](list)
    for index, component in enumerate(header.components):
        alike[component.down, component.across].append(index)
    for (down, across), indices in alike.items():
        factors = (header.down // down, header.across // across)
        planes = []
        for index in indices:
            natural = _natural(blocks[:, owners == index])
            planes.append(_plane((natural * steps[index]) @ _BASIS + 128, down, across))
        changes = _wanted(planes, mcus, targets[:, indices], factors)
        for index, wanted in zip(indices, changes, strict=True):
            change = _blocks(wanted, down, across)
            whole = _whole_steps(change.reshape(-1, 64), steps[index])
            natural = _natural(blocks[:, owners == index])
            result[:, owners == index] = _in_range(natural, whole.reshape(natural.shape))
    return result


def _natural(blocks: Blocks) -> Blocks:
    """Return blocks in the order of the scan in that of the frequencies."""
    natural = np.empty(blocks.shape, np.int64)
    natural[..., ZIGZAG] = blocks
    return natural


def _in_range(natural: Blocks, steps_more: Blocks) -> Blocks:
    """Return the changed blocks, clipped, in the order of the scan."""
    low, high = np.full(64, _AC_RANGE[0]), np.full(64, _AC_RANGE[1])
    low[0], high[0] = _DC_RANGE
    low, high = np.minimum(low, natural), np.maximum(high, natural)
    clipped: Blocks = np.minimum(np.maximum(natural + steps_more, low), high)
    return clipped[..., ZIGZAG]


def _plane(blocks: _Floats, down: int, across: int) -> _Floats:
    """Lay the blocks (t, down*across, 64) of each MCU out as samples (t, 8*down, 8*across)."""
    grid = blocks.reshape(-1, down, across, 8, 8).transpose(0, 1, 3, 2, 4)
    return grid.reshape(-1, 8 * down, 8 * across)


def _blocks(plane: _Floats, down: int, across: int) -> _Floats:
    """Undo `_plane`."""
    grid = plane.reshape(-1, down, 8, across, 8).transpose(0, 1, 3, 2, 4)
    return grid.reshape(-1, down * across, 64)


def _wanted(
    planes: Sequence[_Floats], mcus: Mcus, targets: _Floats, factors: tuple[int, int]
) -> list[_Floats]:
    """Return how much each sample must change to show the targets.

    Parameters
    ----------
    planes : sequence of (t, rows, columns) float64
        Of components that are sampled alike.
    targets : (n, components) float64
        What each pixel is to show of them.
    factors : (int, int)
        How many pixels down and across a sample stands for.
    """
    down, across = factors
    changes = [np.zeros_like(plane) for plane in planes]
    if down == across == 1:
        place = (mcus.which, mcus.rows, mcus.columns)
        for change, plane, target in zip(changes, planes, targets.T, strict=True):
            change[place] = target - plane[place]
        return changes
    all_rows = _taps(mcus.rows, planes[0].shape[1], down)
    all_columns = _taps(mcus.columns, planes[0].shape[2], across)
    shown = [np.einsum("ny,nyx,nx->n", all_rows, p[mcus.which], all_columns) for p in planes]
    missing = targets - np.stack(shown, axis=1)
    order = np.argsort(mcus.which, kind="stable")
    bounds = np.searchsorted(mcus.which[order], np.arange(len(planes[0]) + 1))
    for mcu, (start, stop) in enumerate(pairwise(bounds.tolist())):
        pixels = order[start:stop]
        own = np.zeros(planes[0].shape[1:], bool)
        own[mcus.rows[pixels] // down, mcus.columns[pixels] // across] = True
        matrix = (all_rows[pixels][:, :, None] * all_columns[pixels][:, None])[:, own]
        if matrix.shape == (1, 1):  # the most frequent by far
            solved = missing[pixels] / matrix
        else:
            solved = np.linalg.lstsq(matrix, missing[pixels], rcond=1e-3)[0]
        for change, values in zip(changes, solved.T, strict=True):
            change[mcu][own] = values
    return changes


def _taps(places: npt.NDArray[np.intp], samples: int, factor: int) -> _Floats:
    """Return the weights (n, samples) with which a decoder shows samples at full resolution.

    libjpeg's triangle filter where the factor is 2, else the sample itself; at the MCU's edge the
    sample is repeated.
    """
    weights = np.zeros((len(places), samples))
    each = np.arange(len(places))
    near = places // factor
    if factor != 2:
        weights[each, near] = 1
        return weights
    other = np.clip(near + np.where(places % 2, 1, -1), 0, samples - 1)
    weights[each, near] += 0.75
    weights[each, other] += 0.25
    return weights


def _whole_steps(change: _Floats, steps: _Floats) -> Blocks:
    """Return the coefficient changes (n, 64) nearest to the change of samples (n, 64)."""
    exact = change @ _BASIS.T / steps
    whole = np.rint(exact)
    touched = change != 0
    active = np.flatnonzero(touched.any(axis=1))
    if len(active):
        whole[active] = _refined(whole[active], exact[active], touched[active], steps)
    steps_whole: Blocks = whole.astype(np.int64)
    return steps_whole


def _refined(
    whole: _Floats, exact: _Floats, touched: npt.NDArray[np.bool_], steps: _Floats
) -> _Floats:
    """Move single coefficients by one step as long as the weighted squared error falls."""
    basis = _BASIS * steps[:, None]
    weights = np.where(touched, _WEIGHT_REPAIRED, 1.0)
    cost = weights @ (basis * basis).T
    error = (whole - exact) @ basis
    whole = whole.copy()
    each = np.arange(len(whole))
    for _ in range(_MOST_STEPS):
        slope = (error * weights) @ basis.T
        gain = 2 * np.abs(slope) - cost
        best = np.argmax(gain, axis=1)
        step = np.where(gain[each, best] > 1e-9, -np.sign(slope[each, best]), 0.0)
        if not step.any():
            break
        whole[each, best] += step
        error += step[:, None] * basis[best]
    return whole


def stands_for(header: Header, old: Blocks, wanted: Blocks, kept: Blocks) -> bool:
    """Tell whether in each MCU what is ``kept`` comes near what is ``wanted``.

    True where the squared error is at most a quarter of what it was, or not to be seen.
    """
    steps = np.stack([header.components[c].quantisation[ZIGZAG] for c in header.block_components])
    before = (((old - wanted) * steps) ** 2).sum(axis=(1, 2))
    after = (((kept - wanted) * steps) ** 2).sum(axis=(1, 2))
    return bool((after <= np.maximum(before / 4, _UNSEEN_DN2)).all())


def least_coefficients(header: Header, blocks: Blocks) -> npt.NDArray[np.intp]:
    """Return flat indices of the AC coefficients of 1 or -1, those of the finest steps first."""
    steps = [header.components[c].quantisation[ZIGZAG] for c in header.block_components]
    weights = np.broadcast_to(np.stack(steps), blocks.shape)
    droppable = np.abs(blocks) == 1
    droppable[:, :, 0] = False
    found = np.flatnonzero(droppable)
    return found[np.argsort(weights.reshape(-1)[found], kind="stable")]
