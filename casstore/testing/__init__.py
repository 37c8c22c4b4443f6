"""For tests only, also other people's: the contract of a blob store made executable, doubles. Nothing imports it."""
