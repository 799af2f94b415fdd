"""A model server of the demo's own, so that the gateway can be tried without a provider's account.

It stands where a provider would: the gateway's upstreams lead to it over HTTP. It speaks OpenAI's and Anthropic's
protocols, says in every answer that it is no real model, and counts its tokens truly. Nothing here loads Django.
"""
