"""For plugin authors: contract suites, the reference store, virtual time."""
