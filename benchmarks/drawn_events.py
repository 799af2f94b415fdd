"""The events of the data set, drawn by SQL: which models, keys and people have how many of them."""

from __future__ import annotations

from benchmarks.workload import FEATURES, MODELS, PROJECTS
from metering.dimensions import Kind
from metering.store.staging import EVENT_COLUMNS

# Of each organization.
MEMBERS, TEAMS, DEPARTMENTS, KEYS, END_USERS = 40, 6, 3, 15, 400

LABELS: dict[Kind, tuple[str, ...]] = {
    # The last but one costs nothing, the last has no price.
    Kind.MODEL: (*MODELS, "llama-3.3-70b", "house-model"),
    Kind.PROVIDER: ("openai", "azure", "openrouter", "self-hosted"),
    Kind.ENDPOINT: ("/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/batches"),
    Kind.FEATURE: FEATURES,
    Kind.TOOL: ("search", "code", "calendar", "mail", "tickets"),
    Kind.INTEGRATION: ("slack", "github", "jira", "zapier"),
    Kind.STATUS: ("ok", "error", "rate_limited", "timeout"),
    Kind.END_USER: tuple(f"customer-{number:03d}" for number in range(END_USERS)),
}

_RAW_USAGE = (
    '{"prompt_tokens": 1250, "completion_tokens": 310, "total_tokens": 1560,'
    ' "prompt_tokens_details": {"cached_tokens": 512, "audio_tokens": 0},'
    ' "completion_tokens_details": {"reasoning_tokens": 96, "audio_tokens": 0,'
    ' "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}}'
)
# Chats of an organization that are open at the same time, and the events each gets.
_OPEN_CHATS, _EVENTS_OF_A_CHAT, _CHAT_SHARE = 20, 8, 0.6

# Calls a file is attached to. Which of an organization's files it is, and so its size, follows from the chat.
_FILE_SHARE = 0.06
_FILES = """jsonb_build_object('files', jsonb_build_array(jsonb_build_object('id', 'file-' || mod(chat, 300),
    'name', 'Document ' || mod(chat, 300) || '.pdf', 'size_bytes', 20000 + 9000 * mod(chat, 300),
    'tokens', prompt / 2)))"""

# Powers of a random number make the first of a list the most used. A key is used with four models, and an organization
# with fewer events has fewer customers.
_DRAWS = """
SELECT hour_at + (n - random()) / events * interval '1 hour' AS at, first + n AS number,
    width_bucket(random(), %(zipf)s::float8[]) AS o,
    floor(%(keys)s * random() ^ 2)::int AS key, floor(4 * random() ^ 2)::int AS choice,
    floor(%(members)s * random() ^ 1.5)::int AS member, random() AS customer,
    floor(8 * random() ^ 2)::int AS feature, floor(40 * random())::int AS tool, floor(8 * random())::int AS integration,
    floor(4 * random() ^ 3)::int AS endpoint, floor(4 * random() ^ 40)::int AS status,
    (exp(random_normal(6.5, 1.2)))::int + 1 AS prompt, (exp(random_normal(5, 1)))::int + 1 AS completion,
    (exp(random_normal(7.3, 0.8)))::int AS duration, random() AS chance, random() AS chatty, random() AS slot
FROM unnest(%(hours)s::timestamptz[], %(counts)s::int[], %(firsts)s::bigint[]) AS h (hour_at, events, first),
    generate_series(1, events) AS n
"""


def insert_events(first: dict[str, int]) -> str:
    def entity(name: str, count: int, pick: str) -> str:
        return f"{first[name]} + o * {count} + {pick}"

    def label(kind: Kind, pick: str) -> str:
        return entity(kind.name.lower(), len(LABELS[kind]), pick)

    def maybe(kind: Kind, pick: str) -> str:
        """A value of the label's list, or none when what was drawn lies beyond it."""
        return f"CASE WHEN {pick} < {len(LABELS[kind])} THEN {label(kind, pick)} ELSE 0 END"

    unpriced, free = len(LABELS[Kind.MODEL]) - 1, len(LABELS[Kind.MODEL]) - 2

    def cost(priced: str) -> str:
        return f"CASE WHEN model = {unpriced} THEN NULL WHEN model = {free} THEN 0 ELSE {priced} END"

    inward, outward = "prompt::bigint * (100 + 250 * model)", "completion::bigint * (400 + 1000 * model)"
    project = f"mod(key, {len(PROJECTS)})"
    team = f"mod({project}, {TEAMS})"
    has_chat = f"chatty < {_CHAT_SHARE}"
    values = {
        "organization_id": entity("organization", 1, "0"),
        "occurred_at": "at",
        "key": "md5(number::text)::uuid",
        "received_at": "at + interval '2 seconds'",
        "cost_nanos": cost(f"{inward} + {outward}"),
        "input_cost_nanos": cost(inward),
        "output_cost_nanos": cost(outward),
        "project_id": entity("project", len(PROJECTS), project),
        "team_id": entity("team", TEAMS, team),
        "department_id": entity("department", DEPARTMENTS, f"mod({team}, {DEPARTMENTS})"),
        "member_id": f"CASE WHEN chance < 0.9 THEN {entity('member', MEMBERS, 'member')} ELSE 0 END",
        "api_key_id": entity("api_key", KEYS, "key"),
        "model_id": label(Kind.MODEL, "model"),
        "provider_id": label(Kind.PROVIDER, f"mod(model, {len(LABELS[Kind.PROVIDER])})"),
        "endpoint_id": label(Kind.ENDPOINT, "endpoint"),
        "feature_id": maybe(Kind.FEATURE, "feature"),
        "tool_id": maybe(Kind.TOOL, "tool"),
        "integration_id": maybe(Kind.INTEGRATION, "integration"),
        "status_id": label(Kind.STATUS, "status"),
        "end_user_id": f"CASE WHEN chance > 0.4 THEN {label(Kind.END_USER, 'end_user')} ELSE 0 END",
        "input": "prompt - prompt / 3",
        "cache_read": "prompt / 3",
        "output": "completion - completion / 5",
        "reasoning": "completion / 5",
        "duration_ms": "duration",
        "time_to_first_token_ms": "duration / 8",
        "pricing": f"CASE model WHEN {unpriced} THEN 3 WHEN {free} THEN 2 ELSE 1 END",
        "is_error": "status > 0",
        "is_estimated": "chance < 0.02",
        "is_usage_known": "chance > 0.005",
        "event_id": "'chatcmpl-' || lpad(number::text, 20, '0')",
        "price_rule": "'list price of 2025-04-14'",
        "chat": f"CASE WHEN {has_chat} THEN md5(o || '-' || chat)::uuid::text END",
        "message": f"CASE WHEN {has_chat} THEN 'msg_' || lpad(number::text, 20, '0') END",
        "tags": """CASE WHEN chance < 0.2 THEN '{"env": "prod", "region": "eu"}'::jsonb END""",
        "raw_usage": f"'{_RAW_USAGE}'::jsonb",
        "detail": f"CASE WHEN {has_chat} AND chance < 0.3 THEN jsonb_build_object('chat_title', 'Chat ' || chat)"
        f" WHEN chance > {1 - _FILE_SHARE} THEN {_FILES} END",
    }
    nullable = {"service_tier"}
    listed = ", ".join(values.get(name) or ("NULL" if name in nullable else "0") for name in EVENT_COLUMNS)
    # An organization's events fill its open chats in turn, so that a chat's events are near each other.
    chats = f"(number * share / {_OPEN_CHATS * _EVENTS_OF_A_CHAT / _CHAT_SHARE})::bigint * {_OPEN_CHATS}"
    return f"""
WITH added AS (
    INSERT INTO metering_event ({", ".join(EVENT_COLUMNS)})
    SELECT {listed}
    FROM (
        SELECT *, mod(key * 5 + choice, {len(LABELS[Kind.MODEL])}) AS model,
            floor({END_USERS} * customer ^ 2 / sqrt(o + 1))::int AS end_user,
            {chats} + floor(slot * {_OPEN_CHATS})::bigint AS chat
        FROM (SELECT *, (%(shares)s::float8[])[o + 1] AS share FROM ({_DRAWS}) AS draws) AS shared
    ) AS events
    RETURNING organization_id, key, occurred_at
)
INSERT INTO metering_event_key (organization_id, key, body_hash, occurred_at)
SELECT organization_id, key, key, occurred_at FROM added ORDER BY organization_id, key
"""
