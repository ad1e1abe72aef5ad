"""How much one call of a step may carry."""

MAX_BATCH = 100  # items in one call of any step; more is a ValueError
# The same for put, fire, release and prune, which write a dozen things an item: while one step
# runs, a store may answer no other.
MAX_HEAVY_BATCH = 40
MAX_WORKERS = 1000  # registered workers of one store
MAX_EVENT_PAGE = 1000
MAX_CAPACITY = 10_000  # attempts of one worker at once
