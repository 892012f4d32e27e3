"""`tillstream quarantine`: what was refused is looked at, mended, and applied again."""
