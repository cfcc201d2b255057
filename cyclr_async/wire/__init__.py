"""Between bytes and models: strict JSON, dates, path segments and the cattrs converter."""
