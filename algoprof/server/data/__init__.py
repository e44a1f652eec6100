"""The data API on this machine: files in collections, kept below the server's data directory."""
