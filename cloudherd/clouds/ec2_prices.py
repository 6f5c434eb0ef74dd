"""What EC2's sizes cost by the table that comes with libcloud: on demand, under Linux, in dollars an hour.

Only good for telling a dear size from a cheap one: a release old, and without anybody's discounts. EC2 itself tells no
prices. The table is large, so that of it only the regions that accounts are in are kept.
"""

from __future__ import annotations

import threading
from functools import cache

from libcloud import pricing

_LOCK = threading.Lock()


@cache
def prices(region: str) -> dict[str, float]:
    """By instance type; what the table does not know, or knows as free, is left out."""
    with _LOCK:  # libcloud keeps what it reads in a place that is all threads', where another one may just drop it
        table = pricing.get_pricing("compute", "ec2_linux")
        pricing.invalidate_module_pricing_cache("compute", "ec2_linux")
    return {name: float(by_region[region]) for name, by_region in table.items() if float(by_region.get(region) or 0)}
