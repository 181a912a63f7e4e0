"""When lines of cron fit, as two programs that know nothing of ours have it: croniter says which
times of a clock fit, zoneinfo when the clock of a zone shows them. Reads {"zones", "lines", "from",
"to"} and prints, for each zone and line, the seconds since 1970, a line each."""

import datetime
import json
import sys
import zoneinfo

import croniter

UTC = datetime.timezone.utc


def shown(line, start, end):
    """The times of a clock that is never set."""
    runs = croniter.croniter(line, start - datetime.timedelta(minutes=1))
    while True:
        time = runs.get_next(datetime.datetime)
        if time >= end:
            return
        yield time


def moments(time, zone, is_hourly):
    """When the clock shows the time: once, unless it is something of every hour."""
    first = time.replace(tzinfo=zone)
    second = time.replace(tzinfo=zone, fold=1)
    utc = first.astimezone(UTC)
    is_gap = utc.astimezone(zone).replace(tzinfo=None) != time
    is_twice = not is_gap and first.utcoffset() != second.utcoffset()
    if is_hourly and is_gap:
        return []
    if is_hourly and is_twice:
        return [utc, second.astimezone(UTC)]
    return [utc]


asked = json.load(sys.stdin)
start, end = (datetime.datetime.fromisoformat(asked[it]) for it in ("from", "to"))
for line in asked["lines"]:
    times = list(shown(line, start, end))
    is_hourly = line.split()[1] == "*"
    for name in asked["zones"]:
        zone = zoneinfo.ZoneInfo(name)
        runs = {int(it.timestamp()) for time in times for it in moments(time, zone, is_hourly)}
        print(json.dumps([name, line, sorted(runs)]))
