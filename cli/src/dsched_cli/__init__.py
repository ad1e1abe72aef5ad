"""The dsched command: operate a dsched cluster from a terminal."""
