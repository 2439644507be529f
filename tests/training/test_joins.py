"""Joins of fine groups, against slow twins and against groups that are planted."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.cluster.hierarchy import fcluster, is_valid_linkage
from sklearn.metrics import adjusted_rand_score

from skdepict._training.information import score
from skdepict._training.joined import check_joined
from skdepict._training.joins import (
    POWERS,
    clusters_of,
    join,
    join_groups,
    refine,
)
from skdepict._training.number import (
    number_before_fall,
    number_in_distorted_views,
    number_of_clusters,
)


def random_joint(seed, n_groups):
    """Random joint frequencies of groups, some of which are confused."""
    rng = np.random.default_rng(seed)
    joint = rng.random((n_groups, n_groups)) ** 4 + np.diag(3 * rng.random(n_groups))
    joint += joint.T
    return joint / joint.sum()


def planted(sizes, parts, within=0.3, between=0.01, seed=0):
    """Clusters of given sizes, each in parts that views confuse more than clusters."""
    rng = np.random.default_rng(seed)
    owners = np.repeat(np.arange(len(sizes)), parts)
    shares = np.concatenate(
        [size * rng.dirichlet(np.full(parts, 5.0)) for size in sizes]
    )
    shares /= shares.sum()
    same = owners[:, None] == owners[None, :]
    sizes_of_owner = np.bincount(owners, weights=shares)[owners]
    leave = within * same * shares / sizes_of_owner[:, None] + between * shares
    transition = leave + np.diag(1 - leave.sum(axis=1))
    joint = shares[:, None] * transition
    return (joint + joint.T) / 2, owners, shares


def information(joint):
    """I(view 1; view 2), term by term."""
    sizes = joint.sum(axis=1)
    return sum(
        joint[a, b] * np.log(joint[a, b] / (sizes[a] * sizes[b]))
        for a in range(len(joint))
        for b in range(len(joint))
        if joint[a, b] > 0
    )


def coarse(joint, names):
    members = np.eye(max(names) + 1)[names]
    return members.T @ joint @ members


def slow_joins(joint, power):
    """The partitions that joins go through, with all information computed anew."""
    names = np.arange(len(joint))
    found = [names]
    while names.max() > 0:
        now, best = coarse(joint, names), None
        sizes = now.sum(axis=1)
        for a in range(len(now)):
            for b in range(a + 1, len(now)):
                joined = np.where(names == b, a, names)
                joined = np.unique(joined, return_inverse=True)[1]
                lost = information(now) - information(coarse(joint, joined))
                share = sizes[[a, b]] / sizes[[a, b]].sum()
                most = -sizes[[a, b]].sum() * (share * np.log(share)).sum()
                cost = lost / most**power
                if best is None or cost < best[0]:
                    best = cost, joined
        names = best[1]
        found.append(names)
    return found


@given(
    seed=st.integers(0, 10_000),
    n_groups=st.integers(1, 8),
    power=st.sampled_from(POWERS),
)
def test_joins_are_those_that_lose_least(seed, n_groups, power):
    joint = random_joint(seed, n_groups)
    joins = join_groups(joint, power, 1000)
    for expected in slow_joins(joint, power):
        n_clusters = expected.max() + 1
        found = clusters_of(joins.children, n_clusters)
        assert adjusted_rand_score(expected, found) == 1.0
        if n_clusters > 1:
            left = coarse(joint, expected)
            number, agreement, _, modularity = joins.numbers[n_clusters - 2]
            assert number == n_clusters
            assert (agreement, joins.scores[n_clusters - 2]) == pytest.approx(
                score(left, 1000)
            )
            by_chance = np.outer(left.sum(axis=0), left.sum(axis=1))
            assert modularity == pytest.approx(np.trace(left - by_chance))


@given(seed=st.integers(0, 10_000), n_groups=st.integers(2, 8))
def test_agreement_is_information_over_entropy(seed, n_groups):
    joint = random_joint(seed, n_groups)
    joins = join_groups(joint, 1.0, 1000)
    _, agreement, least_agreement, _ = joins.numbers[-1]
    sizes = joint.sum(axis=1)
    entropy = -(sizes * np.log(sizes)).sum()
    assert agreement == pytest.approx(information(joint) / entropy)
    # The first join by this power is of the two least distinct groups.
    assert least_agreement == pytest.approx(joins.agreements[0], abs=1e-9)


def test_views_that_never_differ_agree_and_those_of_chance_do_not():
    shares = np.array([0.5, 0.3, 0.2])
    for joint, expected in ((np.diag(shares), 1.0), (np.outer(shares, shares), 0.0)):
        _, *agreements, _ = join_groups(joint, 1.0, 100).numbers[-1]
        assert agreements == pytest.approx([expected, expected], abs=1e-9)


@pytest.mark.parametrize("ratio", [1, 10, 50])
@pytest.mark.parametrize("seed", range(5))
def test_planted_clusters_are_found_whatever_their_sizes(ratio, seed):
    sizes = ratio ** -(np.arange(10) / 9)
    joint, owners, _ = planted(sizes, 3, seed=seed)
    groups = np.repeat(np.arange(30), 10)
    assert adjusted_rand_score(owners, join(joint, groups, 10)[0].clusters) == 1.0
    assert join(joint, groups)[1] == 10


def test_even_sizes_decide_where_confusion_does_not():
    """Two parts of one cluster are as distinct as two clusters are."""
    joint = np.full((4, 4), 0.01) + np.diag([0.26, 0.26, 0.13, 0.11])
    joint /= joint.sum()
    clusters = join(joint, np.arange(4).repeat(2500), 3)[0].clusters
    assert clusters[2] == clusters[3]


@given(seed=st.integers(0, 10_000), n_groups=st.integers(3, 9), data=st.data())
def test_the_best_proposal_or_the_best_joins_are_taken(seed, n_groups, data):
    n_clusters = data.draw(st.integers(2, n_groups - 1))
    rng = np.random.default_rng(seed)
    joint, groups = random_joint(seed, n_groups), np.arange(n_groups).repeat(9)

    def proposals(given, number):
        np.testing.assert_array_equal(given, groups)
        assert number == n_clusters
        return partitions

    partitions = [rng.permutation(np.arange(n_groups) % n_clusters) for _ in range(3)]
    joined, found = join(joint, groups, n_clusters, proposals=proposals)
    assert found == n_clusters
    best = max(partitions, key=lambda p: score(coarse(joint, p), len(groups))[1])
    of_joins = join(joint, groups, n_clusters)[0].clusters
    alike = [adjusted_rand_score(p, joined.clusters) for p in (best, of_joins)]
    assert max(alike) == 1.0
    if alike[0] < 1:
        for better in (modularity, lambda joint: score(joint, len(groups))[1]):
            assert better(coarse(joint, of_joins)) > better(coarse(joint, best))
    assert is_valid_linkage(joined.linkage())


@pytest.mark.parametrize(("n_of_each", "is_taken"), [(2, True), (2000, False)])
def test_proposals_are_taken_unless_joins_are_better_beyond_chance(n_of_each, is_taken):
    """Of few samples nobody can tell which of two partitions views leave less."""
    joint, owners, _ = planted([5.0, 4.0, 3.0], 3)
    proposal, groups = owners.copy(), np.arange(9).repeat(n_of_each)
    proposal[0] = 2
    joined, _ = join(joint, groups, 3, proposals=lambda *_: [proposal])
    expected = proposal if is_taken else owners
    assert adjusted_rand_score(expected, joined.clusters) == 1.0
    # Of one that is wrong everywhere one can.
    joined, _ = join(joint, groups, 3, proposals=lambda *_: [np.arange(9) % 3])
    assert adjusted_rand_score(owners, joined.clusters) == 1.0


@pytest.mark.parametrize("confusion", [0.1, 0.2, 0.3])
def test_proposals_of_a_large_cluster_are_not_halved(confusion):
    """Two halves of it are more modular than it and two small clusters."""
    shares, owners = np.array([225] * 4 + [60, 40]) / 1000, np.array([0] * 4 + [1, 2])
    joint = confusion / 3 * np.outer(shares * (owners == 0), owners == 0)
    joint[4, 5] = joint[5, 4] = 0.1 * shares[4]
    np.fill_diagonal(joint, 0)
    joint += np.diag(shares - joint.sum(axis=1))
    halved = np.array([0, 1, 0, 0, 2, 2])
    assert modularity(coarse(joint, halved)) > modularity(coarse(joint, owners)) + 0.1
    groups = np.arange(6).repeat((1000 * shares).astype(int))
    joined, _ = join(joint, groups, 3, proposals=lambda *_: [owners])
    assert adjusted_rand_score(owners, joined.clusters) == 1.0


def modularity(joint):
    return np.trace(joint) - (joint.sum(axis=1) ** 2).sum()


def changes(clusters):
    """All partitions that differ by a group in another cluster, as many clusters."""
    for group, own in enumerate(clusters):
        for other in np.unique(clusters):
            changed = clusters.copy()
            changed[group] = other
            if other != own and len(np.unique(changed)) == len(np.unique(clusters)):
                yield changed


def worth(joint, clusters):
    """What refining raises, pair by pair."""
    left = coarse(joint, np.unique(clusters, return_inverse=True)[1])
    least = []
    for a in range(len(left)):
        agreements = []
        for b in range(len(left)):
            if a != b:
                names = np.arange(len(left))
                names[a] = b
                names = np.unique(names, return_inverse=True)[1]
                x, y = left.sum(axis=1)[[a, b]]
                most = (x + y) * np.log(x + y) - x * np.log(x) - y * np.log(y)
                lost = information(left) - information(coarse(left, names))
                agreements.append(lost / most)
        least.append(min(agreements))
    agreement, of_all = score(left, 1000)
    # Confusion has the weight of 6 there, in place of 4.
    of_all -= 2 * np.log(max(1 - agreement, 1 / 1000))
    return of_all + np.log(least).mean()


@given(seed=st.integers(0, 10_000), n_clusters=st.integers(2, 4))
def test_refined_clusters_are_better_and_no_group_is_better_elsewhere(seed, n_clusters):
    joint = random_joint(seed, 7)
    clusters = np.random.default_rng(seed).permutation(np.arange(7) % n_clusters)
    refined = refine(joint, clusters, 1000)
    assert len(np.unique(refined)) == n_clusters
    if np.array_equal(refined, clusters):
        return
    gain = worth(joint, refined) - worth(joint, clusters)
    assert (n_clusters - 1) * gain >= 1 - 1e-6
    # Of so few clusters no pair is left out of those that are tried.
    for changed in changes(refined):
        assert worth(joint, changed) <= worth(joint, refined) + 1e-5


@pytest.mark.parametrize("seed", range(5))
def test_clusters_that_were_joined_wrongly_are_parted(seed):
    """Two small clusters are one, and a large one is two."""
    joint, owners, _ = planted([8.0, 4.0, 2.0, 1.0, 1.0], 3, seed=seed)
    wrong = owners.copy()
    wrong[owners == 4] = 3
    wrong[0] = 4
    assert adjusted_rand_score(wrong, owners) < 0.9
    assert adjusted_rand_score(refine(joint, wrong, 5000), owners) == 1.0


def test_proposals_of_fewer_clusters_than_asked_for_are_split():
    joint, owners, _ = planted([0.6, 0.4], 2)
    groups = np.arange(4).repeat(25)
    joined, _ = join(joint, groups, 3, proposals=lambda *_: [owners])
    assert len(set(zip(joined.clusters, owners, strict=True))) == 3


def test_groups_without_samples_are_joined_first():
    joint = np.zeros((4, 4))
    joint[:3, :3] = random_joint(0, 3)
    assert 3 in join_groups(joint, 1.0, 3).children[0]
    assert len(np.unique(join(joint, np.arange(3), 3)[0].clusters[:3])) == 3


@given(seed=st.integers(0, 10_000), n_groups=st.integers(1, 9), data=st.data())
def test_tree_of_joins_is_a_linkage_and_its_cuts_are_nested(seed, n_groups, data):
    n_clusters = data.draw(st.integers(1, n_groups))
    groups = np.random.default_rng(seed).integers(0, n_groups, 50)
    groups[:n_groups] = np.arange(n_groups)
    joined, _ = join(random_joint(seed, n_groups), groups, n_clusters)
    assert joined.clusters.max() + 1 == n_clusters
    if n_clusters < n_groups:
        assert np.all(np.diff(np.bincount(joined.clusters[groups])) <= 0)
    else:
        np.testing.assert_array_equal(joined.clusters, np.arange(n_groups))
    linkage = joined.linkage()
    assert linkage.shape == (n_groups - 1, 4)
    if n_groups > 1:
        assert is_valid_linkage(linkage)
    cut = clusters_of(joined.children, n_clusters)
    assert adjusted_rand_score(cut, joined.clusters) == 1.0
    for number in range(1, n_groups):
        coarser = clusters_of(joined.children, number)
        finer = clusters_of(joined.children, number + 1)
        assert len(set(zip(finer, coarser, strict=True))) == number + 1
    heights = linkage[:, 2]
    if len(np.unique(heights)) == len(heights) and n_clusters < n_groups > 1:
        found = fcluster(linkage, n_clusters, "maxclust")
        assert adjusted_rand_score(cut, found) == 1.0


def test_samples_that_training_has_moved_get_a_group_of_their_cluster():
    joint, owners, _ = planted([0.6, 0.4], 2)
    groups = np.repeat(np.arange(4), [40, 20, 25, 15])
    joined, _ = join(joint, groups, 2)
    assert adjusted_rand_score(owners, joined.clusters) == 1.0
    labels = joined.clusters[groups]
    np.testing.assert_array_equal(joined.within(labels), groups)
    labels = labels.copy()
    labels[0] = 1 - labels[0]
    found = joined.within(labels)
    np.testing.assert_array_equal(joined.clusters[found], labels)
    assert found[0] == 2  # The larger group of the other cluster.
    # A cluster that no group was joined to has none.
    alone = replace_clusters(joined, np.zeros(4, dtype=int))
    np.testing.assert_array_equal(alone.within(np.ones(100, dtype=int)), groups)


def replace_clusters(joined, clusters):
    return joined._replace(clusters=clusters)


def test_what_is_near_tells_which_groups_are_joined_and_how_many_are_left():
    joint, owners, shares = planted(np.ones(5), 4)
    groups = np.repeat(np.arange(20), np.ceil(100 * shares).astype(int))
    # Views that are confused with all groups alike, so that all of them are distinct.
    alike, _, _ = planted(np.ones(1), 20)
    alike[:] = 0.02 * np.outer(shares, shares) + 0.98 * np.diag(shares)
    joined, n_clusters = join(alike, groups, 5, nearby=joint)
    assert (n_clusters, adjusted_rand_score(owners, joined.clusters)) == (5, 1.0)
    assert join(alike, groups)[1] == 20
    found, number = join(alike, groups, nearby=joint)
    assert (number, adjusted_rand_score(owners, found.clusters)) == (5, 1.0)
    of_views = join(alike, groups)[0].numbers
    np.testing.assert_array_equal(found.numbers[:, :3], of_views[:, :3])
    of_neighbors = join(joint, groups)[0].numbers
    np.testing.assert_array_equal(found.numbers[:, 3], of_neighbors[:, 3])


def test_clusters_are_distinct_up_to_where_the_odds_fall():
    def number_of(*pairs):
        return number_of_clusters(
            np.array([(n, *pair, 0.5) for n, pair in enumerate(pairs, 2)])
        )

    # Odds of 4 to 1, and 0.37 of them.
    bound = 0.37 * 4 / (1 + 0.37 * 4)
    distinct, one = (0.8, bound + 1e-6), (0.8, bound - 1e-6)
    assert number_of(distinct, distinct, distinct, one, one) == 4
    assert number_of(distinct, distinct) == 3
    less = [(n, 0.8, 0.31 * 4 / (1 + 0.31 * 4), 0.5) for n in (2, 3)]
    assert number_of_clusters(np.array(less)) == 2
    assert number_in_distorted_views(np.array(less)) == 3
    # What comes later is no reason to split.
    assert number_of(distinct, one, distinct) == 2
    assert number_of(one, one) == 2


@pytest.mark.parametrize(
    ("odds", "expected"),
    [
        ([99, 60, 40, 0.9, 0.5], 4),
        # However far some lie from the others, both are distinct before and after.
        ([1e6, 1e4, 20, 1.5, 0.2], 5),
        ([1e6, 20, 15], None),
        # Nor is there a fall where they were one already.
        ([0.9, 0.01], None),
        # By a factor of 2.71 and of 2.73.
        ([99, 1.355, 0.5], None),
        ([99, 1.365, 0.5], 3),
        ([50], None),
    ],
)
def test_the_number_is_seen_where_the_odds_of_the_least_distinct_fall(odds, expected):
    least = np.array(odds) / (1 + np.array(odds))
    numbers = np.arange(len(odds)) + 2.0
    # Neither how much views agree in all nor modularity counts then.
    of_joins = np.column_stack([numbers, np.full(len(odds), 0.999), least, -numbers])
    assert number_before_fall(of_joins) == expected
    of_neighbors = number_of_clusters(of_joins, of_neighbors=True)
    assert of_neighbors == (expected or 2)


@pytest.mark.parametrize("seed", range(5))
def test_parts_of_classes_that_overlap_are_counted_by_neighbors_alone(seed):
    """Each part of a class is as distinct from the others as classes are."""
    joint, owners, shares = planted(np.ones(5), 6, within=0.2, between=0.4, seed=seed)
    groups = np.repeat(np.arange(30), np.ceil(300 * shares).astype(int))
    assert join(joint, groups)[1] == 30
    joined, n_clusters = join(joint, groups, of_neighbors=True)
    assert n_clusters == 5
    assert adjusted_rand_score(owners, joined.clusters) == 1.0
    # Where the two least distinct clusters are one before, modularity says nothing.
    parts, _, _ = planted(np.ones(2), 3, within=0.9, seed=seed)
    assert join(parts, np.arange(6).repeat(50), of_neighbors=True)[1] == 2


@pytest.mark.parametrize(("at_least", "told"), [(0, 5), (4, 5), (9, 9), (40, 40)])
def test_joins_tell_no_fewer_clusters_than_there_are_at_least(at_least, told):
    joint, _, shares = planted(np.ones(5), 6, within=0.2, between=0.4, seed=0)
    groups = np.repeat(np.arange(30), np.ceil(300 * shares).astype(int))
    joined, found = join(joint, groups, of_neighbors=True, at_least=at_least)
    assert found == told
    # There are 30 groups.
    assert joined.clusters.max() + 1 == min(told, 30)
    assert join(joint, groups, 3, at_least=at_least)[1] == 3


def test_arrays_that_are_no_joins_are_refused():
    groups = np.repeat(np.arange(4), 25)
    joined, _ = join(planted([0.6, 0.4], 2)[0], groups, 2)
    check_joined(joined, 100)
    twice = joined.children.copy()
    twice[1] = twice[0]
    for forged in (
        {"groups": groups[1:]},
        {"groups": groups.astype(float)},
        {"groups": groups + 1},
        {"clusters": joined.clusters - 1},
        {"clusters": joined.clusters + 3},
        {"children": joined.children[1:]},
        {"children": twice},
        # Of a node that is made later.
        {"children": joined.children[::-1]},
        {"agreements": joined.agreements[1:]},
        {"numbers": joined.numbers[:, 1:]},
    ):
        with pytest.raises(ValueError, match="no joins of groups"):
            check_joined(joined._replace(**forged), 100)


@pytest.mark.parametrize("n_few", [0, 1])
@pytest.mark.parametrize("n_clusters", [None, 3])
@pytest.mark.parametrize("has_nearby", [False, True])
def test_groups_that_hold_no_two_samples_are_no_clusters(n_few, n_clusters, has_nearby):
    joint, owners, _ = planted([100, 80, 60], parts=3, within=0.6)
    groups = np.repeat(np.arange(9), 20)
    # Two groups more, which hold none or one each. Views say that these are as distinct
    # as can be, but for a little that they share with the first group and the last.
    more = np.zeros((11, 11))
    more[1:10, 1:10] = joint
    for few, other in ((0, 1), (10, 9)):
        more[few, few] = 0.02
        more[few, other] = more[other, few] = 1e-4
    groups = np.concatenate([groups + 1, np.repeat([0, 10], n_few)])
    nearby = more / more.sum() if has_nearby else None
    joined, number = join(more / more.sum(), groups, n_clusters, nearby=nearby)
    assert number == 3
    expected = np.concatenate([owners[:1], owners, owners[-1:]])
    assert adjusted_rand_score(expected, joined.clusters) == 1
    check_joined(joined, len(groups))
    # They are joined before all others, and any number of clusters holds samples.
    for n_left in range(1, 10):
        assert len(np.unique(clusters_of(joined.children, n_left)[groups])) == n_left
    assert is_valid_linkage(joined.linkage())
    if n_clusters and not has_nearby:
        proposals = [expected, np.roll(expected, 4)]
        joined, _ = join(more / more.sum(), groups, 3, lambda *given: proposals)
        assert adjusted_rand_score(expected, joined.clusters) == 1


def test_clusters_are_ordered_by_size_where_only_small_groups_are_joined():
    groups = np.repeat([0, 1, 3], [5, 10, 50])
    joined, number = join(random_joint(0, 4), groups, 3)
    assert number == 3
    np.testing.assert_array_equal(joined.clusters[[0, 1, 3]], [2, 1, 0])


def test_no_groups_are_joined_where_too_few_hold_samples():
    joint = random_joint(0, 5)
    joined, number = join(joint, np.repeat([0, 3, 4], 10), 5)
    assert number == 5
    np.testing.assert_array_equal(joined.clusters, np.arange(5))
