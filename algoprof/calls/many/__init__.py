"""Many calls at once: from threads and from tasks."""
