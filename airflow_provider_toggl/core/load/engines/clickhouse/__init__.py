"""The store in ClickHouse: a commit is one inserted row, and views show the rows of all commits."""
