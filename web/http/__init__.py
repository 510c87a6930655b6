"""What every request and every answer passes: connections, proxies, headers, limits, files."""
