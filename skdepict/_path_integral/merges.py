"""The order in which AC-PIC merges groups of samples.

The affinity of two clusters is the path integral that their union adds (Zhang, Zhao
and Wang 2013). With the random walk's transition probabilities P and the discount z,
a walk weighs z**length times the product of its transitions, and::

    affinity(A, B) = W(A, B) / |A|**2 + W(B, A) / |B|**2
    W(A, B) = weight of all walks inside A and B that start in A, visit B, end in A

Its leading term counts the walks of two steps::

    W(A, B) ~ z**2 T(A, B),   T(A, B) = sum over j in B of  out_A(j) * in_A(j)
    out_A(j) = sum over i in A of P[i, j],   in_A(j) = sum over i in A of P[j, i]

With the i in out_A(j) weighted by the walks of the whole graph that end in them, w_i,
and c_j = (w_j - 1) / z, a bound is (docs/method.rst derives it)::

    W(A, B) <= z**2 / (1 - z) * (T(A, B) + z / sqrt(1 - z)
               * sqrt(sum over j in B of out_A(j)**2
                      * sum over j in B of c_j * in_A(j)**2))

The sums are bilinear, so that a merge adds sparse vectors instead of inverting
matrices. The same sums give an upper bound of the exact affinity, so that its order
needs longer walks only for the few pairs whose bounds reach the top.
"""

import math
from collections import defaultdict
from heapq import heapify, heappop, heappush
from itertools import pairwise

import numpy as np
from scipy import sparse

from skdepict._path_integral.graph import edges_within, membership

# Up to this size dense matrices are faster than sparse ones.
MAX_DENSE_SIZE = 150
SERIES_TOLERANCE = 1e-11
# Keeps bounds above what they bound, whatever the rounding.
ROUNDING = 1 + 1e-8


def merge_order(transitions, groups, z, max_dense_size=MAX_DENSE_SIZE):
    """Merge the most affine pair of groups, again and again.

    Parameters
    ----------
    transitions : csr_array of shape (n_samples, n_samples)
        Transition probabilities P, self-loops included: rows sum to 1. As many are
        stored in each row.
    groups : ndarray of shape (n_samples,)
        The group, 0 to n_groups - 1, that each sample starts in.
    z : float in (0, 1)
        The discount of a step.
    max_dense_size : int
        Unions of more samples have sparse matrices of transitions.

    Returns
    -------
    merges : list of tuple (a, b)
        Group b was absorbed by group a, which keeps its number. The list ends where
        no walk leads from a group to another and back.
    affinities : list of float
        The affinity of each merge.
    """
    sums = _Sums(transitions, groups, z)
    exact_affinity = _ExactAffinity(transitions, groups, z, max_dense_size)
    sizes, members = sums.sizes, sums.members
    # Bounds carry a 0, exact affinities the size of the union they were computed for.
    pairs = ((a, b) for a, row in enumerate(sums.shared) for b in row if a < b)
    heap = [(-sums.bound(a, b), a, b, 0) for a, b in pairs]
    heapify(heap)
    merges, affinities = [], []
    # Each pair has an entry that is not below its affinity: bounds that rise are pushed
    # again, others only fall and may wait. Where 0 is first no walk joins any two.
    while heap and heap[0][0] < 0:
        negative, a, b, computed_for = heappop(heap)
        union = sizes[a] + sizes[b]
        if sizes[a] == 0 or sizes[b] == 0:
            continue
        if computed_for == union:
            # Exact, and no other pair can have more. The longer dict stays, and the
            # shorter one is added to it.
            if len(sums.links[a]) < len(sums.links[b]):
                a, b = b, a
            merges.append((a, b))
            affinities.append(-negative)
            # Exact affinities with the two hold no more, and may rise.
            for c in exact_affinity.unite(a, b) | sums.absorb(a, b):
                heappush(heap, (-sums.bound(a, c), min(a, c), max(a, c), 0))
            continue
        bound = sums.bound(a, b)
        if computed_for or bound < -negative:
            # One of the two has grown since.
            heappush(heap, (-bound, a, b, 0))
        elif bound == -negative and not exact_affinity.is_kept(a, b):
            # Above it, the bound rose, and was pushed again when it did.
            affinity = exact_affinity(a, b, members[a], members[b])
            heappush(heap, (-affinity, a, b, union))
    return merges, affinities


def owners_after(merges, n_groups):
    """The number that each group goes by after the merges (a, b): b became a."""
    owners = np.arange(n_groups)
    for a, b in reversed(merges):
        # Later merges first: what a became is known before it is needed for b.
        owners[b] = owners[a]
    return owners


class _Sums:
    """Sparse sums that bounds of the affinities are made of.

    Attributes
    ----------
    sizes : list of int
        The number of samples of each group, 0 once it was absorbed.
    members : list of list of int
        The samples of each group.
    links : list of dict
        ``links[a][j]`` is ``out_a(j) + 1j * in_a(j)``, weighted as above, for each
        sample j outside a that an edge joins to group a. Complex numbers add two sums
        at the price of one.
    shared : list of dict
        ``shared[a][b]`` is T(a, b); b is a key of ``shared[a]`` whenever a is one of
        ``shared[b]``, be it with a 0.
    squares : list of dict
        ``squares[a][b]`` has the sum of out_a(j)**2 over b as its real part, and that
        of c_j * in_a(j)**2 as its imaginary part.
    """

    def __init__(self, transitions, groups, z):
        # One object for each number, which saves memory and comparisons in the dicts.
        numbers = np.arange(len(groups)).astype(object)
        self._owner = numbers[groups].tolist()
        members = membership(groups)
        parts = np.split(members.indices, members.indptr[1:-1])
        self.members: list = [part.tolist() for part in parts]
        self.sizes = [len(part) for part in parts]
        # w and c of the bound.
        tolerance = SERIES_TOLERANCE / len(groups)
        walks_to = sum_walks(transitions.T.tocsr(), np.ones(len(groups)), z, tolerance)
        walks_from = (walks_to - 1) / z
        self._walks_from = walks_from.tolist()
        self._factor = z**2 / (1 - z) * ROUNDING
        self._slack = z / math.sqrt(1 - z)

        out = (members * walks_to) @ transitions
        links = (out + 1j * (members @ transitions.T)).tocoo()
        links.data[groups[links.col] == links.row] = 0
        links.eliminate_zeros()
        self.links = _dicts_of_rows(links.tocsr(), numbers)
        # An edge is a link of either group, so that each knows the other. The imaginary
        # part of a square is twice the product of the two parts.
        products = (links.data**2).imag / 2
        squares = links.data.real**2 + 1j * walks_from[links.col] * links.data.imag**2
        ends, shape = (links.row, groups[links.col]), (len(parts), len(parts))
        self.shared, self.squares = (
            _dicts_of_rows(sparse.csr_array((values, ends), shape=shape), numbers)
            for values in (products, squares)
        )

    def bound(self, a, b):
        """An upper bound of the affinity."""
        there, back = self.squares[a][b], self.squares[b][a]
        of_a = self.shared[a][b] + self._slack * math.sqrt(there.real * there.imag)
        of_b = self.shared[b][a] + self._slack * math.sqrt(back.real * back.imag)
        return self._factor * (of_a / self.sizes[a] ** 2 + of_b / self.sizes[b] ** 2)

    def absorb(self, a, b):
        """Add group b to group a.

        Returns
        -------
        risen : set of int
            The groups whose bounds with a have risen. All others with a have fallen
            with its size.
        """
        owner, shared, squares = self._owner, self.shared, self.squares
        links_a, row, squares_a = self.links[a], shared[a], squares[a]
        before = {c: self.bound(a, c) if c in row else 0.0 for c in shared[b] if c != a}
        for sample in self.members[b]:
            owner[sample] = a
        self.members[a].extend(self.members[b])
        self.sizes[a] += self.sizes[b]
        self.sizes[b] = 0
        # Linear in the group that is walked to, but quadratic in the other one: here
        # the squares are added, below what the two have together.
        for table in (shared, squares):
            table_a, table_b = table[a], table[b]
            del table_a[b], table_b[a]
            for c, value in table_b.items():
                table_a[c] = table_a.get(c, 0) + value
                table_c = table[c]
                table_c[a] = table_c.get(a, 0) + table_c.pop(b)
        for sample, value in self.links[b].items():
            group = owner[sample]
            if group == a:
                continue
            known = links_a.get(sample, 0)
            links_a[sample] = known + value
            if known:
                # What the merge adds: out_a * in_b + out_b * in_a, and of the squares
                # twice the products.
                row[group] += (known * value).imag
                squares_a[group] += complex(
                    2 * known.real * value.real,
                    2 * self._walks_from[sample] * known.imag * value.imag,
                )
        for sample in self.members[b]:
            links_a.pop(sample, None)
        self.members[b] = self.links[b] = shared[b] = squares[b] = None
        return {c for c, bound in before.items() if self.bound(a, c) > bound}


def _dicts_of_rows(table, numbers):
    """A dict {numbers[column]: value} for each row of a csr_array."""
    table.sort_indices()
    columns, values = numbers[table.indices].tolist(), table.data.tolist()
    return [
        dict(zip(columns[start:stop], values[start:stop], strict=True))
        for start, stop in pairwise(table.indptr.tolist())
    ]


class _ExactAffinity:
    """Exact affinities, by summing walks on the members of two groups.

    ``_walks[i]`` is the weight of all walks that start in sample i and stay inside its
    group: the solution v of (I - z P_C) v = 1 for the group C.
    """

    def __init__(self, transitions, groups, z, max_dense_size):
        self._transitions = transitions
        self._neighbors = transitions.indices.reshape(len(groups), -1)
        self._probabilities = transitions.data.reshape(len(groups), -1)
        self._z = z
        self._max_dense_size = max_dense_size
        within = edges_within(transitions, groups)
        self._walks = sum_walks(within, np.ones(len(groups)), z)
        self._position = np.full(len(groups), -1)
        # What was computed for a pair, under either of the two.
        self._unions: defaultdict = defaultdict(dict)

    def __call__(self, a, b, members_a, members_b):
        """The affinity of two groups.

        Walks that start in A and visit B end somewhere: d = (I - z P)^-1 z P_BA v_A,
        with P on the union. What ends in A is W(A, B), and v_A + d_A and so on are the
        walks of the union.
        """
        n_a, n_b = len(members_a), len(members_b)
        samples = np.array(members_a + members_b)
        inner = self._submatrix(samples)
        # A column for the walks that start in either group.
        starts = np.zeros((n_a + n_b, 2))
        starts[:n_a, 0] = self._walks[samples[:n_a]]
        starts[n_a:, 1] = self._walks[samples[n_a:]]
        crossings = self._z * (inner @ starts)
        crossings[:n_a, 0] = crossings[n_a:, 1] = 0
        through = sum_walks(inner, crossings, self._z)
        self._unions[a][b] = self._unions[b][a] = samples, through.sum(axis=1)
        return through[:n_a, 0].sum() / n_a**2 + through[n_a:, 1].sum() / n_b**2

    def is_kept(self, a, b):
        """Whether the affinity of a and b was computed, and neither has grown since."""
        return b in self._unions[a]

    def unite(self, a, b):
        """Make one group of a and b, whose affinity was computed.

        Returns
        -------
        outdated : set of int
            Groups whose affinity with a or b was computed too.
        """
        samples, through = self._unions[a][b]
        # Walks of the union are those inside of either, and those that go through both.
        self._walks[samples] += through
        outdated = (self._unions.pop(a).keys() | self._unions.pop(b).keys()) - {a, b}
        for c in outdated:
            for group in (a, b):
                self._unions[c].pop(group, None)
        return outdated

    def _submatrix(self, samples):
        """Transitions among the samples, dense if they are few."""
        size = len(samples)
        if size > self._max_dense_size:
            return self._transitions[samples][:, samples]
        self._position[samples] = np.arange(size)
        columns = self._position[self._neighbors[samples]]
        self._position[samples] = -1
        # What leads out of the union is at -1, a last column that is cut off.
        inner = np.zeros((size, size + 1))
        inner[np.arange(size)[:, None], columns] = self._probabilities[samples]
        return inner[:, :size]


def sum_walks(transitions, starts, z, tolerance=SERIES_TOLERANCE):
    """The sum of (z P)^t starts over all lengths t.

    Parameters
    ----------
    transitions : sparse or dense array of shape (n_samples, n_samples)
        P, whose rows sum to at most 1, or its transpose.
    starts : ndarray of shape (n_samples,) or (n_samples, n_columns)
        Not negative.
    z : float in (0, 1)
        The discount of a step.
    tolerance : float
        How much may be left out, relative to the largest entry of each column; of its
        sum for the transpose.

    Returns
    -------
    total : ndarray of the shape of starts
    """
    total, term = starts.copy(), starts
    # Walks longer than n_steps weigh at most z**n_steps / (1 - z).
    for _ in range(math.ceil(math.log(tolerance * (1 - z)) / math.log(z))):
        term = transitions @ term
        term *= z
        total += term
    return total
