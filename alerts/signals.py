"""What happened here, told after commit to whoever listens (receivers.py of the apps above).

- inbox_changed(organization_id, user_ids): what these members have been told, or have read of it, is another.
"""

from django.dispatch import Signal

inbox_changed = Signal()
