"""What a journal remembers of values that are the user's own."""

from __future__ import annotations

from scipy.stats import rv_continuous

from dhpo.journal import describe


class Tent(rv_continuous):
    def _pdf(self, x, width):
        return 2 * x / width**2


class Steep(rv_continuous):
    def _pdf(self, x, width):
        return 3 * x**2 / width**3


def test_distributions_of_ones_own_are_told_by_what_they_do():
    # SciPy makes functions for them that are of no module.
    one = describe(Tent(a=0, name="tent")(2.0))
    assert one == describe(Tent(a=0, name="tent")(2.0))
    assert one != describe(Tent(a=0, name="tent")(3.0))
    assert one != describe(Tent(a=-1, name="tent")(2.0))
    assert one != describe(Steep(a=0, name="tent")(2.0))
