"""The catalogue in docs/guides/webhooks.md, from the code: `uv run scripts/webhook_catalogue.py` writes it.

A test holds the guide to it.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
GUIDE = ROOT / "docs/guides/webhooks.md"
MARK = "<!-- catalogue -->\n"


def text() -> str:
    """The guide with the catalogue as it is in the code."""
    from alerts.catalogue import KINDS, TEST
    from alerts.examples import EXAMPLES
    from alerts.webhooks.messages import schema_of

    kinds = (*KINDS.values(), TEST)
    parts = [GUIDE.read_text().partition(MARK)[0] + MARK]
    parts.append("\n| event | when |\n|---|---|\n")
    parts += [
        f"| [`{kind.name}`](#{kind.name.replace('.', '')}) | {kind.about} |\n" for kind in (*KINDS.values(), TEST)
    ]
    for kind in kinds:
        schema = schema_of(kind)
        data = {name: value for name, value in EXAMPLES[kind.name].items() if name != "page"}
        parts.append(f"\n### {kind.name}\n\n{schema['description']}\n\n```json\n{json.dumps(data, indent=2)}\n```\n")
        parts.append("\n| field | type | |\n|---|---|---|\n")
        parts += [
            f"| `{name}` | {_type(what, schema)} | {what.get('description', '')} |\n"
            for name, what in schema["properties"].items()
        ]
    return "".join(parts)


def _type(what: dict[str, Any], schema: dict[str, Any]) -> str:
    if "$ref" in what:
        inner = schema["$defs"][what["$ref"].rsplit("/", 1)[-1]]
        return "{" + ", ".join(f"`{name}`" for name in inner["properties"]) + "}"
    if "anyOf" in what:
        return " or ".join(_type(one, schema) for one in what["anyOf"])
    if "enum" in what:
        return ", ".join(f'`"{one}"`' for one in what["enum"])
    if what["type"] == "array":
        return f"list of {_type(what['items'], schema)}"
    return str(what.get("format") or ("decimal string" if "pattern" in what else what["type"]))


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    os.environ |= {"DJANGO_SETTINGS_MODULE": "config.settings", "DEBUG": "1", "TOKENLEDGER_EMBEDDED": "off"}
    import django

    django.setup()
    GUIDE.write_text(text())
