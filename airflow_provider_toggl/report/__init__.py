"""A weekly report out of the warehouse: sums, a chart and a page of them."""
