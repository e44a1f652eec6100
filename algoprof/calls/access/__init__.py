"""Which platform is called, and on whose behalf."""
