"""What of a call its files were: each file's share of the prompt's tokens and cost, as SQL over one event row.

docs/algorithms/files.md has the rule and a worked example. Shares are cut from the running sum of the files' tokens, in
the order of their ids, so that rounding moves a token or a nano-dollar from one file to the next and never makes one:
they sum to the part of the prompt that files are, rounded down.
"""

from __future__ import annotations

from metering.events import PROMPT_BUCKETS

HAS_FILES = "detail ? 'files'"
# A door of another kind may have kept something else under that name.
FILES = "CASE WHEN jsonb_typeof(detail -> 'files') = 'array' THEN detail -> 'files' END"
# Of all calls with files, each counted once: the name that no file has.
ANY_FILE = ""

_PROMPT = " + ".join(f"{bucket}::numeric" for bucket in PROMPT_BUCKETS)
_TOLD = (
    "CASE WHEN jsonb_typeof(detail #> '{input_parts,files}') = 'number'"
    " THEN (detail #>> '{input_parts,files}')::numeric END"
)

# Columns: file, in_chat, file_name, size_bytes, extracted (tokens of the whole file), share_tokens, share_nanos.
# A share is NULL where nobody told enough to know it.
FILE_SHARES = f"""
(WITH listed AS (
    SELECT f ->> 'id' AS file, max(f ->> 'name') AS file_name, max((f ->> 'size_bytes')::bigint) AS size_bytes,
        max((f ->> 'tokens')::bigint) AS extracted
    FROM jsonb_array_elements({FILES}) AS f WHERE f ->> 'id' <> '{ANY_FILE}' GROUP BY 1
), weighed AS (
    SELECT *, count(*) OVER () = 1 AND extracted IS NULL AND {_TOLD} IS NOT NULL AS is_all,
        bool_or(extracted IS NULL) OVER () AS is_incomplete
    FROM listed
), summed AS (
    SELECT *, CASE WHEN is_all THEN 1 ELSE coalesce(extracted, 0) END AS weight,
        sum(CASE WHEN is_all THEN 1 ELSE coalesce(extracted, 0) END) OVER () AS weights,
        sum(CASE WHEN is_all THEN 1 ELSE coalesce(extracted, 0) END) OVER (ORDER BY file COLLATE "C") AS upto
    FROM weighed
), placed AS (
    SELECT *, {_PROMPT} AS prompt,
        CASE WHEN is_all THEN LEAST({_PROMPT}, {_TOLD})
             WHEN is_incomplete THEN LEAST({_PROMPT}, {_TOLD}, weights)
             ELSE LEAST({_PROMPT}, coalesce({_TOLD}, weights)) END AS of_files
    FROM summed
), shares AS (
    SELECT file, file_name, size_bytes, extracted,
        CASE WHEN is_usage_known AND (is_all OR extracted IS NOT NULL) THEN
            coalesce(div(of_files * upto, nullif(weights, 0)) - div(of_files * (upto - weight), nullif(weights, 0)), 0)
        END AS share_tokens,
        CASE WHEN is_usage_known AND (is_all OR extracted IS NOT NULL) AND input_cost_nanos IS NOT NULL THEN
            coalesce(div(input_cost_nanos * of_files * upto, nullif(prompt * weights, 0))
                - div(input_cost_nanos * of_files * (upto - weight), nullif(prompt * weights, 0)), 0)
        END AS share_nanos
    FROM placed
)
SELECT file, coalesce(chat, '') AS in_chat, file_name, size_bytes, extracted, share_tokens, share_nanos FROM shares
UNION ALL
SELECT '{ANY_FILE}', '', NULL, NULL, NULL,
    CASE WHEN count(share_tokens) > 0 THEN sum(share_tokens) END,
    CASE WHEN count(share_nanos) > 0 THEN sum(share_nanos) END
FROM shares HAVING count(*) > 0) AS shares
"""
