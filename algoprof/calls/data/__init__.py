"""The data API: files and folders on the platform, and inputs that are too much for a call."""
