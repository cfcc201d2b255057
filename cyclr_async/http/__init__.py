"""One call, from request to answer."""
