"""The databases that rows are loaded into: the contract, and one folder for each family of engines."""
