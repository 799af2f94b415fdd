"""OTLP/HTTP: spans of model calls become events, each call once. The rules are in docs/algorithms/opentelemetry.md.

    bytes → spans (wire, wire_json) → reports of model calls (calls, usage) → calls (joining) → events (report)

One call may be reported by several spans, in one request or in several: what was reported lately is remembered
(memory), and `record` settles what a new report adds to it.
"""
