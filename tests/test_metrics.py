"""Scores of a clustering."""

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from skdepict.metrics import clustering_accuracy


@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=30
    )
)
def test_accuracy_equals_the_best_of_all_maps(pairs):
    y, labels = map(np.array, zip(*pairs, strict=True))
    expected = max(
        np.mean(np.array(names)[labels] == y) for names in permutations(range(4))
    )
    assert clustering_accuracy(y, labels) == pytest.approx(expected)


def test_more_clusters_than_classes_count_as_wrong():
    assert clustering_accuracy([0, 0, 0, 0], [0, 1, 2, 2]) == 0.5


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="must have the same length"):
        clustering_accuracy([0, 1], [0, 1, 1])
