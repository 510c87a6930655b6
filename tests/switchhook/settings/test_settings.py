"""What a person may write into the configuration, and what they are told when it cannot be used."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from switchhook.assembly import pages_of
from switchhook.settings.mistakes import BadSettings
from switchhook.settings.settings import load, load_for_observing
from telephony.staff import Role

GOOD = """
[[pbx]]
id = "hq"
host = "10.0.0.5"
secret_file = "hq.secret"

[web]
port = 9000
"""


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [*os.environ]:
        if name.startswith("SWITCHHOOK_") or name in {"CREDENTIALS_DIRECTORY", "STATE_DIRECTORY"}:
            monkeypatch.delenv(name)


def written(folder: Path, text: str, secret: str | None = "s3cret\n") -> Path:
    """A configuration file in `folder`, with its secret beside it."""
    if secret is not None:
        (folder / "hq.secret").write_text(secret)
    file = folder / "switchhook.toml"
    file.write_text(text)
    return file


def test_a_file_with_a_secret_beside_it_is_enough(tmp_path: Path) -> None:
    """Three lines for the PBX; the secret is read from its file, and everything else has a default."""
    settings = load_for_observing(written(tmp_path, GOOD))
    [pbx] = settings.pbx
    assert pbx.secret is not None
    assert (pbx.host, pbx.port, pbx.secret.get_secret_value()) == ("10.0.0.5", 5038, "s3cret")
    assert settings.web.port == 9000
    assert settings.keep.trace_days == 30


def test_numbers_are_hidden_from_the_roles_the_file_names(tmp_path: Path) -> None:
    """From nobody unless it is written; an administrator, who can change it, cannot be named."""
    assert pages_of(load(written(tmp_path, GOOD)), "code").mask_numbers_for == frozenset()
    hidden = load(written(tmp_path, GOOD + 'mask_numbers_for = ["manager"]\n'))
    assert pages_of(hidden, "code").mask_numbers_for == {Role.MANAGER}
    with pytest.raises(BadSettings, match=r"line 9: \[web\] mask_numbers_for"):
        load(written(tmp_path, GOOD + 'mask_numbers_for = ["administrator"]\n'))


def test_the_environment_stands_above_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container sets one field of one PBX and leaves the rest of that PBX as the file has it."""
    monkeypatch.setenv("SWITCHHOOK_WEB__PORT", "9001")
    monkeypatch.setenv("SWITCHHOOK_PBX__HQ__PORT", "5039")
    settings = load(written(tmp_path, GOOD))
    assert settings.web.port == 9001
    assert (settings.pbx[0].host, settings.pbx[0].port) == ("10.0.0.5", 5039)


def test_a_systemd_credential_serves_as_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With LoadCredential the secret is in no file of the configuration; the PBX's own name wins over the common."""
    (tmp_path / "ami_secret").write_text("common")
    (tmp_path / "ami_secret.hq").write_text("own")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    settings = load_for_observing(
        written(tmp_path, '[[pbx]]\nid = "hq"\n[[pbx]]\nid = "branch"\n', secret=None)
    )
    assert [pbx.secret.get_secret_value() for pbx in settings.pbx if pbx.secret] == ["own", "common"]


def test_a_secret_is_never_printed(tmp_path: Path) -> None:
    """Settings end up in tracebacks and debuggers; the secrets in them do not."""
    text = GOOD + '[database]\nurl = "postgresql://me:dbpassword@db/calls"\n'
    shown = repr(load(written(tmp_path, text)))
    assert "s3cret" not in shown
    assert "dbpassword" not in shown


CRM = """
[[crm.connections]]
name = "sales"
adapter = "odoo"
url = "https://odoo.example.com"
secret = "an-api-key"
options = { database = "production", user_id = "2", version = "17" }

[crm.connections.users]
101 = "7"

[[crm.connections]]
name = "events"
adapter = "webhook"
url = "https://hooks.example.com/calls"
secret_file = "hq.secret"
"""


def test_crm_connections_are_read_with_their_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By file, by environment, by systemd; what a person maps stays text; nothing of a secret is printed."""
    monkeypatch.setenv("SWITCHHOOK_CRM__CONNECTIONS__SALES__FALLBACK_USER", "1")
    settings = load(written(tmp_path, GOOD + CRM))
    sales, events = settings.crm.connections
    assert sales.secret is not None
    assert events.secret is not None
    assert (sales.secret.get_secret_value(), events.secret.get_secret_value()) == ("an-api-key", "s3cret")
    assert (sales.users, sales.fallback_user, sales.options["version"]) == ({"101": "7"}, "1", "17")
    assert "an-api-key" not in repr(settings)
    (tmp_path / "crm_secret.sales").write_text("by systemd")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    sales = load(written(tmp_path, CRM.replace('secret = "an-api-key"', ""))).crm.connections[0]
    assert sales.secret is not None
    assert sales.secret.get_secret_value() == "by systemd"


def test_only_who_delivers_needs_the_secret_of_a_crm(tmp_path: Path) -> None:
    """Where systemd hands it to the service, other commands are typed without it."""
    file = written(tmp_path, GOOD + CRM.replace('secret = "an-api-key"', ""))
    assert load(file).crm.connections[0].secret is None
    with pytest.raises(BadSettings, match='"sales" has no secret'):
        load_for_observing(file)


MISTAKES = {
    "a CRM without a name": ("[[crm.connections]]\n", "number 1", "has no name"),
    "a CRM twice": (2 * '[[crm.connections]]\nname = "a"\n', "a", "two [[crm.connections]] tables"),
    "one CRM in single brackets": (
        '[crm.connections]\nname = "a"\n',
        "crm.connections",
        "not a list of tables",
    ),
    "a CRM that is none": (
        '[[crm.connections]]\nname = "a"\nurl = "https://a"\nsecret = "x"\nadapter = "paper"\n',
        "line 5",
        "[[crm.connections]] adapter",
    ),
    "a CRM's unknown key": (
        CRM.replace("secret_file", "secret_flie"),
        "line 16",
        "there is no setting [[crm.connections]] secret_flie",
    ),
    "a CRM with an option of another": (
        CRM.replace("database", "pipeline_id"),
        "sales",
        "odoo has no option pipeline_id",
    ),
    "a CRM without what it needs": (
        CRM.replace('database = "production", ', ""),
        "sales",
        "needs the option database",
    ),
    "half a file": ('[[pbx]]\nid = "hq', "line 2", "TOML"),
    "unknown key": ('[[pbx]]\nid = "hq"\n\n[web]\nprot = 1\n', "line 5", "there is no setting [web] prot"),
    "unknown section": ("[webb]\nport = 1\n", "line 1", "[webb]"),
    "wrong type": ('[web]\nport = "x"\n', "line 2", "[web] port"),
    "port out of range": ("[web]\nport = 70000\n", "line 2", "less than or equal to 65535"),
    "second PBX wrong": ('[[pbx]]\nid = "a"\n[[pbx]]\nid = "b"\nport = 0\n', "line 5", "[[pbx]] port"),
    "no id": ('[[pbx]]\nhost = "x"\n', "number 1", "has no id"),
    "one id twice": ('[[pbx]]\nid = "a"\n[[pbx]]\nid = "a"\n', "a", "two [[pbx]] tables"),
    "single brackets": ('[pbx]\nid = "a"\n', "pbx", "not a list of tables"),
    "bad pattern": ('[[pbx]]\nid = "a"\nextensions = "("\n', "line 3", "not a regular expression"),
    "another database": ('[database]\nurl = "mysql://a/b"\n', "[database] url", "PostgreSQL"),
    "a country that is none": ('[[pbx]]\nid = "a"\ndefault_region = "XX"\n', "line 3", "no country for XX"),
    "a country by another name": ('[[pbx]]\nid = "a"\ndefault_region = "UK"\n', "line 3", "GB is meant"),
    "an expression in double quotes": ('[[pbx]]\nid = "a"\nextensions = "\\d{2,4}"\n', "line 3", "not TOML"),
    "@ in a password": (
        '[database]\nurl = "postgresql://me:p@ss@db/calls"\n',
        "[database] url",
        "cannot have",
    ),
    "/ in a password": (
        '[database]\nurl = "postgresql://me:p/ss@db/calls"\n',
        "[database] url",
        "cannot have",
    ),
    "# in a password": (
        '[database]\nurl = "postgresql://me:p#s@db/calls"\n',
        "[database] url",
        "cannot have",
    ),
    "% in a password": (
        '[database]\nurl = "postgresql://me:p%s@db/calls"\n',
        "[database] url",
        "cannot have",
    ),
    "two secrets": ('[[pbx]]\nid = "a"\nsecret = "x"\nsecret_file = "hq.secret"\n', '"a"', "both"),
    "secret file missing": ('[[pbx]]\nid = "a"\nsecret_file = "gone"\n', "gone", "cannot be read"),
    "secret file is a directory": ('[[pbx]]\nid = "a"\nsecret_file = "."\n', "secret_file", "cannot be read"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_its_remedy(name: str, tmp_path: Path) -> None:
    """One sentence that names the place, another that says what to do; the secret is in neither."""
    text, place, reason = MISTAKES[name]
    with pytest.raises(BadSettings) as told:
        load(written(tmp_path, text))
    assert place in str(told.value)
    assert reason in str(told.value)
    assert "\n" not in str(told.value)
    assert told.value.remedy


@pytest.mark.parametrize("content", ["", "\n", "one\ntwo\n", "x" * 5000])
def test_a_secret_file_holds_one_line(content: str, tmp_path: Path) -> None:
    """An empty file, or a path to something else entirely, is named before the PBX refuses the login."""
    with pytest.raises(BadSettings, match="one line with a secret"):
        load(written(tmp_path, GOOD, secret=content))


def test_a_mistake_in_the_environment_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file is innocent; the sentence points at the variable."""
    monkeypatch.setenv("SWITCHHOOK_KEEP__TRACE_DAYS", "soon")
    with pytest.raises(BadSettings, match="SWITCHHOOK_KEEP__TRACE_DAYS"):
        load(written(tmp_path, GOOD))


def test_text_that_is_not_utf8_is_named_with_its_line(tmp_path: Path) -> None:
    """A file saved by an old editor."""
    file = tmp_path / "switchhook.toml"
    file.write_bytes(b"[web]\n# \xcf\xee\xf0\xf2\nport = 1\n")
    with pytest.raises(BadSettings, match="line 2"):
        load(file)


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    """Silently taking defaults instead of the file that was named would be the worst answer."""
    with pytest.raises(BadSettings, match="no configuration file"):
        load(tmp_path / "gone.toml")


def test_observing_needs_a_pbx(tmp_path: Path) -> None:
    """`switchhook run` without a PBX says what to write instead of waiting for ever."""
    with pytest.raises(BadSettings, match="No PBX is configured"):
        load_for_observing(written(tmp_path, "[web]\nport = 1\n"))


def test_state_is_kept_where_systemd_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """StateDirectory= of the unit decides; several names arrive separated by colons."""
    monkeypatch.setenv("STATE_DIRECTORY", f"{tmp_path}/state:{tmp_path}/other")
    assert load(written(tmp_path, GOOD)).database.state_dir == tmp_path / "state"


def test_phones_are_named_below_their_pbx(tmp_path: Path) -> None:
    """`[pbx.phones]` belongs to the `[[pbx]]` above it; nonsense is refused in words."""
    file = tmp_path / "switchhook.toml"
    text = '[[pbx]]\nid = "hq"\nsecret = "x"\n[pbx.phones]\nalice = "101"\n"PJSIP/001122334455" = "103"\n'
    file.write_text(text, encoding="utf-8")
    assert load(file).pbx[0].phones == {"alice": "101", "PJSIP/001122334455": "103"}
    file.write_text(text.replace('"103"', '"1 0 3"'), encoding="utf-8")
    with pytest.raises(BadSettings, match=r"phones|001122334455"):
        load(file)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:p%40s%2Fs@db:5433/calls",
        "postgresql://switchhook@/switchhook?host=/run/postgresql",
        "postgresql://db/calls",
        "postgres://me@db/calls?sslmode=require",
    ],
)
def test_an_address_that_is_well_written_is_taken(url: str, tmp_path: Path) -> None:
    """Percent-encoded, over a socket, without a user."""
    loaded = load(written(tmp_path, GOOD + f'[database]\nurl = "{url}"\n'))
    assert loaded.database.url is not None


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        ("SWITCHHOOK_PBX__HQ__PROT", "1", "no setting [[pbx]] prot"),
        ("SWITCHHOOK_PBX__HQ__PORT", "seven", "[[pbx]] port"),
        ("SWITCHHOOK_PBX__BRANCH__DEFAULT_REGION", "UK", "GB is meant"),
        ("SWITCHHOOK_WEB__PORT", "seven", "[web] port"),
        ("SWITCHHOOK_WEB__PROT", "1", "no setting [web] prot"),
    ],
)
def test_a_mistake_of_the_environment_is_blamed_on_the_environment(
    variable: str, value: str, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file may set the same, and rightly: whoever looks for the mistake there finds none."""
    monkeypatch.setenv(variable, value)
    with pytest.raises(BadSettings) as caught:
        load(written(tmp_path, GOOD.replace("[web]", "port = 5038\n[web]")))
    assert str(caught.value).startswith(f"environment, {variable}: ")
    assert reason in str(caught.value)
    assert caught.value.remedy


def test_the_remedy_says_what_a_setting_may_be(tmp_path: Path) -> None:
    """Nobody is sent to a page that is not installed."""
    with pytest.raises(BadSettings) as caught:
        load(written(tmp_path, '[[pbx]]\nid = "Head Quarters"\n'))
    assert "Lower-case letters, digits and hyphens" in (caught.value.remedy or "")
    with pytest.raises(BadSettings) as caught:
        load(written(tmp_path, GOOD + "[keep]\ntrace_days = -1\n"))
    assert "raw messages" in (caught.value.remedy or "")
