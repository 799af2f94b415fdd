"""The operator's list of subscriptions, and what they decide about one organization."""

from __future__ import annotations

import csv
import datetime as dt
import io

import pytest
from django.test import Client
from django.utils.timezone import now

from accounts.models import AuditEntry, Organization
from billing.contracts import Contract
from billing.dunning.facts import refused
from billing.invoices.payments import record_payment
from billing.models import Suspension
from billing.subscribers import present_of
from billing.subscriptions import cancel
from billing.suspending import let_calls_in, suspend_calls
from core.errors import ApiError
from core.periods import local_day
from core.tenancy import organization_scope
from metering.models import Limit
from tests.billing.invoices.selling import issue
from tests.billing.plans import BY, subscribed

pytestmark = pytest.mark.django_db
LIST = "/operator/subscriptions/"
ACME = "/operator/organizations/acme/"
MONTHS_AGO = now() - dt.timedelta(days=70)
ACTS = ("plan/", "plan/trial/", "plan/cancel/", "plan/resume/", "suspend/", "let-in/")


def actions(organization: Organization) -> list[tuple[str, str]]:
    with organization_scope(organization.pk):
        return list(AuditEntry.objects.order_by("-pk").values_list("action", "actor_label"))


def plan_of(organization: Organization, at: dt.datetime | None = None) -> str:
    contract = Contract.load(organization)
    assert contract is not None
    present = present_of(contract, at or now())
    assert present is not None
    return present.version.plan.code


@pytest.mark.parametrize("person", ["alice", "charlie"])
def test_nobody_else_learns_that_it_exists(person: str, acme: Organization, request: pytest.FixtureRequest) -> None:
    client: Client = request.getfixturevalue(f"{person}_client")
    subscribed(acme, "developer", MONTHS_AGO)
    for address in (LIST, f"{LIST}list.csv", *(f"{ACME}{act}" for act in ACTS)):
        assert client.get(address).status_code == 404
    for act in ACTS:
        assert client.post(f"{ACME}{act}", {"plan": "startup", "reason": "no"}).status_code == 404
    assert plan_of(acme) == "developer"


def found(client: Client, query: str = "") -> dict[str, dict[str, str]]:
    answer = client.get(f"{LIST}list.csv{query}")
    assert answer.status_code == 200
    return {row["slug"]: row for row in csv.DictReader(io.StringIO(answer.content.decode()))}


def test_everybody_with_plan_fee_and_payment(olga_client: Client, acme: Organization, globex: Organization) -> None:
    subscribed(acme, "developer", MONTHS_AGO)
    cancel(acme, by=BY)
    invoice = issue(acme, "Plan")
    rows = found(olga_client)
    assert (rows["acme"]["plan"], rows["acme"]["state"], rows["acme"]["next_plan"]) == ("developer", "leaving", "free")
    assert (rows["acme"]["fee_usd"], rows["acme"]["payment"], rows["acme"]["owed"]) == ("29", "overdue", "34.51")
    assert (rows["globex"]["plan"], rows["globex"]["state"], rows["globex"]["payment"]) == ("", "none", "")
    page = olga_client.get(LIST).content.decode()
    assert "$29.00" in page
    assert "$34.51" in page
    for query, slugs in {
        "?plan=developer": {"acme"},
        "?plan=none": {"globex"},
        "?state=leaving": {"acme"},
        "?payment=overdue": {"acme"},
        "?payment=paid": set(),
        "?q=GLOB": {"globex"},
        "?state=nonsense": {"acme", "globex"},
    }.items():
        assert set(found(olga_client, query)) == slugs, query
    record_payment(invoice, invoice.gross, received_on=local_day(now(), acme.zone), method="cash", source="x", by=BY)
    assert found(olga_client)["acme"]["payment"] == "paid"
    assert "No organization matches" in olga_client.get(f"{LIST}?q=initech").content.decode()


def test_a_refused_payment_is_seen_before_anything_is_overdue(olga_client: Client, acme: Organization) -> None:
    subscribed(acme, "developer", MONTHS_AGO)
    invoice = issue(acme, "Plan")
    refused(invoice, 1, code="card_declined", message="Declined.", pay_url="", at=now())
    assert found(olga_client)["acme"]["payment"] == "refused"
    assert set(found(olga_client, "?payment=refused")) == {"acme"}
    assert "Refused" in olga_client.get(LIST).content.decode()
    record_payment(invoice, invoice.gross, received_on=local_day(now(), acme.zone), method="cash", source="x", by=BY)
    assert found(olga_client)["acme"]["payment"] == "paid"


def test_a_trial_brings_nothing_yet(olga_client: Client, acme: Organization) -> None:
    subscribed(acme, "developer", now(), with_trial=True)
    row = found(olga_client)["acme"]
    assert (row["state"], row["fee_usd"]) == ("trial", "0")


def test_another_plan_not_on_sale_either(olga_client: Client, acme: Organization) -> None:
    assert olga_client.post(f"{ACME}plan/", {"plan": "startup"}).status_code == 302
    assert plan_of(acme) == "startup"
    assert actions(acme)[:2] == [
        ("subscription.start", "olga@operator.test"),
        ("subscription.trial", "olga@operator.test"),
    ], "the first plan with a fee, with its trial"
    assert olga_client.post(f"{ACME}plan/", {"plan": "enterprise"}).status_code == 302
    assert plan_of(acme) == "enterprise"
    assert actions(acme)[:2] == [
        ("subscription.start", "olga@operator.test"),
        ("subscription.upgrade", "olga@operator.test"),
    ], "the trial goes on to its end"
    page = " ".join(olga_client.get(ACME).content.decode().split())
    assert "Upgraded" in page
    assert "Enterprise, in a trial" in page
    refused = olga_client.post(f"{ACME}plan/", {"plan": "enterprise"})
    assert refused.status_code == 422, "it is what they have"


def test_canceled_and_resumed(olga_client: Client, acme: Organization) -> None:
    subscribed(acme, "startup", MONTHS_AGO)
    assert "Cancel plan" in olga_client.get(ACME).content.decode()
    olga_client.post(f"{ACME}plan/cancel/")
    page = olga_client.get(ACME).content.decode()
    assert "Free from" in page
    assert "Resume plan" in page
    olga_client.post(f"{ACME}plan/resume/")
    assert "Free from" not in olga_client.get(ACME).content.decode()
    assert [action for action, _ in actions(acme)][:2] == ["subscription.resume", "subscription.cancel"]
    assert "No change of plan is scheduled" in olga_client.post(f"{ACME}plan/resume/", follow=True).content.decode()


@pytest.mark.parametrize("leaves", [False, True])
def test_a_longer_trial(olga_client: Client, acme: Organization, leaves: bool) -> None:
    contract = subscribed(acme, "developer", now(), with_trial=True)
    today = contract.today()
    if leaves:
        cancel(acme, by=BY)
    ends_on = contract.trial_ends_on(today)
    assert ends_on is not None
    until = ends_on + dt.timedelta(days=10)
    refused = olga_client.post(f"{ACME}plan/trial/", {"ends_on": str(ends_on)})
    assert "extend it to a later day" in " ".join(refused.context["form"].errors["ends_on"])
    assert olga_client.post(f"{ACME}plan/trial/", {"ends_on": str(until)}).status_code == 302
    longer = Contract.load(acme)
    assert longer is not None
    assert longer.trial_ends_on(today) == until
    last, then = longer.decision_on(until - dt.timedelta(days=1)), longer.decision_on(until)
    assert last is not None
    assert then is not None
    assert (last.plan, last.is_trial) == ("developer", True)
    assert (then.plan, then.is_trial) == ("free" if leaves else "developer", False)
    assert ("subscription.extend", "olga@operator.test") in actions(acme)


def test_only_a_trial_is_extended(olga_client: Client, acme: Organization) -> None:
    subscribed(acme, "developer", MONTHS_AGO)
    assert olga_client.get(f"{ACME}plan/trial/").status_code == 404
    assert "Extend trial" not in olga_client.get(ACME).content.decode()


def test_suspended_by_hand_and_let_in(olga_client: Client, alice_client: Client, acme: Organization) -> None:
    subscribed(acme, "enterprise", MONTHS_AGO)
    assert olga_client.post(f"{ACME}suspend/", {"reason": ""}).status_code == 422
    assert olga_client.post(f"{ACME}suspend/", {"reason": "Unusual traffic."}).status_code == 302
    with organization_scope(acme.pk):
        row = Limit.objects.get(source="operator")
    assert (row.kind, row.amount, row.label) == ("suspended", 0, "Calls are suspended by the operator: Unusual traffic")
    assert found(olga_client, "?state=suspended")["acme"]["suspended"] == "yes"
    for address in ("/o/acme/overview", "/o/acme/budgets/"):
        page = alice_client.get(address)
        assert page.status_code == 200, "everything can be read"
        assert "Unusual traffic." in page.content.decode()
    again = olga_client.post(f"{ACME}suspend/", {"reason": "Once more"})
    assert "suspended already" in again.content.decode()
    assert olga_client.post(f"{ACME}let-in/").status_code == 302
    with organization_scope(acme.pk):
        assert not Limit.objects.filter(source="operator").exists()
        kept = Suspension.objects.get()
    assert (kept.begun_by_label, kept.ended_by_label) == ("olga@operator.test", "olga@operator.test")
    assert "Unusual traffic." not in alice_client.get("/o/acme/overview").content.decode()
    assert [action for action, _ in actions(acme)][:2] == ["suspension.end", "suspension.begin"]
    assert "Calls were suspended from" in olga_client.get(ACME).content.decode()
    with pytest.raises(ApiError, match="not suspended"):
        let_calls_in(acme, by=BY)


def test_a_suspension_is_its_own_organizations(
    acme: Organization, globex: Organization, charlie_client: Client
) -> None:
    suspend_calls(acme, "Unusual traffic", by=BY)
    assert "Unusual traffic" not in charlie_client.get("/o/globex/overview").content.decode()
    with organization_scope(globex.pk):
        assert not Limit.objects.exists()
        assert not Suspension.objects.exists()
