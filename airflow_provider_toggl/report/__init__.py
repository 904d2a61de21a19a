"""A weekly report from the warehouse: sums, a chart and a web page."""
