"""What is kept of calls that tells whether two of them asked the same, and whether an answer came to its end.

Texts are not kept, so a request is known by what is: who sent it for whom, and how large it and its parts were.
docs/algorithms/advice.md has the rules.
"""

from __future__ import annotations

import datetime as dt

from metering.events import COMPLETION_BUCKETS, PROMPT_BUCKETS

CALLER = (
    "api_key_id, project_id, member_id, user_id, end_user_id, model_id, provider_id, endpoint_id, feature_id, tool_id,"
    " integration_id, chat, message, tags"
)
# Calls that name a chat or a message are known by it.
IS_PLACED = "(chat IS NOT NULL OR message IS NOT NULL)"
PROMPT = " + ".join(PROMPT_BUCKETS)
COMPLETION = " + ".join(COMPLETION_BUCKETS)
# Two that ask the same are no further apart.
WITHIN = dt.timedelta(minutes=10)
# Shorter prompts are often equally long by chance.
LEAST_PROMPT = 100

# What providers say of an answer that ended because it was as long as was allowed.
CUT_OFF = ("length", "max_tokens", "max_output_tokens", "max_completion_tokens", "model_length", "error_max_tokens")
# A shorter one was meant to be short: a yes or no, a label.
LEAST_CUT_OFF = 50
# Takes `cut_off`, a list of CUT_OFF.
IS_CUT_OFF = (
    "(NOT is_error AND coalesce(lower(detail ->> 'finish_reason') = ANY(%(cut_off)s), false)"
    f" AND {COMPLETION} >= {LEAST_CUT_OFF})"
)
