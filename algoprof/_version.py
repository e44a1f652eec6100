"""The version, where the build, the wheel of itself and every exported record read it."""

__version__ = "0.1.0"
