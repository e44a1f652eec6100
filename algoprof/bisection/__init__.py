"""Which requirements keep a project from being built, and the nearest versions that build: delta debugging with pip."""
