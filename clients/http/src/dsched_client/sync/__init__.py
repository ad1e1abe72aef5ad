"""The client that blocks, on the standard library alone. All but `transport` is made from
`dsched_client.aio`."""
