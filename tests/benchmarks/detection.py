"""How much detection finds, against the original's ranking and others, on made cameras.

Every method ranks the same photos; the rivals are given the best threshold there is, the one just
above their highest good pixel (which nobody knows on a real sensor); hotpixeld has to find its own.
``python -m benchmarks.detection [cameras] [photos]`` with ``PYTHONPATH=daemon:tests``.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fakecamera import Development, FakeCamera, scattered
from hotpixeld.core.dating import date
from hotpixeld.core.moments import Moments
from hotpixeld.core.observe import Light, observe, surroundings
from hotpixeld.core.rank import rank

Plane = npt.NDArray[np.float64]

WIDTH, HEIGHT = 1152, 864
BANDS_DN = ((4.0, 8.0), (8.0, 20.0), (20.0, 256.0))
NEAR_PX = 2
DEVELOPMENTS = (
    Development("bilinear", 0.5, 0.0, 92, "4:2:0"),
    Development("gradient", 0.8, 0.0, 96, "4:2:2"),
    Development("gradient", 0.4, 0.6, 88, "4:2:0"),
    Development("bilinear", 0.7, 0.3, 95, "4:4:4"),
    Development("gradient", 0.6, 0.0, 90, "4:2:0"),
    Development("bilinear", 0.3, 0.5, 85, "4:2:2"),
    Development("gradient", 1.0, 0.2, 97, "4:4:4"),
    Development("bilinear", 0.6, 0.0, 93, "4:2:0"),
)


@dataclass
class Tally:
    """Found and all defects per band of strength, and good pixels taken for defects."""

    found: list[int] = field(default_factory=lambda: [0] * len(BANDS_DN))
    all: list[int] = field(default_factory=lambda: [0] * len(BANDS_DN))
    false_alarms: int = 0

    def add(self, hit: npt.NDArray[np.bool_], strength_dn: Plane, false_alarms: int) -> None:
        """Count one camera."""
        for band, (low, high) in enumerate(BANDS_DN):
            members = (strength_dn >= low) & (strength_dn < high)
            self.found[band] += int(hit[members].sum())
            self.all[band] += int(members.sum())
        self.false_alarms += false_alarms

    def row(self, name: str) -> str:
        """Return one line of the table, weakest band last."""
        shares = [
            f"{found}/{total} ({found / max(1, total):.0%})"
            for found, total in reversed(list(zip(self.found, self.all, strict=True)))
        ]
        return f"| {name} | {self.false_alarms} | " + " | ".join(shares) + " |"


@dataclass
class Series:
    """One camera's photos as every method needs them, summed up as they are taken."""

    camera: FakeCamera
    sites: npt.NDArray[np.intp]
    moments: Moments
    votes: Plane
    median_sample: list[npt.NDArray[np.uint8]]
    excess_dn: Plane


def series(seed: int, photo_counts: Sequence[int]) -> Iterator[Series]:
    """Yield the camera ``seed`` after each of ``photo_counts`` photos."""
    defects = scattered(np.random.default_rng([seed, 9]), HEIGHT, WIDTH, 64)
    how = DEVELOPMENTS[seed % len(DEVELOPMENTS)]
    camera = FakeCamera(WIDTH, HEIGHT, seed=seed, defects=defects, development=how)
    state = Series(
        camera,
        np.array([(defect.row, defect.column) for defect in defects], np.intp),
        Moments.empty((HEIGHT, WIDTH, 3), 8),
        np.zeros((HEIGHT, WIDTH)),
        [],
        np.zeros((len(defects), 27)),
    )
    for wanted in photo_counts:
        while state.moments.count < wanted:
            shot = camera.shoot()[0]
            frame = shot.frame.astype(np.uint8)
            state.moments.fold([frame])
            state.votes += _stands_off_its_median(frame)
            if len(state.median_sample) < 40:
                state.median_sample.append(frame)
            off = frame.astype(np.float64) - shot.clean_frame
            for number, (row, column) in enumerate(state.sites):
                around = np.zeros((3, 3, 3))
                part = off[max(0, row - 1) : row + 2, max(0, column - 1) : column + 2]
                around[: part.shape[0], : part.shape[1]] = part
                state.excess_dn[number] += around.ravel()
        yield state


def _stands_off_its_median(frame: npt.NDArray[np.uint8]) -> Plane:
    """Return where a photo votes: rawpy.enhance's test, a pixel far off the median around it."""
    import cv2  # noqa: PLC0415  a rival of the benchmark only

    median = cv2.medianBlur(np.ascontiguousarray(frame), 5)
    off = np.abs(frame.astype(np.int16) - median).max(axis=2)
    limit = max(float(off.mean()) * 5, 8.0)
    votes: Plane = (off > limit).astype(np.float64)
    return votes


def by_least_variance(state: Series) -> Plane:
    """Return the original's ranking as a score: least variance is best."""
    least: Plane = state.moments.variance().min(axis=2)
    return -least


def by_vote(state: Series) -> Plane:
    """Return the share of photos that voted for a pixel."""
    return state.votes / state.moments.count


def by_mean_and_median(state: Series) -> Plane:
    """Return |mean - median| over (at most 40 of) the photos."""
    median = np.median(np.stack(state.median_sample), axis=0)
    difference: Plane = np.abs(state.moments.mean() - median).max(axis=2)
    return difference


RIVALS: tuple[tuple[str, Callable[[Series], Plane]], ...] = (
    ("least variance (the original)", by_least_variance),
    ("per-photo median vote (rawpy.enhance's way)", by_vote),
    ("mean - median", by_mean_and_median),
)


def found_by_hotpixeld(state: Series) -> tuple[npt.NDArray[np.bool_], int]:
    """Return which defects hotpixeld confirms, and how many good pixels."""
    confirmed = [c for c in rank([state.moments]).candidates if c.state == "confirmed"]
    hit = np.zeros(len(state.sites), bool)
    wrong = 0
    for candidate in confirmed:
        away = np.abs(state.sites - [candidate.row, candidate.column]).max(axis=1)
        hit |= away <= NEAR_PX
        wrong += bool(away.min() > NEAR_PX + 1)
    return hit, wrong


def found_at_best(state: Series, score: Plane) -> npt.NDArray[np.bool_]:
    """Return which defects stand above the best good pixel."""
    good = score.copy()
    peaks = []
    for row, column in state.sites:
        rows = slice(max(0, row - NEAR_PX), row + NEAR_PX + 1)
        columns = slice(max(0, column - NEAR_PX), column + NEAR_PX + 1)
        peaks.append(float(score[rows, columns].max()))
        good[max(0, row - 10) : row + 11, max(0, column - 10) : column + 11] = -np.inf
    hit: npt.NDArray[np.bool_] = np.array(peaks) > float(good.max())
    return hit


def table(seeds: Sequence[int], photo_counts: Sequence[int], *, rivals: bool = True) -> str:
    """Return the markdown tables, one per number of photos."""
    tallies: dict[tuple[int, str], Tally] = {}
    for seed in seeds:
        for state in series(seed, photo_counts):
            count = state.moments.count
            strength_dn = np.abs(state.excess_dn / count).max(axis=1)
            hit, wrong = found_by_hotpixeld(state)
            tallies.setdefault((count, "hotpixeld"), Tally()).add(hit, strength_dn, wrong)
            for name, score in RIVALS if rivals else ():
                hit = found_at_best(state, score(state))
                tallies.setdefault((count, name), Tally()).add(hit, strength_dn, 0)
    head = (
        f"Defects found in {len(seeds)} made cameras of {WIDTH}x{HEIGHT}, by mean excess; rivals "
        "at the threshold where no good pixel passes, set in knowledge of the truth."
    )
    lines = [head]
    names = ["hotpixeld", *(name for name, _ in RIVALS if rivals)]
    for count in photo_counts:
        lines += ["", f"| {count} photos | false alarms | >= 20 DN | 8-20 DN | 4-8 DN |"]
        lines += ["|---|---|---|---|---|"]
        lines += [tallies[count, name].row(name) for name in names]
    return "\n".join(lines)


def false_alarm_table(seeds: Sequence[int], photo_counts: Sequence[int]) -> str:
    """Return how many good pixels are confirmed on cameras without defects."""
    wrong = dict.fromkeys(photo_counts, 0)
    for seed in seeds:
        how = DEVELOPMENTS[seed % len(DEVELOPMENTS)]
        camera = FakeCamera(800, 608, seed=seed, development=how)
        moments = Moments.empty((608, 800, 3), 8)
        for count in photo_counts:
            shots = camera.shoot(count - moments.count)
            moments.fold([shot.frame.astype(np.uint8) for shot in shots])
            wrong[count] += sum(c.state == "confirmed" for c in rank([moments]).candidates)
    lines = ["| clean cameras | photos | good pixels confirmed |", "|---|---|---|"]
    lines += [f"| {len(seeds)} | {count} | {wrong[count]} |" for count in photo_counts]
    return "\n".join(lines)


def dating_table(seeds: Sequence[int], photos: int = 40) -> str:
    """Return how well onsets of defects of 20 DN and more are dated."""
    errors: list[int] = []
    between: list[bool] = []
    widths: list[int] = []
    for seed in seeds:
        rng = np.random.default_rng([seed, 5])
        plain = scattered(rng, 240, 320, 12, apart_px=30)
        onsets = rng.integers(5, photos - 8, len(plain))
        defects = [
            type(defect)(**{**vars(defect), "onset": int(onset)})
            for defect, onset in zip(plain, onsets, strict=True)
        ]
        how = DEVELOPMENTS[seed % len(DEVELOPMENTS)]
        camera = FakeCamera(seed=seed, defects=defects, development=how)
        sites = np.array([(defect.row, defect.column) for defect in defects], np.intp)
        shots = camera.shoot(photos)
        frames = [shot.frame.astype(np.uint8) for shot in shots]
        values = np.stack([observe(frame, sites) for frame in frames])
        around = np.stack([surroundings(frame, sites) for frame in frames])
        iso = np.array([shot.iso for shot in shots], np.float64)
        exposure_s = np.array([shot.exposure_s for shot in shots])
        for number, defect in enumerate(defects):
            assert defect.onset is not None
            excess = np.mean([shot.excess_dn[number] for shot in shots[defect.onset :]], axis=0)
            if np.abs(excess).max() < 20:
                continue
            light = Light(around[:, number], iso, exposure_s)
            found = date(values[:, number], light)
            errors.append(photos if found.likely is None else abs(found.likely - defect.onset))
            after, by = -1 if found.after is None else found.after, found.by or 0
            between.append(after < defect.onset <= by)
            widths.append(by - after)
    within = [sum(error <= limit for error in errors) for limit in (1, 2, 3)]
    shares = " | ".join(f"{count / max(1, len(errors)):.1%}" for count in within)
    return (
        "| onsets dated (>= 20 DN) | within 1 photo | 2 | 3 | between after and by | apart |\n"
        f"|---|---|---|---|---|---|\n| {len(errors)} | {shares} | {np.mean(between):.1%} | "
        f"{np.median(widths):.0f} ({np.mean(widths):.1f}) |"
    )


def main(arguments: Sequence[str] = ()) -> None:
    """Print the tables; ``arguments``: how many cameras (8), how many photos at most (40)."""
    cameras = int(arguments[0]) if arguments else 8
    most = int(arguments[1]) if len(arguments) > 1 else 40
    counts = [count for count in (20, 40, 100, 200) if count <= most]
    print(table(range(cameras), counts))
    print()
    print(false_alarm_table(range(1000, 1000 + 2 * cameras), [15, 20, 40]))
    print()
    print(dating_table(range(cameras)))


if __name__ == "__main__":
    main(sys.argv[1:])
