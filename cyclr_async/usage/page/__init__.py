"""The report that a person looks at: one HTML file that needs nothing else, its charts as files, and sparklines."""
