"""What outlives the server: algorithms, builds, versions, errors and runs, in SQLite."""
