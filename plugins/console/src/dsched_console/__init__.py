"""The console of dsched: the files of `web/` are what a browser gets, as they are."""
