"""Reports API v3: detailed reports, sums, and the lists that filter them."""
