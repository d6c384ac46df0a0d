"""The one part of the build that pyproject.toml cannot say: the optional compiled kernel."""

from pathlib import Path

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "hotpixeld.core._kernel",
            sources=sorted(str(source) for source in Path("kernel").glob("*.c")),
            depends=["kernel/kernel.h"],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            extra_compile_args=["-O3", "-std=c11", "-ffp-contract=off", "-Wall", "-Wextra"],
            py_limited_api=True,
            optional=True,  # without a compiler numpy does the same
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
