"""An observer that keeps Prometheus metrics and a page to scrape them from."""
