"""What a server tells of itself: metrics for who asks, calls and runs for the exporters, and the traces they join."""
