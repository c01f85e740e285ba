"""Files that change under a running process: as the kubelet swaps a ConfigMap, as a person edits, as a tool renames."""

import os
import sys
from pathlib import Path

import pytest

from sidecar.base.watch import Watch
from sidecar.reference import save
from tests.plugins.programs import model_sidecar
from tests.plugins.serving import Start, event, fraud_config, fraud_profile, get, post, samples, value, wait_until
from tools.process import SidecarProcess, started

OFTEN = "--config.auto-reload-interval=100ms"


class ConfigMap:
    """A folder as the kubelet mounts it: files are links through `..data`, which is swapped in one step."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._versions = 0

    def write(self, **files: str | bytes) -> None:
        """Replace all files at once; `a_b` is `a.b`."""
        self._versions += 1
        version = self.folder / f"..2026_11_23_{self._versions}"
        version.mkdir(parents=True)
        for name, content in files.items():
            text = content if isinstance(content, bytes) else content.encode()
            (version / name.replace("_", ".")).write_bytes(text)
        before = (self.folder / "..data").readlink() if self._versions > 1 else None
        link = self.folder / "..data_tmp"
        link.symlink_to(version.name)
        link.replace(self.folder / "..data")
        for name in files:
            visible = self.folder / name.replace("_", ".")
            if not visible.is_symlink():
                visible.symlink_to(f"..data/{visible.name}")
        if before is not None:
            for path in (self.folder / before).iterdir():
                path.unlink()
            (self.folder / before).rmdir()


def profile(directory: Path, rows: int) -> bytes:
    save(fraud_profile(rows), directory / "made.json")
    return (directory / "made.json").read_bytes()


CONFIG = "models: [{name: fraud, reference: fraud.json}]\n"


def reference(process: SidecarProcess) -> str:
    [labels] = [dict(pairs) for name, pairs in samples(process.url) if name == "model_reference_info"]
    return labels["reference"]


def test_a_swapped_config_map_is_loaded_and_a_bad_one_leaves_the_old_one_serving(start: Start, tmp_path: Path) -> None:
    mounted = ConfigMap(tmp_path / "config")
    mounted.write(sidecar_yml=CONFIG, fraud_json=profile(tmp_path, 1000))
    process = start(tmp_path / "config" / "sidecar.yml", options=[OFTEN])
    post(process.url, [event()] * 10)
    assert reference(process) == fraud_profile(1000).fingerprint

    mounted.write(sidecar_yml=CONFIG, fraud_json=profile(tmp_path, 2000))
    wait_until(lambda: reference(process) == fraud_profile(2000).fingerprint)

    # A reference that is not there yet: its arrival is noticed, though the configuration stays as it is.
    mounted.write(sidecar_yml=CONFIG.replace("fraud.json", "later.json"), fraud_json=profile(tmp_path, 2000))
    wait_until(lambda: reloaded(process) == 0)
    assert reference(process) == fraud_profile(2000).fingerprint
    assert "later.json: No such file or directory" in process.log.read_text()
    (tmp_path / "config" / "later.json").write_bytes(profile(tmp_path, 3000))
    wait_until(lambda: reference(process) == fraud_profile(3000).fingerprint)
    assert reloaded(process) == 1
    assert value(samples(process.url), "model_predictions_total") == 10


def reloaded(process: SidecarProcess) -> float:
    return value(samples(process.url), "model_sidecar_config_last_reload_successful")


def test_a_bad_file_is_tried_once_for_each_change(start: Start, tmp_path: Path) -> None:
    config = fraud_config(tmp_path)
    process = start(config, options=[OFTEN])
    config.write_text("models: 3\n")
    wait_until(lambda: reloaded(process) == 0)
    # Another file is loaded later than any further try of the bad one would have been.
    for times in (2, 3):
        config.write_text(f"models: {'x' * times}\n")
        wait_until(lambda times=times: failures(process) == times)  # type: ignore[misc]
    assert get(process.url, "/-/ready").status == 200
    fraud_config(tmp_path)
    wait_until(lambda: reloaded(process) == 1)
    assert failures(process) == 3


def failures(process: SidecarProcess) -> int:
    return process.log.read_text().count("reload failed, going on as before")


def test_a_file_that_was_renamed_into_its_place_is_loaded(start: Start, tmp_path: Path) -> None:
    config = fraud_config(tmp_path)
    process = start(config, options=[OFTEN])
    other = tmp_path / "new.yml"
    other.write_text(config.read_text() + "    version: '8'\n")
    # As old as the one before, and as long: only the inode is another.
    os.utime(other, ns=(0, config.stat().st_mtime_ns))
    other.replace(config)
    wait_until(lambda: any(dict(pairs).get("model_version") == "8" for _, pairs in samples(process.url)))


def test_there_must_be_a_file_to_look_at() -> None:
    finished = model_sidecar("serve", OFTEN, "--ingest.listen-address=127.0.0.1:0")
    sentence = "model-sidecar: --config.auto-reload-interval: it is for --config.file, of which there is none\n"
    assert (finished.returncode, finished.stderr) == (1, sentence)


def test_policies_of_rollbacks_are_loaded_again_too(tmp_path: Path) -> None:
    policies = "policies: [{name: %s, action: rollback, namespaces: [ml]}]\n"
    mounted = ConfigMap(tmp_path / "config")
    mounted.write(policy_yml=policies % "one")
    command = [sys.executable, "-m", "sidecar", "rollback", f"--config.file={tmp_path / 'config' / 'policy.yml'}"]
    command += ["--kubernetes.mode=none", "--web.listen-address=127.0.0.1:0", OFTEN]
    log = tmp_path / "rollback.log"
    with started(command, log, listeners=1):
        mounted.write(policy_yml=policies % "two")
        wait_until(lambda: "policy=two" in log.read_text())
        mounted.write(policy_yml="policies: 3")
        wait_until(lambda: "reload failed, going on as before" in log.read_text())


@pytest.mark.parametrize("change", ["write", "remove", "link"])
def test_a_change_is_told_once(tmp_path: Path, change: str) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    path.write_text("1")
    other.write_text("2")
    watch = Watch([path, other])
    assert watch.changed() == []
    path.unlink()
    if change == "write":
        path.write_text("longer")
    elif change == "link":
        path.symlink_to(other)
    assert watch.changed() == [path]
    assert watch.changed() == []


def test_a_file_that_is_followed_later_is_told_of_from_then_on(tmp_path: Path) -> None:
    path, other = tmp_path / "a", tmp_path / "b"
    watch = Watch([path])
    path.write_text("1")
    watch.follow([path, other])
    other.write_text("2")
    assert watch.changed() == [path, other]
