"""The pages at `/`, for a person with a browser: made on the server, read without JavaScript, changing nothing."""
