"""The routes of the API, one module a resource; each has its part of the table as `ROUTES`."""
