"""The page docs/reference/settings.md, written from the fields of `tables.py`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from switchhook.settings.tables import SECTIONS, TABLES_IN, Section


def reference() -> str:
    """The page docs/reference/settings.md, written from the fields."""
    lines = [
        "# Settings",
        "",
        "This page is written from `switchhook/settings/tables.py`; do not edit it. To write it again:",
        "`./dev run settings-reference > docs/reference/settings.md`",
        "",
        "One TOML file: the one named by `--config`, else `./switchhook.toml`, else `/etc/switchhook/switchhook.toml`.",
        "The environment stands above it: `[web] port` is `SWITCHHOOK_WEB__PORT`, and a field of the PBX whose id",
        "is `hq` is `SWITCHHOOK_PBX__HQ__HOST`; of the CRM connection `sales`, `SWITCHHOOK_CRM__CONNECTIONS__SALES__URL`.",
        "A key that is not listed here is refused, with its line.",
    ]
    for name, section in SECTIONS.items():
        inner = {path: table for path, table in TABLES_IN.items() if path.startswith(f"{name}.")}
        if not inner:
            lines += _table(f"[[{name}]]" if name == "pbx" else f"[{name}]", section)
        for path, table in inner.items():
            lines += _table(f"[[{path}]]", table)
    return "\n".join(lines) + "\n"


def _table(heading: str, section: type[Section]) -> list[str]:
    lines = ["", f"## `{heading}`", "", " ".join((section.__doc__ or "").split()), ""]
    lines += ["| key | default | meaning | why this default |", "|---|---|---|---|"]
    return lines + [_row(key, field) for key, field in section.model_fields.items()]


def _row(key: str, field: Any) -> str:  # pydantic's FieldInfo keeps our notes in an untyped dict
    notes: Mapping[str, str] = field.json_schema_extra
    default = "required" if field.is_required() else "none" if field.default is None else _toml(field.default)
    unit = f" Unit: {notes['unit']}." if notes["unit"] else ""
    cells = (f"`{key}`", default, f"{field.description}{unit}", notes["reason"])
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{json.dumps(value)}`"
    return (
        f"`'{value}'`"
        if isinstance(value, str) and "\\" in value
        else f'`"{value}"`'
        if isinstance(value, str)
        else f"`{value}`"
    )
