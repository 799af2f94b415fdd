"""A Stripe to develop against: the part of its API that this product speaks, over HTTP, without an account.

`STRIPE_API_BASE` points Stripe's own library at it; nothing in the product knows the difference. Test cards decline as
Stripe's do, webhooks are signed, idempotency keys replay, and clocks advance. It keeps its state in one SQLite file.
It is no payment processor: it holds nothing but test cards, and refuses keys of live mode.
"""
