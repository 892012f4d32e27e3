"""What both HTTP APIs share: problems, limits, the access log, JSON out, documentation pages without another host."""
