"""Running a program under a timeout, from outside: what `algoprof run` does."""
