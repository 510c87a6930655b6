"""Pages, live cards and the HTTP API: what people and programs see of the calls."""
