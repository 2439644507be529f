import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import adjusted_rand_score

from skdepict import DEPICTClustering
from skdepict._training.mixed import dequantized


def quantity(n_rows):
    return np.random.default_rng(1).permutation(n_rows) / 7


@given(
    answers=arrays(np.float32, st.integers(30, 60), elements=st.integers(-3, 5)),
    seed=st.integers(0, 1000),
)
def test_each_value_stays_the_nearest_one_to_its_number(answers, seed):
    rows = np.column_stack([quantity(len(answers)), answers]).astype(np.float32)
    before = rows.copy()
    spread = dequantized(rows, seed)
    np.testing.assert_array_equal(rows, before)
    np.testing.assert_array_equal(spread[:, 0], rows[:, 0])
    values = np.unique(answers)
    nearest = values[np.abs(spread[:, 1:] - values).argmin(axis=1)]
    # Half-way between two, rounding may decide.
    is_half_way = np.isin(spread[:, 1], (values[1:] + values[:-1]) / 2)
    assert np.all((nearest == answers) | is_half_way)
    np.testing.assert_array_equal(spread, dequantized(rows, seed))


def test_there_is_no_gap_between_two_answers():
    rng = np.random.default_rng(0)
    rows = np.column_stack([quantity(5000), rng.integers(0, 2, 5000)])
    spread = np.sort(dequantized(rows, 0)[:, 1])
    assert spread[0] < -0.49
    assert spread[-1] > 1.49
    assert np.diff(spread).max() < 0.01


def test_a_code_for_missing_values_does_not_spread_the_others():
    rng = np.random.default_rng(0)
    answers = rng.integers(1, 4, 2000)
    answers[:20] = -99
    spread = dequantized(np.column_stack([quantity(2000), answers]), 0)[20:, 1]
    assert np.abs(spread - answers[20:]).max() <= 0.5
    assert np.ptp(spread) > 2.9


@pytest.mark.parametrize(("share", "is_spread"), [(0.3, True), (0.05, False)])
def test_rare_answers_are_not_hidden_by_noise(share, is_spread):
    rows = np.column_stack([quantity(1000), np.arange(1000) < 1000 * share])
    assert (len(np.unique(dequantized(rows, 0)[:, 1])) > 2) == is_spread


def test_a_quantity_that_is_mostly_zero_is_left_as_it_is():
    amounts = np.zeros(1000)
    amounts[:15] = np.arange(1, 16) * 1.1
    rows = np.column_stack([quantity(1000), amounts])
    np.testing.assert_array_equal(dequantized(rows, 0), rows)


@pytest.mark.parametrize(("n_values", "is_spread"), [(10, True), (11, False)])
def test_a_column_of_many_values_needs_no_noise(n_values, is_spread):
    rows = np.column_stack([quantity(1000), np.arange(1000) % n_values])
    assert (len(np.unique(dequantized(rows, 0)[:, 1])) > n_values) == is_spread


def test_columns_of_some_values_make_no_table_of_quantities():
    rows = np.column_stack([np.arange(1000) % 17, np.arange(1000) % 2]).astype(float)
    assert dequantized(rows, 0) is rows


@pytest.mark.parametrize("kind", ["few", "many", "late", "constant"])
def test_rows_of_one_kind_of_columns_are_left_as_they_are(kind):
    rng = np.random.default_rng(0)
    rows = rng.integers(0, 3, (2000, 4)).astype(float)
    if kind == "many":
        rows = rng.normal(size=(2000, 4))
    if kind == "late":
        # Columns whose first values are few.
        rows[1000:] = rng.normal(size=(1000, 4))
    if kind == "constant":
        rows[:, :2], rows[:, 2:] = 3.0, rng.normal(size=(2000, 2))
    np.testing.assert_array_equal(dequantized(rows, 0), rows)


def test_a_category_that_means_nothing_does_not_part_the_rows():
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 600)
    quantities = 5 * np.eye(3)[y] + rng.normal(size=(600, 3))
    categories = np.eye(3)[rng.integers(0, 3, 600)]
    X = np.hstack([quantities / quantities.std(axis=0), categories])
    labels = DEPICTClustering(3, random_state=0).fit_predict(X)
    assert adjusted_rand_score(y, labels) > 0.9
