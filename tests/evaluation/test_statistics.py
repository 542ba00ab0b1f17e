"""The statistics of the session benchmark, against cases computed by hand."""

import math
import random

import pytest

from benchmarks.session.statistics import (
    alarm_interval,
    merged,
    recall_interval,
    resampled_thresholds,
    share_above,
    threshold,
)

THRESHOLDS = [
    ("one in ten of ten: the second is the limit", [1, 2, 3, 4, 5, 6, 7, 8, 9, 10], 0.1, 9),
    ("none may lie above: the highest", [3, 1, 2], 0.1, 3),
    ("three in a thousand of two thousand are six", list(range(2_000)), 0.003, 1_993),
    ("a rate that binary rounds down", list(range(1_000)), 0.029, 970),
    ("equal scores at the limit: fewer alarms than allowed, never more", [5, 5, 5, 1], 0.5, 5),
    ("all may lie above: the lowest, for an alarm is above it", [2, 1], 1.0, 1),
    ("one score", [7], 0.5, 7),
]


def test_there_are_seven_thresholds():
    assert len(THRESHOLDS) == 7


@pytest.mark.parametrize(
    ("scores", "rate", "wanted"), [case[1:] for case in THRESHOLDS], ids=[c[0] for c in THRESHOLDS]
)
def test_a_threshold_is_the_lowest_score_above_which_few_enough_lie(scores, rate, wanted):
    found = threshold(scores, rate)

    assert found == wanted
    assert sum(score > found for score in scores) <= rate * len(scores) + 1e-9


def test_no_scores_give_no_threshold():
    with pytest.raises(ValueError, match="needs scores"):
        threshold([], 0.1)


def test_recall_counts_what_lies_above_and_not_what_is_equal():
    assert share_above([1, 2, 3, 3, 9], 3) == 0.2
    assert math.isnan(share_above([], 3))


def test_several_parts_are_measured_in_their_own_thresholds():
    days = [(float(count), float(count % 10)) for count in range(100)]
    number = merged(days, 0.1)

    # Ten of the hundred counts may lie above: 89. Of the misses ten are 9: 8.
    assert number((178.0, 0.0)) == 2.0
    assert number((0.0, 24.0)) == 3.0
    assert number((178.0, 24.0)) == 3.0


def test_a_part_that_is_always_nothing_counts_in_ones():
    number = merged([(1.0, 0.0), (4.0, 0.0)], 0.5)

    assert number((0.0, 5.0)) == 5.0


def test_a_score_of_one_part_is_taken_as_it_is():
    assert merged([(3.0,), (900.0,)], 0.1)((7.0,)) == 7.0


def test_scores_of_different_lengths_are_a_mistake():
    with pytest.raises(ValueError, match="different lengths"):
        merged([(1.0,), (1.0, 2.0)], 0.1)


def test_a_key_stands_or_falls_with_all_its_days():
    # Two keys with ten days each: the draw is (a, a), (a, b), (b, a) or (b, b), and nothing may lie above.
    found = resampled_thresholds({"a": [1.0] * 10, "b": [2.0] * 10}, 0.0, random.Random(1), 2_000)

    assert set(found) == {1.0, 2.0}
    assert found.count(1.0) / len(found) == pytest.approx(0.25, abs=0.04)


def test_resampled_thresholds_are_those_of_the_drawn_days():
    days = {key: [float(key * 10 + day) for day in range(5)] for key in range(8)}
    ours = resampled_thresholds(days, 0.2, random.Random(5), 50)
    rng = random.Random(5)
    theirs = []
    for _ in range(50):
        drawn = [rng.randrange(8) for _ in range(8)]
        theirs.append(threshold([score for key in drawn for score in days[key]], 0.2))

    assert ours == theirs


def test_the_interval_of_a_certain_recall_is_a_point():
    assert recall_interval([5.0] * 20, [1.0] * 100, random.Random(1)) == (1.0, 1.0)
    assert recall_interval([5.0] * 20, [5.0] * 100, random.Random(1)) == (0.0, 0.0)


def test_the_interval_of_a_recall_is_that_of_the_binomial():
    # 40 of 80: standard deviation sqrt(0.25 / 80) = 0.056, so 0.5 -+ 0.11.
    low, high = recall_interval([0.0, 2.0] * 40, [1.0] * 4_000, random.Random(1))

    assert low == pytest.approx(0.39, abs=0.02)
    assert high == pytest.approx(0.61, abs=0.02)


def test_an_uncertain_threshold_widens_the_interval():
    peaks = [float(value) for value in range(100)]
    sure = recall_interval(peaks, [50.0] * 1_000, random.Random(1))
    unsure = recall_interval(peaks, [20.0, 80.0] * 500, random.Random(1))

    assert unsure.low < sure.low
    assert unsure.high > sure.high


def test_alarms_of_one_key_are_one_piece_of_luck():
    spread = {key: [2.0 if key < 10 and day == 0 else 0.0 for day in range(10)] for key in range(100)}
    lumped = {key: [2.0 if key == 0 else 0.0 for day in range(10)] for key in range(100)}
    low, high = alarm_interval(spread, 1.0, random.Random(1), 2_000)
    wide_low, wide_high = alarm_interval(lumped, 1.0, random.Random(1), 2_000)

    assert low == pytest.approx(0.005, abs=0.0015)
    assert high == pytest.approx(0.016, abs=0.0015)
    assert wide_low == 0.0
    assert wide_high >= 0.03
