"""From a project's folder to a version that can be called."""
