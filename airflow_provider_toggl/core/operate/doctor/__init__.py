"""What is right, or wrong and how to mend it: facts are probed at the rim, and judged by pure functions."""
