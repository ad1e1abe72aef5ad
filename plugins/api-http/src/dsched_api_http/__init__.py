"""HTTP API: REST, server-sent events and OpenAPI, as a service of a pod."""
