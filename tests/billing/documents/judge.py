"""The official rules of EN 16931 for Factur-X, as published with it, run by Saxon."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import facturx
import saxonche
from lxml import etree

_RULES = Path(facturx.__file__).parent / "xsd_and_schematron/facturx-en16931/FACTUR-X_EN16931.xslt"
_SVRL = {"svrl": "http://purl.oclc.org/dsdl/svrl"}


@functools.cache
def _rules() -> tuple[Any, Any]:
    processor = saxonche.PySaxonProcessor(license=False)
    return processor, processor.new_xslt30_processor().compile_stylesheet(stylesheet_file=str(_RULES))


def broken_rules(xml: bytes) -> list[str]:
    """What the rules find wrong, in their own words; nothing for a document that keeps them all."""
    processor, rules = _rules()
    told = rules.transform_to_string(xdm_node=processor.parse_xml(xml_text=xml.decode()))
    found = etree.fromstring(told.encode())
    assert found.xpath("//svrl:fired-rule", namespaces=_SVRL), "no rule looked at it"
    return [
        " ".join("".join(rule.itertext()).split()) for rule in found.xpath("//svrl:failed-assert", namespaces=_SVRL)
    ]
