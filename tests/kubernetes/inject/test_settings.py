"""Settings of the injector: a mistake is told in one sentence."""

from pathlib import Path

import pytest

from sidecar.base.configfile import ConfigError
from sidecar.kubernetes.inject.settings import Settings, load, parse


def test_an_empty_file_is_the_defaults() -> None:
    assert parse("", Path("inject.yml")) == Settings() == load(None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("imge: a", "inject.yml: there is no such key: `imge`"),
        ("image: ''", "inject.yml: image: '' is not allowed: an image such as registry.example/model-sidecar:1.0"),
        ("user: 0", "inject.yml: user: 0 is not allowed: a number of a user other than root"),
        ("socket_dir: run", "socket_dir: 'run' is not allowed: an absolute path such as /run/model-sidecar"),
        ("state: {size_limit: 1}", "inject.yml: state.size_limit: 1: Expected `str`, got `int`"),
        ("resources: {limits: {memory: 1}}", "resources.limits.memory: 1: Expected `str`, got `int`"),
        ("resources: {limits: {memory: 1Ki}}", "inject.yml: resources.requests.memory: '96Mi' is above the limit"),
        ("resources: {limits: {cpu: 1m}}", "inject.yml: resources.requests.cpu: '50m' is above the limit"),
        ("image_pull_policy: Sometimes", "image_pull_policy: 'Sometimes': Invalid enum value 'Sometimes'"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text, Path("inject.yml"))

    assert message in str(caught.value)
