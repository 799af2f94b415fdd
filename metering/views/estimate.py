"""/o/<organization>/estimate/: what a text or a chat would cost, at one model and at others. Nothing of it is kept."""

from __future__ import annotations

import msgspec
from django.http import HttpResponse
from django.shortcuts import render
from django.utils.timezone import now
from django.views.decorators.http import require_http_methods

from accounts.permissions import Right, require
from accounts.requests import OrganizationRequest
from metering.estimate.count import Count, Prompt
from metering.estimate.forms import EstimateForm
from metering.estimate.quote import Quote, quote
from metering.pricing.book import PriceBook
from metering.query.models_in_use import known_models, used_models

# What most people choose between, where the organization's own usage does not say.
COMMON_MODELS = (
    "gpt-5", "gpt-5-mini", "gpt-4o-mini", "claude-sonnet-4-5", "claude-haiku-4-5",
    "gemini-2.5-pro", "gemini-2.5-flash", "deepseek-chat", "mistral-large-latest",
)  # fmt: skip
COMPARED_OWN = 4


class Line(msgspec.Struct, frozen=True):
    """A model of the comparison. `difference_nanos` is against the chosen model, None where a price is missing."""

    quote: Quote
    is_chosen: bool
    difference_nanos: int | None


@require_http_methods(["GET", "HEAD", "POST"])
@require(Right.SEE_OWN_USAGE)
def index(request: OrganizationRequest) -> HttpResponse:
    used = used_models(request.membership)
    if request.method == "POST":
        form = EstimateForm(request.POST, request.FILES)
    else:
        others = dict.fromkeys([*used[:COMPARED_OWN], *COMMON_MODELS])
        model = request.GET.get("model") or (used[0] if used else COMMON_MODELS[0])
        form = EstimateForm(initial={"model": model, "others": ", ".join(others)})
    context = {"page": {"title": "Estimate"}, "form": form, "models": known_models(used)}
    if form.is_bound and form.is_valid():
        context |= _estimated(request, form)
    return render(request, "metering/estimate.html", context, status=422 if form.errors else 200)


def _estimated(request: OrganizationRequest, form: EstimateForm) -> dict[str, object]:
    cleaned = form.cleaned_data
    prompt: Prompt = cleaned["prompt"]
    book, at = PriceBook.load(), now()
    names = dict.fromkeys([cleaned["model"], *cleaned["others"]])
    quotes = [
        quote(book, request.organization.pk, prompt.count(name), cleaned["output_tokens"], at, model=name)
        for name in names
    ]
    chosen = quotes[0]
    lines = [Line(one, one is chosen, _difference(one, chosen)) for one in quotes]
    # The dearest last, and behind them what has no price.
    lines.sort(key=lambda line: (line.quote.cost_nanos is None, line.quote.cost_nanos or 0, line.quote.model))
    file = cleaned["file"]
    return {
        "chosen": chosen,
        "why": why(chosen.count),
        "lines": lines,
        "source": file.name if file else "",
    }


def _difference(one: Quote, chosen: Quote) -> int | None:
    if one.cost_nanos is None or chosen.cost_nanos is None:
        return None
    return one.cost_nanos - chosen.cost_nanos


def why(count: Count) -> str:
    """Why a count is exact or is not, for a person."""
    if count.is_exact:
        return f"Counted with the model's own tokenizer, {count.tokenizer}: its provider counts the same."
    if "×" in count.tokenizer:
        return f"The model's tokenizer is not public: counted with {count.tokenizer}, as measured on real calls."
    return (
        f"Texts are counted with {count.tokenizer}; what the provider puts around messages, tools and pictures is "
        "an estimate."
    )
