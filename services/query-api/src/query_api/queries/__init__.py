"""The fixed queries of this service, one file per concern."""
