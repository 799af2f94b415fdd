"""The usage page: its figures are the API's for the same filters, whatever it is broken down by."""

from __future__ import annotations

import csv
import datetime as dt
import io
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.timezone import now

from accounts.models import Organization, User
from core import figures as words
from metering.events import Usage
from reports.breakdown import ROWS
from tests.cast import Key, membership_of
from tests.metering.query.usage import make_event, write

URL = "/o/acme/usage"


@pytest.fixture
def usage(acme: Organization, alice: User, bob: User) -> None:
    at = now() - dt.timedelta(seconds=30)
    events = [make_event(f"a{n}", at, "gpt-4o", Usage(input=1000, output=100), user=alice.email) for n in range(3)]
    events += [make_event(f"b{n}", at, "claude", Usage(input=2000, output=50), user=bob.email) for n in range(2)]
    events += [make_event("c", at, "claude", Usage(input=10, output=5), user=alice.email, status="error")]
    events.append(make_event("odd", at, "odd-model", Usage(input=7, output=0), user=alice.email))
    write(acme.pk, events)


def shown(client: Client, query: str = "range=today", status: int = 200) -> Any:
    response = client.get(f"{URL}?{query}")
    assert response.status_code == status, response.content[:500]
    return response


def asked(client: Client, query: str) -> dict[str, Any]:
    """The API's answer about the same day."""
    today = now().astimezone(dt.UTC).date()
    days = f"from={today - dt.timedelta(days=2)}&to={today + dt.timedelta(days=1)}"
    answer: dict[str, Any] = client.get(f"/v1/usage/query?{days}&interval=none&{query}").json()
    return answer


def file_of(client: Client, address: str) -> list[dict[str, str]]:
    text = b"".join(client.get(address).streaming_content).decode()
    return list(csv.DictReader(io.StringIO(text)))


@pytest.mark.parametrize(
    "query",
    [
        "by=model",
        "by=member",
        "by=model&then=member",
        "by=status&model=claude",
        "by=chat",
        "by=project&then=chat",
        "by=tag.env",
    ],
)
def test_figures_are_the_apis(alice_client: Client, acme_api: Client, usage: None, query: str) -> None:
    context = shown(alice_client, f"range=7d&{query}").context
    by = query.removeprefix("by=").partition("&")[0]
    filters = "&model=claude" if "model=claude" in query else ""
    api = asked(acme_api, f"group_by={by}{filters}")
    totals = {card["label"]: card["value"] for card in context["summary"]}
    assert totals["Total tokens"] == api["totals"]["total_tokens"]
    assert totals["Prompt tokens"] == api["totals"]["prompt_tokens"]
    assert totals["Requests"] == api["totals"]["requests"]
    assert f"{totals['Cost'] / 10**9:.9f}" == f"{float(api['totals']['cost_usd']):.9f}"
    cells = [[cell["text"] for cell in row["cells"]][:4] for row in context["breakdown"]["rows"]]
    assert cells == [
        [f"{row[name]:,}" for name in ("requests", "prompt_tokens", "completion_tokens", "total_tokens")]
        for row in api["data"]
    ]


def test_the_cells_of_two_dimensions_sum_to_their_rows(alice_client: Client, acme_api: Client, usage: None) -> None:
    breakdown = shown(alice_client, "range=7d&by=model&then=member").context["breakdown"]
    api = {
        (row["labels"]["model"], row["labels"]["member"]): row["total_tokens"]
        for row in asked(acme_api, "group_by=model,member")["data"]
    }
    matrix = breakdown["matrix"]
    names = [column["label"] for column in matrix["columns"]]
    for row in matrix["rows"]:
        found = {name: cell["text"] for name, cell in zip(names, row["cells"], strict=True) if cell["text"]}
        assert found == {member: f"{value:,}" for (model, member), value in api.items() if model == row["label"]}
    assert [sum(amount for _, amount, _ in row["parts"]) for row in breakdown["rows"]] == [4115, 3300, 7]


@pytest.mark.parametrize("kind", ["input_cost", "output_cost"])
def test_a_type_of_cost_is_the_apis(alice_client: Client, acme_api: Client, usage: None, kind: str) -> None:
    context = shown(alice_client, f"range=7d&measure={kind}&sort=-{kind}_usd").context
    api = asked(acme_api, f"group_by=model&order_by=-{kind}_usd")
    labels = [option["label"] for option in context["chart"]["measure"]["types"] if option["is_current"]]
    assert labels == [kind.replace("_", " ").capitalize()]
    assert [row["label"] for row in context["breakdown"]["rows"]] == [row["group"]["model"] for row in api["data"]]
    lines = alice_client.get(context["chart"]["csv_url"]).content.decode().splitlines()
    total = sum(round(float(line.split(",")[1]) * 10**9) for line in lines[1:])
    assert total == round(float(api["totals"][f"{kind}_usd"]) * 10**9)
    assert context["stack"]["table"]["totals"][-1] == words.money(total)


def test_the_files_are_the_breakdown(alice_client: Client, acme_api: Client, usage: None) -> None:
    rows = file_of(alice_client, f"{URL}/breakdown.csv?range=7d&by=model&then=member")
    api = {
        (row["group"]["model"], row["group"]["member"]): row for row in asked(acme_api, "group_by=model,member")["data"]
    }
    assert len(rows) == len(api) == 4
    for row in rows:
        same = api[row["model"], row["member"]]
        assert int(row["total_tokens"]) == same["total_tokens"]
        assert (row["cost_usd"] or None) == same["cost_usd"]
    trend = file_of(alice_client, f"{URL}/trend.csv?range=7d&by=model")
    assert sum(int(row["total_tokens"]) for row in trend) == 7422


def test_an_unpriced_row_is_never_free(alice_client: Client, usage: None) -> None:
    response = shown(alice_client, "range=7d&measure=cost")
    odd = next(row for row in response.context["breakdown"]["rows"] if row["label"] == "odd-model")
    assert odd["cells"][-1]["text"] == "unpriced"
    assert odd["share"] is None
    assert "unpriced, left out of the cost" in response.content.decode()
    table = response.context["stack"]["table"]
    assert dict(zip(table["columns"][1:], table["totals"], strict=True))["odd-model"] == "unpriced"


def test_a_row_filters_and_goes_on_to_the_next_dimension(alice_client: Client, usage: None) -> None:
    rows = shown(alice_client).context["breakdown"]["rows"]
    target = next(row["url"] for row in rows if row["label"] == "claude")
    context = alice_client.get(target).context
    assert context["summary"][0]["value"] == 4115
    assert context["breakdown"]["by"] == "Project"
    (row,) = context["breakdown"]["rows"]
    assert row["label"] == "No project"
    assert alice_client.get(row["url"]).context["summary"][0]["value"] == 4115


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("-total_tokens", "claude"),
        ("-completion_tokens", "gpt-4o"),
        ("total_tokens", "odd-model"),
        ("-errors", "claude"),
    ],
)
def test_any_metric_sorts(alice_client: Client, usage: None, sort: str, first: str) -> None:
    breakdown = shown(alice_client, f"range=today&sort={sort}").context["breakdown"]
    assert breakdown["rows"][0]["label"] == first
    assert [h["sort"] for h in breakdown["headings"] if h["sort"]] == ["descending" if sort[0] == "-" else "ascending"]


def test_names_sort_too(alice_client: Client, usage: None) -> None:
    rows = shown(alice_client, "range=today&sort=name").context["breakdown"]["rows"]
    assert [row["label"] for row in rows] == ["claude", "gpt-4o", "odd-model"]


def test_more_rows_come_page_by_page_and_none_twice(alice_client: Client, acme: Organization) -> None:
    at = now() - dt.timedelta(seconds=30)
    write(acme.pk, [make_event(f"e{n}", at, f"model-{n}") for n in range(ROWS + 5)])
    first = shown(alice_client).context["breakdown"]
    assert len(first["rows"]) == ROWS
    rest = alice_client.get(first["more_rows_url"])
    assert len(rest.context["breakdown"]["rows"]) == 5
    assert rest.context["breakdown"]["more"] is None
    labels = {row["label"] for row in (*first["rows"], *rest.context["breakdown"]["rows"])}
    assert len(labels) == ROWS + 5
    # Without scripts the same link opens the page there.
    page = alice_client.get(first["more"]).content.decode()
    assert "These rows go on from others" in page


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("by=mood", "There is no dimension"),
        ("then=model", "are not made of values of model"),
        ("then=file", "are not made of values of file"),
        ("sort=joy", "Rows are not sorted by"),
        ("cursor=nonsense", "cursor"),
    ],
)
def test_nonsense_in_the_address_is_told(alice_client: Client, usage: None, query: str, words: str) -> None:
    assert words in shown(alice_client, query, status=422).content.decode()


def test_an_empty_range_says_so(alice_client: Client, usage: None) -> None:
    assert "No usage in this range" in shown(alice_client, "range=yesterday").content.decode()


def test_a_member_sees_their_own_usage_in_page_rows_and_files(
    bob_client: Client, alice: User, acme: Organization, usage: None
) -> None:
    other = membership_of(alice, acme).pk
    context = shown(bob_client, f"range=today&member={other}").context
    assert context["summary"][0]["value"] == 2 * 2050
    assert context["page"]["subtitle"].startswith("Your own usage")
    rows = bob_client.get(f"{URL}/rows?range=today&member={other}").context["breakdown"]["rows"]
    assert [row["label"] for row in rows] == ["claude"]
    assert [row["model"] for row in file_of(bob_client, f"{URL}/breakdown.csv?range=today&member={other}")] == [
        "claude"
    ]
    shown(bob_client, "by=member", status=403)


def test_a_viewer_breaks_nothing_down_by_keys(vera_client: Client, usage: None, acme_key: Key) -> None:
    shown(vera_client, "by=api_key", status=403)
    assert vera_client.get(f"{URL}/breakdown.csv?by=api_key").status_code == 403
    labels = {option["label"] for option in shown(vera_client).context["breakdown"]["by_options"]}
    assert "Member" in labels
    assert "API key" not in labels


def test_strangers_find_nothing(charlie_client: Client, usage: None) -> None:
    for path in ("", "/rows", "/breakdown.csv", "/trend.csv"):
        assert charlie_client.get(URL + path).status_code == 404


def test_queries_do_not_grow_with_rows(alice_client: Client, acme: Organization, usage: None) -> None:
    def count() -> int:
        with CaptureQueriesContext(connection) as captured:
            shown(alice_client, "range=today&by=model&then=chat")
        return len(captured)

    at = now() - dt.timedelta(seconds=30)
    write(acme.pk, [make_event("e", at, "model", chat="chat")])
    shown(alice_client)
    few = count()
    write(acme.pk, [make_event(f"e{n}", at, f"model-{n % 20}", chat=f"chat-{n}") for n in range(60)])
    assert count() == few


def test_tags_in_use_are_offered_and_chosen(
    alice_client: Client, bob_client: Client, acme: Organization, bob: User
) -> None:
    at = now() - dt.timedelta(seconds=30)
    write(
        acme.pk,
        [
            make_event("t1", at, tags={"env": "prod", "app/tier": "gold"}),
            make_event("t2", at, usage=Usage(input=7, output=0), user=bob.email, tags={"env": "ci"}),
            make_event("t3", at),
        ],
    )
    context = shown(alice_client, "range=today").context
    assert {"Tag env", "Tag app/tier"} <= {option["label"] for option in context["page"]["add_filter"]}
    assert {"Tag env", "Tag app/tier"} <= {option["label"] for option in context["breakdown"]["by_options"]}
    own = shown(bob_client, "range=today").context
    assert "Tag env" in {option["label"] for option in own["page"]["add_filter"]}
    assert "Tag app/tier" not in {option["label"] for option in own["page"]["add_filter"]}
    url = next(option["url"] for option in context["page"]["add_filter"] if option["label"] == "Tag app/tier")
    page = alice_client.get(url)
    assert page.status_code == 200
    assert {row["label"] for row in page.context["rows"]} == {"gold", "none"}
    narrowed = shown(alice_client, "range=today&tag.env=ci").context
    assert narrowed["summary"][0]["value"] == 7
    assert [(chip["label"], chip["value"]) for chip in narrowed["page"]["filters"]] == [("Tag env", "ci")]
    rows = shown(alice_client, "range=today&by=tag.env").context["breakdown"]["rows"]
    assert {row["label"] for row in rows} == {"prod", "ci", "No tag env"}


@pytest.mark.parametrize(
    "path",
    ["export/usage.csv?", "export/focus.parquet?", "usage/breakdown.csv?by=model&", "usage/trend.csv?by=model&",
     "teams/list.csv?", "teams/trend.csv?"],
)  # fmt: skip
@pytest.mark.parametrize("wrong", ["team=zzz", "member=zz"])
def test_a_file_of_what_there_is_not_is_refused(alice_client: Client, path: str, wrong: str) -> None:
    assert alice_client.get(f"/o/acme/{path}range=7d&{wrong}").status_code == 422


def test_a_filter_of_many_values_says_how_many_more(alice_client: Client, usage: None) -> None:
    query = "&".join(f"model=m{number}" for number in range(5))
    (chip,) = alice_client.get(f"{URL}?range=7d&{query}").context["page"]["filters"]
    assert chip["value"] == "m0, m1, m2 and 2 more"
    (chip,) = alice_client.get(f"{URL}?range=7d&model=gpt-4o&{query}").context["page"]["filters"]
    assert chip["value"] == "gpt-4o and 5 more"
