"""The pages and the API of recordings."""
