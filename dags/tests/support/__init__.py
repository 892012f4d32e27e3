"""What the tests of the DAGs share."""
