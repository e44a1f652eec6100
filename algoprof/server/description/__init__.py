"""The OpenAPI description of the server: what it answers, written once, and held true by the tests."""
