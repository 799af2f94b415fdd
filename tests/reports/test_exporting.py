"""Files of the export menu: sent when short, prepared when long; both the same bytes, and nobody else's usage."""

from __future__ import annotations

import datetime as dt
import io
from decimal import Decimal

import pytest
from django.test import Client
from django.utils.timezone import now
from pyarrow import parquet

from accounts.models import Organization, Team, TeamMembership, User
from accounts.permissions import Right
from core.tenancy import organization_scope
from metering.pipeline import Sender
from metering.query.export import FORMATS
from metering.query.run import run
from metering.query.spec import UsageQuery
from reports.custom.course import make_result
from reports.exporting import KINDS
from reports.models import Result, ResultState
from tests.cast import make_key, membership_of
from tests.metering.query.usage import make_event, write

DAYS = (now() - dt.timedelta(days=330), now() + dt.timedelta(days=1))
LONG = "range=custom&from={:%Y-%m-%dT00:00}&to={:%Y-%m-%dT00:00}".format(*DAYS)


@pytest.fixture
def year(acme: Organization, alice: User, bob: User) -> Organization:
    """Five calls a month of bob's, one of alice's."""
    day = now() - dt.timedelta(days=300)
    for month in range(10):
        at = day + dt.timedelta(days=30 * month)
        calls = [make_event(f"b{month}-{n}", at + dt.timedelta(hours=n), user="bob@acme.test") for n in range(5)]
        write(acme.pk, [*calls, make_event(f"a{month}", at, user="alice@acme.test", model="odd-one")])
    return acme


def the_result(organization: Organization) -> Result:
    with organization_scope(organization.pk):
        return Result.objects.get()


def content_of(client: Client, url: str) -> bytes:
    response = client.get(url)
    assert response.status_code == 200, response.content
    return b"".join(response.streaming_content)  # type: ignore[attr-defined]


def test_a_long_range_is_prepared_and_downloaded_from_where_it_broke_off(
    year: Organization, alice_client: Client
) -> None:
    menu = alice_client.get(f"/o/acme/costs/?{LONG}").context["page"]["exports"]
    assert menu["is_prepared"]
    urls = [option["url"] for group in menu["groups"] for option in group["options"]]
    assert len(urls) == sum(len(kind.formats) for kind in KINDS.values())
    response = alice_client.post(next(url for url in urls if "usage.parquet" in url))
    assert response.status_code == 302
    result = the_result(year)
    assert response["Location"].endswith(f"/results/{result.pk}/")
    assert result.file_name.endswith(".parquet")
    make_result(year.pk, result.pk)
    result = the_result(year)
    assert (result.state, result.problem) == (ResultState.READY, "")
    assert result.rows_estimated is None or result.rows_estimated >= result.rows_done
    url = f"{response['Location']}file"
    whole = content_of(alice_client, url)
    rest = alice_client.get(url, headers={"range": "bytes=100-"})
    assert rest.status_code == 206
    assert b"".join(rest.streaming_content) == whole[100:]  # type: ignore[attr-defined]
    table = parquet.read_table(io.BytesIO(whole))
    assert (sum(table["requests"].to_pylist()), result.rows_done) == (60, table.num_rows)


def test_what_is_prepared_is_what_would_be_sent(year: Organization, alice_client: Client) -> None:
    sent = content_of(alice_client, f"/o/acme/export/focus.csv?{LONG}")
    response = alice_client.post(f"/o/acme/export/focus.csv/prepare?{LONG}")
    make_result(year.pk, the_result(year).pk)
    assert content_of(alice_client, f"{response['Location']}file") == sent
    with organization_scope(year.pk):
        zone = year.zone
        totals = run(UsageQuery(year.pk, now() - dt.timedelta(days=366), now(), zone)).totals
    lines = sent.decode().splitlines()
    billed = sum(Decimal(line.split(",")[0]) for line in lines[1:])
    assert billed == Decimal(totals.known_cost_nanos).scaleb(-9)


def test_a_member_prepares_their_own_usage_which_is_nobody_elses(
    year: Organization, alice_client: Client, bob_client: Client, bob: User, charlie: User, client: Client
) -> None:
    response = bob_client.post(f"/o/acme/export/usage.csv/prepare?{LONG}")
    result = the_result(year)
    assert result.of_member_id == membership_of(bob, year).pk
    make_result(year.pk, result.pk)
    lines = content_of(bob_client, f"{response['Location']}file").decode().splitlines()
    assert sum(int(line.rpartition(",")[2]) for line in lines[1:]) == 50
    client.force_login(charlie)
    assert client.get(f"{response['Location']}file").status_code == 404


def test_who_sees_no_keys_gets_none(year: Organization, vera: User, client: Client, alice_client: Client) -> None:
    key = make_key(year, name="Very secret name")
    event = make_event("with key", now() - dt.timedelta(minutes=1))
    write(year.pk, [event], Sender(api_key_id=key.row.pk))
    assert "Very secret name" in content_of(alice_client, "/o/acme/export/focus.csv?range=7d").decode()
    client.force_login(vera)
    assert "/keys/" not in content_of(client, "/o/acme/export/focus.csv?range=7d").decode()
    alice_client.post(f"/o/acme/export/focus.csv/prepare?{LONG}")
    result = the_result(year)
    assert client.get(f"/o/acme/reports/results/{result.pk}/").status_code == 404, "it tells the keys apart"


def test_a_team_admins_file_is_the_teams(year: Organization, bob: User, bob_client: Client, search: Team) -> None:
    with organization_scope(year.pk):
        TeamMembership.objects.filter(membership=membership_of(bob, year)).update(is_admin=True)
    bob_client.post(f"/o/acme/export/usage.csv/prepare?{LONG}&team={search.slug}")
    assert the_result(year).of_team_id == search.pk


def test_a_short_range_is_sent_and_the_menu_says_so(acme: Organization, alice_client: Client) -> None:
    write(acme.pk, [make_event("e", now() - dt.timedelta(minutes=1))])
    page = alice_client.get("/o/acme/costs/?range=7d")
    menu = page.context["page"]["exports"]
    assert not menu["is_prepared"]
    for group in menu["groups"]:
        for option in group["options"]:
            assert option["url"].replace("&", "&amp;") in page.content.decode()
            assert content_of(alice_client, option["url"])
    names = {option["label"] for group in menu["groups"] for option in group["options"]}
    assert names == {FORMATS[name].name for name in ("csv", "jsonl", "parquet", "xlsx")}


@pytest.mark.parametrize("path", ["usage.pdf", "focus.json", "everything.csv"])
def test_what_no_menu_offers_is_not_there(alice_client: Client, acme: Organization, path: str) -> None:
    assert alice_client.get(f"/o/acme/export/{path}").status_code == 404
    assert alice_client.post(f"/o/acme/export/{path}/prepare").status_code == 404


def test_what_is_filtered_by_a_key_is_for_who_sees_keys(year: Organization, alice_client: Client) -> None:
    prefix = make_key(year).row.prefix
    alice_client.post(f"/o/acme/export/usage.csv/prepare?{LONG}&api_key={prefix}")
    assert the_result(year).rights == [Right.SEE_KEYS.value]
