"""What happened here, told after commit to whoever listens (receivers.py of the apps above).

- organization_created(organization_id, plan): `plan` is the code asked for, or None for the usual one.
- organization_described(organization_id): something in its description is another one: its name, address or zone.
- organization_zone_changed(organization_id, before, after): days begin at another moment now.
"""

from django.dispatch import Signal

organization_created = Signal()
organization_described = Signal()
organization_zone_changed = Signal()
