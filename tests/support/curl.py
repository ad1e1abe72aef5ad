"""`curl` of the pages on a machine without one: a GET, as `curl -sf URL` makes it."""

import argparse
import sys
import urllib.error
import urllib.request

FAILED, REFUSED, TIMEOUT_S = 22, 7, 20  # the exit codes are curl's


def main(argv: list[str]) -> int:
    """Write what the address answers to stdout; the exit code as curl's."""
    parser = argparse.ArgumentParser(prog="curl", description="what the pages need of curl")
    parser.add_argument("-s", action="store_true", required=True, help="no progress, no errors")
    parser.add_argument("-f", action="store_true", required=True, help="22 for 400 and above")
    parser.add_argument("url")
    url = parser.parse_args(argv).url
    straight = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with straight.open(url, timeout=TIMEOUT_S) as answer:
            sys.stdout.buffer.write(answer.read())
    except urllib.error.HTTPError as error:
        error.close()
        return FAILED
    except OSError:
        return REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
