"""Tests of what the compiled kernel and numpy do alike."""

import pytest

from hotpixeld.core import kernel

built = pytest.mark.skipif(
    kernel.COMPILED is None,
    reason="THE COMPILED KERNEL IS NOT BUILT: python setup.py build_ext --inplace",
)
both = pytest.mark.parametrize(
    "each",
    [pytest.param(None, id="numpy"), pytest.param(kernel.COMPILED, id="compiled", marks=built)],
)
