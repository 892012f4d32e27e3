"""Believable live traffic for a running shop: people who look, choose and buy, and now and then a mistake."""
