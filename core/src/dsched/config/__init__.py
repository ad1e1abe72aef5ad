"""Settings and task files: YAML, environment and flags to checked attrs values."""

from dsched.config.durations import InvalidDurationError, format_duration, parse_duration
from dsched.config.printing import print_config
from dsched.config.problems import ConfigError, Problem
from dsched.config.reading import LoadedSettings, read_plugin_settings, read_settings
from dsched.config.settings import (
    LogSettings,
    PluginSettings,
    PodSettings,
    ScheduleSettings,
    Settings,
    TaskSettings,
    WorkerSettings,
)

__all__ = [
    "ConfigError",
    "InvalidDurationError",
    "LoadedSettings",
    "LogSettings",
    "PluginSettings",
    "PodSettings",
    "Problem",
    "ScheduleSettings",
    "Settings",
    "TaskSettings",
    "WorkerSettings",
    "format_duration",
    "parse_duration",
    "print_config",
    "read_plugin_settings",
    "read_settings",
]
