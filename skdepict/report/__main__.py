"""``python -m skdepict.report``."""

from skdepict.report import main

main()
