"""Agglomerative clustering by path integrals on graphs of neighbours; no torch."""
