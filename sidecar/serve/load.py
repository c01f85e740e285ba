"""Load the configuration and the references it names."""

from pathlib import Path

from sidecar.base.configfile import ConfigError
from sidecar.config import Config, Limits, load
from sidecar.reference import profile
from sidecar.reference.profile import CategoricalProfile, Profile, ProfileError

Loaded = tuple[Config, dict[str, Profile | None]]


def load_all(config_file: Path | None) -> Loaded:
    """Return the configuration, and for each model its reference or None where one is to be learned.

    Without a file, one model named `default` learns its reference. Raises ConfigError.
    """
    config = Config() if config_file is None else load(config_file)
    profiles: dict[str, Profile | None] = {}
    for i, model in enumerate(config.models):
        profiles[model.name] = None
        if model.reference is not None:
            try:
                reference = profile.load(Path(model.reference))
            except ProfileError as error:
                raise ConfigError(f"{config_file}: models[{i}].reference: {error}") from error
            _check_limits(reference, config.limits, f"{config_file}: models[{i}].reference: {model.reference}")
            profiles[model.name] = reference
    return config, profiles


def files(config_file: Path) -> list[Path]:
    """Return the files that a configuration consists of: itself, and the references that it names if it can be read."""
    try:
        config = load(config_file)
    except ConfigError:
        return [config_file]
    return [config_file, *(Path(model.reference) for model in config.models if model.reference is not None)]


def _check_limits(reference: Profile, limits: Limits, where: str) -> None:
    if len(reference.inputs) > limits.features:
        raise ConfigError(f"{where}: {len(reference.inputs)} features, but limits.features is {limits.features}")
    for feature in reference.features:
        if isinstance(feature, CategoricalProfile) and len(feature.categories) > limits.categories:
            raise ConfigError(
                f"{where}: {feature.name!r} has {len(feature.categories)} categories, "
                f"but limits.categories is {limits.categories}"
            )
