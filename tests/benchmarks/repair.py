"""Repair beside its rivals: squared error round defects and in their footprints.

``python -m benchmarks.repair [FIRST_SEED END]``; every figure comes from this run.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from benchmarks.rivals import Frame, Place, decoded, rivals
from fakecamera import Defect, Development, FakeCamera, Shot, bad_column, group
from hotpixeld.core.defects import FootprintPixel
from hotpixeld.core.jpeg.rewrite import repair_blocks
from hotpixeld.core.moments import Moments
from hotpixeld.core.rank import rank
from hotpixeld.core.repair import footprint_at, repair_patch

Sites = tuple[Place, ...]  # of one spot
Learned = dict[Sites, list[tuple[FootprintPixel, ...]]]
Errors = defaultdict[str, list[tuple[float, float]]]  # by way: in the 9x9, in the footprint

DEVELOPMENTS = (
    Development("bilinear", 0.5, 0.0, 92, "4:2:0"),
    Development("gradient", 0.8, 0.5, 85, "4:2:0"),
    Development("gradient", 0.5, 0.0, 95, "4:2:2"),
    Development("bilinear", 0.0, 0.0, 97, "4:4:4"),
    Development("bilinear", 0.3, 0.3, 90, "4:4:4"),
    Development("gradient", 0.3, 0.0, 97, "4:2:0"),
    Development("bilinear", 0.6, 0.2, 88, "4:2:2"),
    Development("gradient", 0.0, 0.3, 93, "4:2:0"),
)
SEEDS = range(3000, 3008)  # nothing was ever chosen on them
TRAINING, TESTED = 36, 4
VISIBLE_DN = 20  # at the defect; fainter ones are left out of the table
SPOILED_DN = 2  # by the camera, before JPEG: the footprint
NONE = "doing nothing"
OURS = "**ours** "
SHAPES = ("doublet", "2x2 group", "column", "edge", "corner")


def main(arguments: Sequence[str] = ()) -> None:
    """Print the tables."""
    seeds = range(*map(int, arguments)) if arguments else SEEDS
    print(quality_table(seeds))
    print()
    print(shapes_table(seeds))


def quality_table(seeds: Sequence[int]) -> str:
    """Return the squared errors of all ways, relative to the best rival's."""
    errors: Errors = defaultdict(list)
    for seed in seeds:
        _add_camera(errors, seed, [(defect,) for defect in some_defects(seed)])
    lines = [
        f"{len(errors[NONE])} cases, {len(seeds)} simulated cameras; mean squared error (MSE)",
        "against the same photo without the defect: in the 9x9 round it, and in its footprint",
        f"(what the camera spoils by {SPOILED_DN} DN or more before it writes the JPEG).",
        "",
        "| way | 9x9 | / best rival | worse than nothing | footprint | / best rival | worse |",
        "|---|---|---|---|---|---|---|",
    ]
    values = {name: np.array(pairs) for name, pairs in errors.items()}
    best = _best(values)
    for name, pairs in values.items():
        worse = 100 * (pairs > values[NONE]).mean(axis=0)
        mean = pairs.mean(axis=0)
        cells = [f"{mean[i]:.1f} | {mean[i] / best[i]:.2f} | {worse[i]:.1f} %" for i in range(2)]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


def shapes_table(seeds: Sequence[int]) -> str:
    """Return the errors at groups, columns, edges and corners."""
    ways = ("`correct`, blocks", "learned, visible, blocks")
    lines = [
        "MSE in the 9x9 round every site of a spot and in its footprint, relative to the best",
        "rival's there; worse than doing nothing in the 9x9",
        "",
        "| spot | cases | nothing | `correct`, blocks | worse | learned, visible, blocks | worse |",
        "|---|---|---|---|---|---|---|",
    ]
    for shape in SHAPES:
        errors: Errors = defaultdict(list)
        for seed in seeds:
            _add_camera(errors, seed, shaped_defects(seed, shape))
        values = {name: np.array(pairs) for name, pairs in errors.items()}
        best = _best(values)
        cells = [_ratios(values[NONE], best)]
        for way in ways:
            pairs = values[OURS + way]
            worse = 100 * np.mean(pairs[:, 0] > values[NONE][:, 0])
            cells += [_ratios(pairs, best), f"{worse:.1f} %"]
        lines.append(f"| {shape} | {len(values[NONE])} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _best(values: dict[str, npt.NDArray[np.float64]]) -> npt.NDArray[np.float64]:
    """Return the least mean error of a rival in each region."""
    means = [v.mean(axis=0) for name, v in values.items() if name != NONE and OURS not in name]
    best: npt.NDArray[np.float64] = np.min(means, axis=0)
    return best


def _ratios(pairs: npt.NDArray[np.float64], best: npt.NDArray[np.float64]) -> str:
    return " / ".join(f"{ratio:.2f}" for ratio in pairs.mean(axis=0) / best)


def some_defects(seed: int) -> tuple[Defect, ...]:
    """Return defects some 40 pixels apart: hot, stuck and dead."""
    rng = np.random.default_rng([5, seed])
    found = []
    for row in range(20, 290, 40):
        for column in range(20, 390, 40):
            at = (row + int(rng.integers(-6, 7)), column + int(rng.integers(-6, 7)))
            draw = rng.random()
            if draw < 0.6:
                offset = float(np.exp(rng.uniform(np.log(0.01), np.log(0.3))))
                found.append(Defect(*at, "hot", offset=offset))
            elif draw < 0.85:
                found.append(Defect(*at, "stuck", level=float(rng.uniform(0, 1))))
            else:
                found.append(Defect(*at, "dead", response=float(rng.uniform(0, 0.6))))
    return tuple(found)


def shaped_defects(seed: int, shape: str) -> list[tuple[Defect, ...]]:
    """Return spots of one shape, stuck, each with its photosites."""
    rng = np.random.default_rng([6, seed])
    levels = iter(rng.uniform(0, 1, 100).tolist())
    if shape == "corner":
        return [(Defect(r, c, "stuck", level=next(levels)),) for r in (0, 299) for c in (0, 399)]
    if shape == "edge":
        places = [(r, c) for c in range(30, 390, 40) for r in (0, 299)]
        places += [(r, c) for r in range(30, 280, 40) for c in (0, 399)]
        return [(Defect(*place, "stuck", level=next(levels)),) for place in places]
    found = []
    if shape == "column":
        for column in range(30, 390, 60):
            top = int(rng.integers(0, 200))
            found.append(bad_column(column, range(top, top + 60), next(levels)))
        return found
    size = (1, 2) if shape == "doublet" else (2, 2)
    for row in range(20, 290, 60):
        for column in range(20, 390, 60):
            turned = size if rng.random() < 0.5 else size[::-1]
            found.append(group(row, column, *turned, next(levels)))
    return found


def _add_camera(errors: Errors, seed: int, spots: Sequence[tuple[Defect, ...]]) -> None:
    camera = FakeCamera(
        400,
        300,
        seed=seed,
        defects=[defect for spot in spots for defect in spot],
        development=DEVELOPMENTS[seed % len(DEVELOPMENTS)],
    )
    shots = camera.shoot(TRAINING + TESTED)
    learned = learned_footprints(shots[:TRAINING], spots)
    for shot in shots[TRAINING:]:
        if learned:
            _add_errors(errors, shot, learned)


def learned_footprints(shots: Sequence[Shot], spots: Sequence[tuple[Defect, ...]]) -> Learned:
    """Rank the photos; return the footprints of what was found at each spot, if any was."""
    moments = Moments.empty(shots[0].frame.shape, 8)
    moments.fold([shot.frame for shot in shots])
    candidates = rank([moments]).candidates
    found: Learned = {}
    for spot in spots:
        sites = tuple((defect.row, defect.column) for defect in spot)
        rows, columns = np.array(sites).T
        near = [
            c for c in candidates
            if rows.min() - 2 <= c.row <= rows.max() + 2
            and columns.min() - 2 <= c.column <= columns.max() + 2
        ]  # fmt: skip
        if near:
            kept = near if len(sites) > 1 else near[:1]
            found[sites] = [candidate.footprint for candidate in kept]
    return found


def _add_errors(errors: Errors, shot: Shot, learned: Learned) -> None:
    frame, clean = shot.frame.astype(np.uint8), shot.clean_frame.astype(int)
    places = [place for sites in learned for place in sites]
    footprints = [footprint for each in learned.values() for footprint in each]
    bare = [footprint_at(frame, *place) for place in places]
    alone = repair_patch(frame, bare, when="always")
    shown = repair_patch(frame, footprints, when="visible")
    always = repair_patch(frame, footprints, when="always")
    ours = {
        "`correct`, pixels": alone.applied_to(frame),
        "`correct`, blocks": decoded(repair_blocks(shot.jpeg, alone)),
        "learned, always, pixels": always.applied_to(frame),
        "learned, visible, pixels": shown.applied_to(frame),
        "learned, visible, blocks": decoded(repair_blocks(shot.jpeg, shown)),
    }
    ways: dict[str, npt.NDArray[np.generic]] = {NONE: frame}
    ways |= rivals(frame, shot.jpeg, places)
    ways |= {OURS + name: picture for name, picture in ours.items()}
    before = np.abs(shot.picture.astype(int) - shot.clean_picture).max(axis=2)
    change = np.abs(frame.astype(int) - clean).max(axis=2)
    for sites in learned:
        core, around = (_region(frame, sites, reach) for reach in (1, 4))
        if change[core].max() < VISIBLE_DN:
            continue
        footprint = around & (before >= SPOILED_DN)
        for name, picture in ways.items():
            squares = (picture.astype(int) - clean) ** 2
            errors[name].append((float(squares[around].mean()), float(squares[footprint].mean())))


def _region(frame: Frame, sites: Sites, reach_px: int) -> npt.NDArray[np.bool_]:
    region = np.zeros(frame.shape[:2], bool)
    for row, column in sites:
        down = slice(max(0, row - reach_px), row + reach_px + 1)
        region[down, max(0, column - reach_px) : column + reach_px + 1] = True
    return region


if __name__ == "__main__":
    main(sys.argv[1:])
