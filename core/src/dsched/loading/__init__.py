"""From the entry points of installed distributions to one typed catalogue of plugins."""

from dsched.loading.catalogue import Catalogue, Installed, NotInstalledError
from dsched.loading.faults import Fault, PluginError
from dsched.loading.load import load_catalogue

__all__ = [
    "Catalogue",
    "Fault",
    "Installed",
    "NotInstalledError",
    "PluginError",
    "load_catalogue",
]
