"""Compiles the writer where there is a compiler; without one its twin in Python records, and says so."""

from pathlib import Path

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "algoprof.recorder._native",
            ["algoprof/recorder/_native.pyx"],
            depends=[str(path) for path in Path("algoprof/recorder").glob("_native_*.pxi")]
            + ["algoprof/recorder/_interpreter.h"],
            extra_compile_args=["-O3"],
            optional=True,
        )
    ]
)
