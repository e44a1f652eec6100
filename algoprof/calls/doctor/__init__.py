"""What keeps an algorithm from being called, found out before it is called."""
