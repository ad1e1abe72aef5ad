"""How often the scripts of a Redis have run which command."""

from dsched_testkit.servers import RedisServer

OF_SCRIPTS_ALONE = {"evalsha", "eval", "info", "config", "config|resetstat", "memory|usage"}


def commands_of_scripts(server: RedisServer) -> dict[str, int]:
    """Calls by command since the last ``CONFIG RESETSTAT``, without those that call scripts."""
    rows = (line.partition(":") for line in str(server.command("INFO", "commandstats")).split())
    counted = {
        name.removeprefix("cmdstat_"): int(row.partition("calls=")[2].partition(",")[0])
        for name, colon, row in rows
        if colon and name.startswith("cmdstat_")
    }
    return {name: calls for name, calls in counted.items() if name not in OF_SCRIPTS_ALONE}
