"""Profiles are created after their services were tested, and no password is displayed."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiida.manage.configuration import Profile, get_config

from aiida_mlip_autopipec.config.errors import UserError
from aiida_mlip_autopipec.config.read import parse_settings
from aiida_mlip_autopipec.config.schemas.setup import PostgresConfig, ProfileConfig, RabbitmqConfig
from aiida_mlip_autopipec.setup.profile import check_secrets, setup_profile

SECRET = "not-to-be-seen"
CLOSED_PORT = 9

pytestmark = pytest.mark.usefixtures("aiida_profile")


def ask(what: str) -> str:
    assert "not-to" not in what
    return SECRET


def test_existing_profile_is_not_changed(aiida_profile: Profile) -> None:
    with pytest.raises(UserError, match="it is not changed"):
        setup_profile(ProfileConfig(name=aiida_profile.name), ask)


@pytest.mark.parametrize(
    ("service", "how"),
    [
        ({"postgres": PostgresConfig(host="127.0.0.1", port=CLOSED_PORT)}, "createdb"),
        ({"rabbitmq": RabbitmqConfig(port=CLOSED_PORT)}, "rabbitmq-diagnostics"),
    ],
)
def test_profile_is_not_created_if_a_service_does_not_answer(
    service: dict[str, PostgresConfig | RabbitmqConfig], how: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(UserError, match=how) as raised:
        setup_profile(ProfileConfig(name="nowhere", **service), ask)
    assert SECRET not in str(raised.value) + caplog.text
    assert "nowhere" not in get_config().profile_names


def test_file_with_a_password_must_be_readable_only_by_its_owner(tmp_path: Path) -> None:
    path = tmp_path / "profile.yaml"
    path.touch(mode=0o644)
    check_secrets(ProfileConfig(postgres=PostgresConfig()), path)
    secret = ProfileConfig(postgres=PostgresConfig(password=SECRET))
    with pytest.raises(UserError, match="chmod 600"):
        check_secrets(secret, path)
    path.chmod(0o600)
    check_secrets(secret, path)


def test_passwords_are_not_in_error_messages() -> None:
    settings = ProfileConfig(postgres=PostgresConfig(password=SECRET))
    assert SECRET not in f"{settings} {settings.model_dump_json()}"
    with pytest.raises(UserError) as raised:
        parse_settings(ProfileConfig, {"postgres": {"password": [SECRET], "port": "x"}}, "profile.yaml")
    assert SECRET not in str(raised.value)
    assert ProfileConfig(postgres={"password": 12345}).postgres.password.get_secret_value() == "12345"
