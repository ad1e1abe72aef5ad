"""The client that awaits, on aiohttp. All but `transport` is also the source of
`dsched_client.sync`."""
