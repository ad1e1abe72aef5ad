"""dsched: the lightest highly available task scheduler that can explain every fire."""

__version__ = "0.1.0"
