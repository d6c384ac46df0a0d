"""From candidates to defects: the decision table.

=============  ==========================  ==============  ==============================
a person said  the statistics say          it was          it becomes
=============  ==========================  ==============  ==============================
reject         anything                    anything        rejected   rejected-by-hand
confirm        anything                    anything        confirmed  confirmed-by-hand
add            anything                    anything        confirmed  added-by-hand
nothing        anything                    confirmed       retired    healed          (1)
nothing        anything                    confirmed       confirmed  its own reason  (2)
nothing        confirmed                   anything else   confirmed  clear           (3)
nothing        held                        anything else   held       its reason
nothing        candidate                   anything else   candidate  its reason
nothing        nothing                     retired         retired    its own reason
nothing        nothing                     anything else   candidate  not-found-again
=============  ==========================  ==============  ==============================

(1) if its per-photo observations show that it is gone; (2) otherwise it stays, whatever a later
ranking says of it; (3) unless the brake or the manual mode holds it: held, with that reason.
A person's word outranks the statistics for ever.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hotpixeld.core import reasons
from hotpixeld.core.defects import Candidate, PixelState

Word = Literal["confirm", "reject", "add"]
Mode = Literal["automatic", "manual"]
SAME_SPOT_PX = 2  # two rankings may put the peak of one spot on neighbouring pixels

_WORDS: dict[Word, tuple[PixelState, str]] = {
    "reject": ("rejected", reasons.REJECTED_BY_HAND),
    "confirm": ("confirmed", reasons.CONFIRMED_BY_HAND),
    "add": ("confirmed", reasons.ADDED_BY_HAND),
}


@dataclass(frozen=True)
class Known:
    """What an earlier ranking or a person left of one spot.

    Attributes
    ----------
    row, column : int
        Its peak.
    state, reason : str
        As decided last.
    word : str or None
        What a person said of it.
    gone : bool
        True where its per-photo observations show that it has healed.
    """

    row: int
    column: int
    state: PixelState
    reason: str = ""
    word: Word | None = None
    gone: bool = False


@dataclass(frozen=True)
class Verdict:
    """What becomes of one spot.

    Attributes
    ----------
    row, column : int
        Its peak: the earlier record's where there is one.
    state, reason : str
        What it becomes, and why; fixed strings of `hotpixeld.core.reasons`.
    candidate : Candidate or None
        Its new evidence; None where the last ranking did not find it.
    known : Known or None
        The earlier record that this replaces; None for a new spot.
    """

    row: int
    column: int
    state: PixelState
    reason: str
    candidate: Candidate | None
    known: Known | None


def decide(  # noqa: PLR0911  the table above, row by row
    known: Known | None,
    candidate: Candidate | None,
    *,
    mode: Mode = "automatic",
    braked: bool = False,
) -> tuple[PixelState, str]:
    """Return state and reason of one spot; at least one of ``known``, ``candidate`` is given."""
    if known is not None and known.word is not None:
        return _WORDS[known.word]
    if known is not None and known.state == "confirmed":
        if known.gone:
            return "retired", reasons.HEALED
        return "confirmed", known.reason or reasons.STAYS
    if candidate is not None:
        if candidate.state != "confirmed":
            return candidate.state, candidate.reason
        if mode == "manual":
            return "held", reasons.MANUAL
        if braked:
            return "held", reasons.BRAKE
        return "confirmed", candidate.reason
    if known is None:
        raise ValueError("neither an earlier record nor a candidate: nothing to decide")
    if known.state == "retired":
        return "retired", known.reason
    return "candidate", reasons.NOT_FOUND_AGAIN


def decide_all(
    known: Sequence[Known],
    candidates: Sequence[Candidate],
    *,
    mode: Mode = "automatic",
    max_new: int = 200,
) -> tuple[Verdict, ...]:
    """Return the verdict of every spot, earlier records first, then new candidates, best first.

    Parameters
    ----------
    known : sequence of Known
        All earlier records of the sensor.
    candidates : sequence of Candidate
        Of the new ranking, best first.
    mode : str
        ``confirmation.mode``.
    max_new : int
        ``confirmation.max_new``: if more spots than this would be newly confirmed, none of them is.
    """
    pairs, fresh = _paired(known, candidates)
    newly = sum(
        decide(record, candidate)[0] == "confirmed"
        for record, candidate in [*pairs, *((None, candidate) for candidate in fresh)]
        if record is None or (record.state != "confirmed" and record.word is None)
    )
    braked = newly > max_new
    verdicts = []
    for record, candidate in pairs:
        state, reason = decide(record, candidate, mode=mode, braked=braked)
        verdicts.append(Verdict(record.row, record.column, state, reason, candidate, record))
    for candidate in fresh:
        state, reason = decide(None, candidate, mode=mode, braked=braked)
        verdicts.append(Verdict(candidate.row, candidate.column, state, reason, candidate, None))
    return tuple(verdicts)


def _paired(
    known: Sequence[Known], candidates: Sequence[Candidate]
) -> tuple[list[tuple[Known, Candidate | None]], list[Candidate]]:
    """Give each earlier record the best candidate on its spot; the rest are new.

    A candidate at a record's very place is that record's: a neighbour must not take its evidence.
    A word on any pixel that a new candidate spoils is about that candidate.
    """
    unclaimed = dict(enumerate(candidates))
    own_places = {(record.row, record.column) for record in known}
    by_cell: dict[tuple[int, int], list[int]] = {}
    for number, candidate in unclaimed.items():
        cell = (candidate.row // (SAME_SPOT_PX + 1), candidate.column // (SAME_SPOT_PX + 1))
        by_cell.setdefault(cell, []).append(number)
    pairs: list[tuple[Known, Candidate | None]] = []
    for record in known:
        near = [
            n
            for n in _near(record, by_cell)
            if n in unclaimed
            and _same(record, candidates[n])
            and (not _distance(record, candidates[n]) or _place(candidates[n]) not in own_places)
        ]
        best = min(near, key=lambda n: (_distance(record, candidates[n]), n), default=None)
        pairs.append((record, None if best is None else unclaimed.pop(best)))
    spoiled = {  # the surest comes last, and stays
        (pixel.row, pixel.column): number
        for number, candidate in reversed(unclaimed.items())
        for pixel in candidate.footprint
    }
    for at, (record, own) in enumerate(pairs):
        around = spoiled.get((record.row, record.column), -1)
        if record.word is not None and own is None and around in unclaimed:
            pairs[at] = record, unclaimed.pop(around)
    return pairs, list(unclaimed.values())


def _near(record: Known, by_cell: dict[tuple[int, int], list[int]]) -> list[int]:
    row, column = record.row // (SAME_SPOT_PX + 1), record.column // (SAME_SPOT_PX + 1)
    return [
        number
        for r in (row - 1, row, row + 1)
        for c in (column - 1, column, column + 1)
        for number in by_cell.get((r, c), ())
    ]


def _distance(record: Known, candidate: Candidate) -> int:
    return max(abs(record.row - candidate.row), abs(record.column - candidate.column))


def _place(candidate: Candidate) -> tuple[int, int]:
    return candidate.row, candidate.column


def _same(record: Known, candidate: Candidate) -> bool:
    return _distance(record, candidate) <= SAME_SPOT_PX
