"""Reading CSV files exactly: every record with its line and its bytes, every file with what it holds."""
