"""Languages of the pages: catalogues, which of them a request speaks, and how dates and numbers are written in it."""
