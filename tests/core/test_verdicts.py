"""The table of verdicts, row by row."""

from dataclasses import replace

import pytest

from hotpixeld.core import reasons
from hotpixeld.core.defects import Candidate, FootprintPixel, PixelState
from hotpixeld.core.verdicts import Known, Word, decide, decide_all


def candidate(row: int = 5, column: int = 5, state: PixelState = "confirmed") -> Candidate:
    reason = {"confirmed": reasons.CLEAR, "held": reasons.REGION}.get(state, reasons.NOT_SURE)
    pixel = FootprintPixel(row, column, (9.0,), (True,))
    return Candidate(
        row, column, (0,), "hot", 7.0, (9.0,), (9.0,), (9.0,), 20, 1.0, (pixel,), state, reason
    )


STATES: tuple[PixelState, ...] = ("candidate", "held", "confirmed", "rejected", "retired")


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("gone", [True, False])
@pytest.mark.parametrize("found", [None, "candidate", "held", "confirmed"])
@pytest.mark.parametrize(
    ("word", "becomes"), [("confirm", "confirmed"), ("add", "confirmed"), ("reject", "rejected")]
)
def test_a_persons_word_outranks_everything(
    state: PixelState, *, gone: bool, found: PixelState | None, word: Word, becomes: str
) -> None:
    known = Known(5, 5, state, "whatever", word, gone)
    seen = None if found is None else candidate(state=found)
    assert decide(known, seen, mode="manual", braked=True)[0] == becomes


def test_a_confirmed_defect_stays_whatever_a_later_ranking_says_unless_it_is_gone() -> None:
    for seen in (None, candidate(state="candidate"), candidate(state="held"), candidate()):
        known = Known(5, 5, "confirmed", reasons.CLEAR)
        assert decide(known, seen, mode="manual", braked=True) == ("confirmed", reasons.CLEAR)
        gone = Known(5, 5, "confirmed", reasons.CLEAR, gone=True)
        assert decide(gone, seen) == ("retired", reasons.HEALED)


@pytest.mark.parametrize("state", ["candidate", "held", "retired"])
def test_a_new_clear_candidate_is_confirmed_unless_mode_or_brake_hold_it(state: PixelState) -> None:
    for known in (None, Known(5, 5, state)):
        assert decide(known, candidate()) == ("confirmed", reasons.CLEAR)
        assert decide(known, candidate(), mode="manual") == ("held", reasons.MANUAL)
        assert decide(known, candidate(), braked=True) == ("held", reasons.BRAKE)
        assert decide(known, candidate(state="held")) == ("held", reasons.REGION)
        assert decide(known, candidate(state="candidate")) == ("candidate", reasons.NOT_SURE)


def test_what_is_not_found_again_is_a_candidate_and_what_is_retired_stays_so() -> None:
    assert decide(Known(5, 5, "held"), None) == ("candidate", reasons.NOT_FOUND_AGAIN)
    assert decide(Known(5, 5, "retired", reasons.HEALED), None) == ("retired", reasons.HEALED)
    with pytest.raises(ValueError, match="nothing to decide"):
        decide(None, None)


def test_more_new_defects_than_allowed_confirm_none_of_them_and_touch_no_old_one() -> None:
    known = [Known(100, 100, "confirmed", reasons.CLEAR), Known(200, 200, "held", word="confirm")]
    fresh = [candidate(10 * number, 10) for number in range(5)]
    held = decide_all(known, fresh, max_new=4)
    assert [verdict.state for verdict in held] == ["confirmed"] * 2 + ["held"] * 5
    assert {verdict.reason for verdict in held[2:]} == {reasons.BRAKE}
    assert {verdict.state for verdict in decide_all(known, fresh, max_new=5)} == {"confirmed"}


def test_a_candidate_a_pixel_off_an_earlier_record_is_the_same_spot() -> None:
    known = [Known(50, 50, "candidate"), Known(90, 90, "rejected", word="reject")]
    verdicts = decide_all(known, [candidate(51, 49), candidate(92, 90), candidate(50, 53)])
    assert [(v.row, v.column, v.state) for v in verdicts] == [
        (50, 50, "confirmed"),
        (90, 90, "rejected"),
        (50, 53, "confirmed"),
    ]
    assert [v.candidate is not None for v in verdicts] == [True, True, True]


def test_a_word_beside_a_defect_does_not_take_its_evidence() -> None:
    known = [Known(5, 6, "candidate", word="add"), Known(5, 5, "confirmed", reasons.CLEAR)]
    verdicts = {(v.row, v.column): v for v in decide_all(known, [candidate(5, 5)])}
    assert verdicts[5, 5].candidate is not None
    assert verdicts[5, 6].candidate is None
    assert verdicts[5, 6].reason == reasons.ADDED_BY_HAND


@pytest.mark.parametrize(("word", "becomes"), [("add", "confirmed"), ("reject", "rejected")])
def test_a_word_takes_the_footprint_of_a_candidate_that_turns_up_round_it(
    word: Word, becomes: str
) -> None:
    wide = tuple(FootprintPixel(5, column, (9.0,), (True,)) for column in range(5, 10))
    found = replace(candidate(5, 5, "candidate"), footprint=wide)
    (verdict,) = decide_all([Known(5, 9, "candidate", word=word)], [found])
    assert (verdict.row, verdict.column, verdict.state) == (5, 9, becomes)
    assert verdict.candidate is found


def test_a_word_does_not_take_what_has_a_record_of_its_own_or_does_not_reach_it() -> None:
    wide = tuple(FootprintPixel(5, column, (9.0,), (True,)) for column in range(5, 10))
    owned = replace(candidate(5, 5), footprint=wide)
    known = [Known(5, 9, "candidate", word="add"), Known(5, 5, "confirmed", reasons.CLEAR)]
    for verdict in decide_all(known, [owned, candidate(5, 13)]):
        assert (verdict.candidate is None) == ((verdict.row, verdict.column) == (5, 9))
