"""The order in which AC-PIC merges groups of samples.

The affinity of two clusters is the path integral that their union adds (Zhang, Zhao
and Wang 2013). With the random walk's transition probabilities P and the discount z,
a walk weighs z**length times the product of its transitions, and::

    affinity(A, B) = W(A, B) / |A|**2 + W(B, A) / |B|**2
    W(A, B) = weight of all walks inside A and B that start in A, visit B, end in A

Its leading term counts the walks of two steps::

    W(A, B) ~ z**2 T(A, B),   T(A, B) = sum over j in B of  out_A(j) * in_A(j)
    out_A(j) = sum over i in A of P[i, j],   in_A(j) = sum over i in A of P[j, i]

The sums are bilinear, so that a merge adds sparse vectors instead of inverting
matrices. The same sums give an upper bound of the exact affinity, so that its order
needs a linear system only for the few pairs whose bounds reach the top.
"""

from heapq import heapify, heappop, heappush
from itertools import pairwise

import numpy as np
from scipy import sparse

# Larger systems are solved by summing walks; smaller ones are faster as dense matrices.
MAX_DENSE_SIZE = 150
SERIES_TOLERANCE = 1e-13
# Keeps bounds above what they bound, whatever the rounding.
ROUNDING = 1 + 1e-9


def merge_order(transitions, groups, z):
    """Merge the most affine pair of groups, again and again.

    Parameters
    ----------
    transitions : csr_array of shape (n_samples, n_samples)
        Transition probabilities P, self-loops included: rows sum to 1.
    groups : ndarray of shape (n_samples,)
        The group, 0 to n_groups - 1, that each sample starts in.
    z : float in (0, 1)
        The discount of a step.

    Returns
    -------
    merges : list of tuple (a, b)
        Group b was absorbed by group a, which keeps its number. The list ends where
        no walk leads from a group to another and back.
    affinities : list of float
        The affinity of each merge.
    """
    sums = _Sums(transitions, groups, z)
    exact_affinity = _ExactAffinity(transitions, groups, z)
    sizes, members = sums.sizes, sums.members
    # Bounds carry a 0, exact affinities the size of the union they were computed for.
    heap = [
        (-sums.bound(a, b), a, b, 0)
        for a, row in enumerate(sums.shared)
        for b in row
        if a < b
    ]
    heapify(heap)
    merges, affinities = [], []
    while heap:
        negative, a, b, union_size = heappop(heap)
        if not (sizes[a] and sizes[b]):
            continue
        if union_size != sizes[a] + sizes[b]:
            bound = sums.bound(a, b)
            if union_size or bound < -negative:
                # One of the two has grown since.
                heappush(heap, (-bound, a, b, 0))
                continue
            # A bound that rose was pushed again when it did.
            if 0 < bound == -negative:
                affinity = exact_affinity(a, b, members[a], members[b])
                if affinity > 0:
                    heappush(heap, (-affinity, a, b, sizes[a] + sizes[b]))
            continue
        exact_affinity.keep_union(a, b)
        if len(sums.links[a]) < len(sums.links[b]):
            a, b = b, a
        merges.append((a, b))
        affinities.append(-negative)
        for c in sums.absorb(a, b):
            pair = (a, c) if a < c else (c, a)
            heappush(heap, (-sums.bound(*pair), *pair, 0))
    return merges, affinities


class _Sums:
    """Sparse sums that bounds of the affinities are made of.

    Attributes
    ----------
    sizes : list of int
        The number of samples of each group, 0 once it was absorbed.
    members : list of list of int
        The samples of each group.
    links : list of dict
        ``links[a][j]`` is ``out_a(j) + 1j * in_a(j)`` for each sample j outside a that
        an edge joins to group a. Each i in out_a(j) is weighted with the walks of the
        whole graph that end in i, which are at least those inside of a.
    shared : list of dict
        ``shared[a][b]`` is ``T(a, b) + 1j * flow(a, b)``, where flow(a, b) is the sum
        of out_a over b; b is a key of ``shared[a]`` whenever a
        is one of ``shared[b]``.
    """

    def __init__(self, transitions, groups, z):
        n_groups = groups.max() + 1
        self._owner = groups.tolist()
        self.sizes = np.bincount(groups).tolist()
        self.members: list = [[] for _ in range(n_groups)]
        for sample, group in enumerate(self._owner):
            self.members[group].append(sample)
        # Derived in docs/method.rst.
        self._factor = z**2 / (1 - z) * ROUNDING
        self._slack = z / (1 - z) * (1 - transitions.diagonal().min())
        walks_to = sum_walks(transitions.T.tocsr(), np.ones(len(groups)), z)
        self._fill(transitions, groups, n_groups, walks_to)

    def bound(self, a, b):
        """An upper bound of the affinity."""
        there, back = self.shared[a][b], self.shared[b][a]
        if not (there.imag and back.imag):
            return 0.0
        slack = self._slack
        return self._factor * (
            (there.real + slack * there.imag) / self.sizes[a] ** 2
            + (back.real + slack * back.imag) / self.sizes[b] ** 2
        )

    def absorb(self, a, b):
        """Add group b to group a.

        Returns
        -------
        changed : set of int
            The groups whose sums with a may have grown. All other affinities with a
            have fallen with its size.
        """
        owner, shared = self._owner, self.shared
        links_a, row = self.links[a], shared[a]
        for sample in self.members[b]:
            owner[sample] = a
        self.members[a].extend(self.members[b])
        self.sizes[a] += self.sizes[b]
        self.sizes[b] = 0
        del row[b]
        del shared[b][a]
        changed = set(shared[b])
        for c, value in shared[b].items():
            row[c] = row.get(c, 0) + value
            other = shared[c]
            other[a] = other.get(a, 0) + other.pop(b)
        for sample, value in self.links[b].items():
            group = owner[sample]
            if group == a:
                continue
            known = links_a.get(sample)
            if known is None:
                links_a[sample] = value
                continue
            links_a[sample] = known + value
            # out_a * in_b + out_b * in_a, what the merge adds to T(a, group).
            cross = (known * value).imag
            if cross > 0:
                row[group] = row.get(group, 0) + cross
                shared[group].setdefault(a, 0)
                changed.add(group)
        for sample in self.members[b]:
            links_a.pop(sample, None)
        self.members[b] = self.links[b] = shared[b] = None
        return changed

    def _fill(self, transitions, groups, n_groups, walks_to):
        n_samples = len(groups)
        indicator = sparse.csr_array(
            (np.ones(n_samples), (groups, np.arange(n_samples))),
            shape=(n_groups, n_samples),
        )
        out = (indicator * walks_to) @ transitions
        sums = (out + 1j * (indicator @ transitions.T)).tocoo()
        rows, samples, values = sums.row, sums.col, sums.data
        outside = groups[samples] != rows
        rows, samples, values = rows[outside], samples[outside], values[outside]
        starts = np.searchsorted(rows, np.arange(n_groups + 1))
        samples_list, values_list = samples.tolist(), values.tolist()
        self.links = [
            dict(zip(samples_list[start:stop], values_list[start:stop], strict=True))
            for start, stop in pairwise(starts)
        ]
        # The imaginary part of a square is twice the product of the two parts.
        pairs = (values**2).imag / 2 + 1j * values.real
        used = pairs != 0
        table = sparse.coo_array(
            (pairs[used], (rows[used], groups[samples[used]])),
            shape=(n_groups, n_groups),
        ).tocsr()
        # Both of a pair know each other, be it by a stored zero.
        table = (table + table.T * 1e-300).tocsr()
        self.shared = [
            dict(
                zip(
                    table.indices[start:stop].tolist(),
                    table.data[start:stop].tolist(),
                    strict=True,
                )
            )
            for start, stop in pairwise(table.indptr)
        ]


class _ExactAffinity:
    """Exact affinities, by linear systems on the members of two groups.

    ``_walks[i]`` is the weight of all walks that start in sample i and stay inside its
    group: the solution v of (I - z P_C) v = 1 for the group C.
    """

    def __init__(self, transitions, groups, z):
        self._transitions = transitions
        self._z = z
        edges = transitions.tocoo()
        inside = groups[edges.row] == groups[edges.col]
        within = sparse.csr_array(
            (edges.data[inside], (edges.row[inside], edges.col[inside])),
            shape=transitions.shape,
        )
        self._walks = sum_walks(within, np.ones(len(groups)), z)
        self._position = np.full(len(groups), -1)
        self._unions = {}

    def __call__(self, a, b, members_a, members_b):
        """The affinity of two groups; 0 if it was computed for the same two before.

        Walks that start in A and visit B end somewhere: d = (I - z P)^-1 z P_BA v_A,
        with P on the union. What ends in A is W(A, B), and v_A + d_A and so on are the
        walks of the union.
        """
        n_a, n_b = len(members_a), len(members_b)
        known = self._unions.get((a, b))
        if known is not None and len(known[0]) == n_a + n_b:
            return 0.0
        samples = np.array(members_a + members_b)
        inner = self._submatrix(samples)
        in_a = np.arange(n_a + n_b) < n_a
        starts = np.zeros((n_a + n_b, 2))
        starts[in_a, 0] = self._walks[samples[:n_a]]
        starts[~in_a, 1] = self._walks[samples[n_a:]]
        crossings = self._z * (inner @ starts)
        crossings[in_a, 0] = crossings[~in_a, 1] = 0
        if n_a + n_b <= MAX_DENSE_SIZE:
            through = np.linalg.solve(np.eye(n_a + n_b) - self._z * inner, crossings)
        else:
            through = sum_walks(inner, crossings, self._z)
        self._unions[a, b] = samples, through.sum(axis=1)
        return through[in_a, 0].sum() / n_a**2 + through[~in_a, 1].sum() / n_b**2

    def keep_union(self, a, b):
        """Make one group of a and b."""
        samples, through = self._unions[a, b]
        self._walks[samples] += through

    def _submatrix(self, samples):
        """Transitions among the samples, dense if they are few."""
        size = len(samples)
        self._position[samples] = np.arange(size)
        starts = self._transitions.indptr[samples]
        counts = self._transitions.indptr[samples + 1] - starts
        rows = np.repeat(np.arange(size), counts)
        first = np.cumsum(counts) - counts
        stored = np.arange(len(rows)) + np.repeat(starts - first, counts)
        columns = self._position[self._transitions.indices[stored]]
        self._position[samples] = -1
        inside = columns >= 0
        entries = self._transitions.data[stored[inside]]
        if size > MAX_DENSE_SIZE:
            return sparse.csr_array(
                (entries, (rows[inside], columns[inside])), shape=(size, size)
            )
        inner = np.zeros((size, size))
        inner[rows[inside], columns[inside]] = entries
        return inner


def sum_walks(transitions, starts, z):
    """The sum of (z P)^t starts over all lengths t.

    Parameters
    ----------
    transitions : sparse array of shape (n_samples, n_samples)
        P, or its transpose.
    starts : ndarray of shape (n_samples,) or (n_samples, n_columns)
        Not negative.
    z : float in (0, 1)
        The discount of a step.

    Returns
    -------
    total : ndarray of the shape of starts
    """
    total, term = starts.copy(), starts
    while True:
        term = z * (transitions @ term)
        total += term
        if np.all(term.max(axis=0) <= SERIES_TOLERANCE * total.max(axis=0)):
            return total
