"""How fast, compared with what: ``make bench``. docs/performance/README.md says how to read it."""
