"""What an organization has agreed to, read: its plan on any day, its periods, what is included and what it costs."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from zoneinfo import ZoneInfo

import msgspec
from django.utils.timezone import now

from accounts.models import Organization
from billing.models import Overage, PlanVersion, Subscription, SubscriptionChange
from billing.periods import Period, period_of
from billing.proration import fee_share, mean_allowance
from billing.timeline import Decision, Segment, holds_on, next_change, segments
from core.periods import local_day
from core.tenancy import organization_scope


class Stay(msgspec.Struct, frozen=True):
    """Days of a period on one plan, with the version it has for them."""

    segment: Segment
    version: PlanVersion

    @property
    def is_charged(self) -> bool:
        """Whether tokens over the allowance are charged; in a trial they are refused."""
        return not self.segment.is_trial and self.version.overage == Overage.CHARGE


class Fee(msgspec.Struct, frozen=True):
    """What the days of a stay come to of its plan's fee, in nano-dollars."""

    stay: Stay
    nanos: int


class Contract:
    """An organization's subscription, by all decisions about it as they are now."""

    def __init__(
        self,
        organization_id: int,
        zone: ZoneInfo,
        anchor_day: int,
        decisions: tuple[Decision, ...],
        versions: Mapping[str, list[PlanVersion]],
    ) -> None:
        self.organization_id = organization_id
        self.zone = zone
        self.anchor_day = anchor_day
        self.decisions = decisions
        self._versions = versions

    @classmethod
    def load(cls, organization: Organization) -> Contract | None:
        """None for an organization without a subscription."""
        with organization_scope(organization.pk):
            subscription = Subscription.objects.filter(organization=organization).first()
            if subscription is None:
                return None
            changes = SubscriptionChange.objects.select_related("plan").order_by("number")
            decisions = tuple(Decision(one.number, one.effective_on, one.plan.code, one.is_trial) for one in changes)
            versions: dict[str, list[PlanVersion]] = {}
            of_plans = PlanVersion.objects.filter(plan__code__in={one.plan for one in decisions})
            for version in of_plans.select_related("plan").order_by("effective_on", "number"):
                versions.setdefault(version.plan.code, []).append(version)
        return cls(organization.pk, organization.zone, subscription.anchor_day, decisions, versions)

    def today(self, at: dt.datetime | None = None) -> dt.date:
        return local_day(at or now(), self.zone)

    def period(self, day: dt.date) -> Period:
        return period_of(day, self.anchor_day)

    def decision_on(self, day: dt.date) -> Decision | None:
        return holds_on(self.decisions, day)

    def next_change(self, after: dt.date) -> Decision | None:
        """What is scheduled, the end of a trial included."""
        return next_change(self.decisions, after)

    def trial_ends_on(self, day: dt.date) -> dt.date | None:
        """The first day that is no trial any more; None when that day is in none."""
        decision = self.decision_on(day)
        if decision is None or not decision.is_trial:
            return None
        following = self.next_change(day)
        while following is not None and following.is_trial:
            following = self.next_change(following.effective_on)
        return following.effective_on if following is not None else None

    @property
    def has_taken_a_fee(self) -> bool:
        """Whether a plan with a fee, or a trial, was ever decided upon."""
        return any(
            one.is_trial or any(version.base_fee_nanos for version in self._versions[one.plan])
            for one in self.decisions
        )

    def stays(self, period: Period) -> list[Stay]:
        """The period by plan. A plan's new version begins with a period, or with a stay."""
        return [
            Stay(segment, self._version(segment.plan, segment.starts_on))
            for segment in segments(self.decisions, period)
        ]

    def stay_on(self, day: dt.date) -> Stay | None:
        return next(
            (stay for stay in self.stays(self.period(day)) if stay.segment.starts_on <= day < stay.segment.ends_on),
            None,
        )

    def version_on(self, day: dt.date) -> PlanVersion | None:
        stay = self.stay_on(day)
        return stay.version if stay is not None else None

    def allowance(self, period: Period) -> int | None:
        """Tokens included in a period; None is unlimited. What is paid with credits counts for nothing here."""
        parts = [
            (stay.version.allowance_tokens, stay.segment.days)
            for stay in self.stays(period)
            if stay.version.overage != Overage.CREDITS
        ]
        return mean_allowance(parts) if parts else None

    def fees(self, period: Period) -> list[Fee]:
        """The base fees of a period, a part for each stay; trials are free."""
        return [
            Fee(stay, fee_share(stay.version.base_fee_nanos, period, stay.segment.starts_on, stay.segment.ends_on))
            for stay in self.stays(period)
            if not stay.segment.is_trial and stay.version.base_fee_nanos
        ]

    def charged_from(self, period: Period) -> dt.date | None:
        """From when on in a period tokens over the allowance are charged; None when they are not.

        It is one stretch, up to the period's end: a plan that charges is only left for one that does not when a period
        ends. Where decisions say otherwise, days on a plan that refuses are never charged.
        """
        found = None
        for stay in reversed(self.stays(period)):
            if not stay.is_charged:
                break
            found = stay.segment.starts_on
        return found

    def with_version(self, draft: PlanVersion) -> Contract:
        """As it would be if a plan had this version too. The contract itself where it never comes to that plan."""
        if all(one.plan != draft.plan.code for one in self.decisions):
            return self
        of_plan = sorted(
            [*self._versions[draft.plan.code], draft], key=lambda version: (version.effective_on, version.number)
        )
        versions = {**self._versions, draft.plan.code: of_plan}
        return Contract(self.organization_id, self.zone, self.anchor_day, self.decisions, versions)

    def first_day_of(self, version: PlanVersion) -> dt.date | None:
        """From when on a version holds here, as things are decided now; None for never."""
        of_plan = self._versions.get(version.plan.code, [])
        decided, made = [one.effective_on for one in self.decisions], [one.effective_on for one in of_plan]
        settled = max([version.effective_on, *decided, *made])
        period = self.period(version.effective_on)
        while True:
            for stay in self.stays(period):
                if stay.version is version:
                    return stay.segment.starts_on
            # Behind the last day anything is decided about, every period is like this one.
            if period.starts_on > settled:
                return None
            period = self.period(period.ends_on)

    def next_version(self, after: dt.date) -> tuple[dt.date, PlanVersion] | None:
        """The first other version of the plan of a day to hold here behind it, with its first day."""
        present = self.version_on(after)
        if present is None:
            return None
        later = (one for one in self._versions[present.plan.code] if one.effective_on > present.effective_on)
        days = ((self.first_day_of(one), one) for one in later)
        coming = [(day, one) for day, one in days if day is not None and day > after]
        return min(coming, key=lambda pair: pair[0], default=None)

    def _version(self, code: str, day: dt.date) -> PlanVersion:
        return [version for version in self._versions[code] if version.effective_on <= day][-1]
