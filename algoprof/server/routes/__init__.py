"""The platform's routes: calls, algorithms, insights, administration."""
