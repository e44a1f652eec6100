"""Compiles the writer where there is a compiler; without one its twin in Python records, and the build says so once.

The stack sampler's clock is compiled too; without it a thread in Python samples.
"""

from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

RECORDER = Path("algoprof", "recorder")


class BuildWriter(build_ext):
    """Goes on where the writer cannot be compiled."""

    def build_extension(self, extension: Extension) -> None:
        """Compile one extension, or say what is missing."""
        try:
            super().build_extension(extension)
        except Exception as error:  # noqa: BLE001  (whatever a compiler or its absence raises)
            if extension.name.endswith("_ticker"):
                self.warn(f"algoprof's clock for stack samples cannot be built ({error}), so a thread takes them")
                return
            self.warn(
                f"algoprof's compiled writer cannot be built ({error}), so its twin in Python records, at some ten "
                "times the cost. It needs a C compiler and Python's headers; on Debian: apt-get install gcc python3-dev"
            )


FLAGS = ["-O3", "-g0", "-fno-plt"]
extensions = cythonize(
    [
        Extension(
            "algoprof.recorder._native",
            [str(RECORDER / "_native.pyx")],
            depends=[str(path) for path in [*RECORDER.glob("_native_*.pxi"), *RECORDER.glob("_*.h")]],
            extra_compile_args=FLAGS,
        ),
        Extension(
            "algoprof.recorder._ticker",
            [str(RECORDER / "_ticker.pyx")],
            depends=[str(RECORDER / "_ticker.h")],
            extra_compile_args=FLAGS,
        ),
    ],
    build_dir="build",
    include_path=[str(RECORDER)],
)
for extension in extensions:
    extension.optional = True  # which cythonize drops
setup(cmdclass={"build_ext": BuildWriter}, ext_modules=extensions)
