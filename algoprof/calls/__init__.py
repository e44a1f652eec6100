"""Around the call: from `algoprof.client(...)` to the record of what a call took."""
