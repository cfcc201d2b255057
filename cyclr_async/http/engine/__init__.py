"""One attempt: aiohttp's pool, direct reads, and the translation of aiohttp's errors. Internal."""
