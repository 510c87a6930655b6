"""One module per page, each with one router. `web.site.Site` is what they share; pages do not import each other."""
