"""Plain data: call trees, histograms, calls, and the file they are saved in. Imports nothing of ours but the errors."""
