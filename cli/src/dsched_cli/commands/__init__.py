"""One module a noun or short cut; each imports what it needs only when it runs."""
