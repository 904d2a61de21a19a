"""The data behind the APIs: records, the world that holds and changes them, generated data, and the truth for tests."""
