"""Measure clusterers: ``python -m skdepict.benchmark --help``.

Every fit runs in a fresh process, so that its peak memory is its own, and none runs
beside another, so that its time is its own.
"""
