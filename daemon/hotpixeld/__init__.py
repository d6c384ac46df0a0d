"""hotpixeld: find a camera's defective pixels in ordinary photos and write repaired copies."""

import os

__version__ = "0.1.0"

# Our matrices are small: on a busy machine OpenBLAS' threads wait for each other far longer than
# they compute (17 times, measured). It reads this when numpy is first imported.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
