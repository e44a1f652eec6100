"""What an owner does with an algorithm: its builds, versions and errors."""
