"""A round of the durability figures: a server that forgets everything loses what it had, and the
load goes on."""

import random

import pytest
from chaos.durability import measure

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


async def test_what_a_server_without_a_disk_forgets_is_counted_and_the_load_goes_on(tmp_path):
    one = await measure("dev", "kill", 0, 0, folder=tmp_path, chance=random.Random(1))
    assert 0 < one.lost < one.acknowledged, one
    assert not one.broken
