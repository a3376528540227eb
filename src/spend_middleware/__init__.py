"""spend-middleware."""
