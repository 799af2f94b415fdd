"""Voice: what calls cost that heard or spoke, and how much of it is the sound."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import Organization, User
from core.money import usd_text
from core.tenancy import unscoped
from metering.events import Usage
from metering.models import PriceRate, PriceVersion
from metering.models.prices import PriceKind
from tests.metering.query.usage import make_event, write
from tests.reports.priced import write_priced

URL = "/o/acme/usage/voice"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    """Spoken with at $10 and $20 a million tokens of sound, recorded at $0.36 an hour, and without a price."""
    with unscoped("list prices are everybody's"):
        for model, rates in (
            ("talker", {"input": 600, "output": 2_400, "audio_input": 10_000, "audio_output": 20_000}),
            ("writer", {"media_hours": 360_000_000}),
        ):
            version = PriceVersion.objects.create(
                kind=PriceKind.LIST, provider="openai", model=model, valid_from="2020-01-01T00:00:00Z", source="test"
            )
            for bucket, nanos in rates.items():
                PriceRate.objects.create(version=version, bucket=bucket, femtos_per_unit=nanos * 1_000_000)
    at = now() - dt.timedelta(hours=2)
    talk = Usage(input=100, audio_input=1_000, output=50, audio_output=200)
    write_priced(
        acme.pk,
        [
            make_event("talk1", at, "talker", talk, provider="openai", user=alice.email, duration_ms=900),
            make_event("talk2", at, "talker", talk, provider="openai", user=bob.email, duration_ms=1_100),
            make_event("heard", at, "writer", Usage(media_ms=60_000), provider="openai", user=alice.email),
            make_event("text", at, "talker", Usage(input=5_000), provider="openai", user=alice.email),
        ],
    )


def shown(client: Client, query: str = "range=30d") -> Any:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == 200
    return response


def test_voice_calls_have_the_figures_of_the_api(alice_client: Client, acme_api: Client, usage: None) -> None:
    response = shown(alice_client)
    told = acme_api.get("/v1/usage/query", {"interval": "none", "group_by": "model", "with_audio": "true"}).json()
    cards = {card["label"]: card["value"] for card in response.context["cards"]}
    totals = told["totals"]
    assert usd_text(cards["Cost of voice calls"]) == totals["cost_usd"]
    assert (cards["Voice calls"], cards["Audio heard"], cards["Audio spoken"], cards["Recorded"]) == (
        totals["requests"], totals["audio_input"], totals["audio_output"], totals["seconds"] * 1_000
    ) == (3, 2_000, 400, 60_000)  # fmt: skip
    # 2,000 heard at $10, 400 spoken at $20 a million, a minute at $0.36 an hour.
    assert response.context["cards"][0]["note"] == "$0.03 of it for the sound, 99.0%"
    assert [row["label"] for row in response.context["ranking"]["rows"]] == ["talker", "writer"]
    assert [chart["title"].split(" by ")[0] for chart in response.context["charts"]] == [
        "Cost of voice calls", "Audio tokens", "Recorded"
    ]  # fmt: skip
    assert {call["event"].event_id for call in response.context["calls"]} == {"talk1", "talk2", "heard"}
    events = acme_api.get("/v1/events", {"with_audio": "true"}).json()["data"]
    assert {event["id"] for event in events} == {"talk1", "talk2", "heard"}
    assert acme_api.get("/v1/events", {"with_audio": "yes"}).status_code == 422


def test_filters_and_sorting(alice_client: Client, usage: None) -> None:
    assert [row["label"] for row in shown(alice_client, "range=30d&model=writer").context["ranking"]["rows"]] == [
        "writer"
    ]
    found = shown(alice_client, "range=30d&sort=-seconds").context["ranking"]["rows"]
    assert [row["label"] for row in found] == ["writer", "talker"]
    assert shown(alice_client, "range=30d&sort=-seconds").context["ranking"]["rows"][0]["cells"][3]["text"] == "1 min"


def test_a_sound_without_a_price_is_unknown(alice_client: Client, acme: Organization) -> None:
    write(acme.pk, [make_event("odd", now(), "odd-model", Usage(audio_input=7))])
    card = shown(alice_client).context["cards"][0]
    assert (card["value"], card["note"]) == (None, "what the sound cost is unknown")


def test_the_files(alice_client: Client, usage: None) -> None:
    days = list(csv.DictReader(io.StringIO(alice_client.get(f"{URL}.csv?range=30d").content.decode())))
    assert sum(int(row["audio_input"]) for row in days) == 2_000
    models = list(csv.DictReader(io.StringIO(alice_client.get(f"{URL}-models.csv?range=30d").content.decode())))
    assert [(row["model"], row["seconds"]) for row in models] == [("talker", "0.0"), ("writer", "60.0")]


def test_members_see_their_own(bob_client: Client, usage: None) -> None:
    response = shown(bob_client)
    assert [call["event"].event_id for call in response.context["calls"]] == ["talk2"]
    assert response.context["cards"][1]["value"] == 1


def test_refusals_and_nothing(alice_client: Client, charlie_client: Client, acme: Organization) -> None:
    assert "No voice calls in this range" in shown(alice_client).content.decode()
    write(acme.pk, [make_event("1", now())])
    assert "No voice calls in this range" in shown(alice_client).content.decode()
    assert charlie_client.get(URL).status_code == 404
    write(acme.pk, [make_event("2", now(), usage=Usage(audio_input=7))])
    for query in ("sort=color", "measure=input_cost", "cursor=x"):
        assert alice_client.get(f"{URL}?{query}").status_code == 422


def test_pages_of_calls_are_complete(alice_client: Client, acme: Organization) -> None:
    at = now() - dt.timedelta(hours=1)
    write(acme.pk, [make_event(f"e{n}", at + n * dt.timedelta(seconds=1), usage=Usage(media_ms=5)) for n in range(60)])
    found: list[str] = []
    address = f"{URL}?range=30d"
    while address:
        response = alice_client.get(address)
        found += [call["event"].event_id for call in response.context["calls"]]
        address = response.context["next_url"]
    assert len(found) == 60 == len(set(found))


def test_queries_do_not_grow_with_rows(
    alice_client: Client, acme: Organization, usage: None, django_assert_max_num_queries: Any
) -> None:
    counts = []
    shown(alice_client)
    for number in range(2):
        with django_assert_max_num_queries(100) as captured:
            shown(alice_client)
        counts.append(len(captured))
        write(acme.pk, [make_event(f"{number}-{n}", now(), f"m{n}", Usage(audio_input=9)) for n in range(30)])
    assert counts[1] <= counts[0]
