"""The official client: its names as ours, and its calls recorded."""
