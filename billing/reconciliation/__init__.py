"""A provider's own usage or cost export beside what the ledger holds: day by day, model by model.

statement  what an export says, whoever wrote it
openai     exports of OpenAI's dashboard (CSV) and of its usage and costs API (JSON)
anthropic  exports of Anthropic's console (CSV) and of its usage and cost reports (JSON)
reading    bytes → a statement, whichever of these it is
compare    a statement and the ledger's figures → differences
"""
