"""Measures what each durability profile loses: ``python tests/chaos/durability_cli.py``."""

import argparse
import asyncio
import json
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "support"))

from chaos.durability import ROUNDS, Round, measure  # noqa: E402

RESULTS = ROOT / "docs" / "results" / "durability.json"


def main(argv: Sequence[str] | None = None) -> int:
    """1 if a profile lost more than it says (`Round.broken`)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="of each profile and cut")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--profile", choices=sorted({key[0] for key in ROUNDS}), help="this alone")
    parser.add_argument("--cut", choices=sorted({key[1] for key in ROUNDS}), help="this alone")
    parser.add_argument("--record", action="store_true", help="write docs/results")
    options = parser.parse_args(argv)
    chance, found = random.Random(options.seed), []
    if options.record and (options.profile or options.cut):
        parser.error("--record is of all profiles and cuts")
    for key in ROUNDS:
        if options.profile not in (None, key[0]) or options.cut not in (None, key[1]):
            continue
        for _ in range(options.rounds):
            with tempfile.TemporaryDirectory() as folder:
                one = asyncio.run(measure(*key, folder=Path(folder), chance=chance))
            print(json.dumps(attrs.asdict(one)), flush=True)
            found.append(one)
    if options.record:
        text = json.dumps(summed(found), indent=1, sort_keys=True)
        RESULTS.write_text(text + "\n", encoding="utf-8")
    return int(any(one.broken for one in found))


def summed(rounds: list[Round]) -> dict[str, Any]:
    """The rounds, and what each profile lost in all."""
    sums: dict[str, Any] = {}
    for key in ROUNDS:
        some = [one for one in rounds if (one.profile, one.cut, one.replicas, one.needs) == key]
        sums["{} {} {} {}".format(*key)] = {
            "rounds": len(some),
            "acknowledged": sum(one.acknowledged for one in some),
            "lost": sum(one.lost for one in some),
            "longest_loss_s": max((one.loss_s for one in some), default=0.0),
            "longest_silence_s": max((one.silence_s for one in some), default=0.0),
            "fired": sum(one.fired for one in some),
            "twice": sum(one.twice for one in some),
        }
    return {"format": 1, "sums": sums, "rounds": [attrs.asdict(one) for one in rounds]}


if __name__ == "__main__":
    sys.exit(main())
