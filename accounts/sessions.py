"""Who a session belongs to, for what answers without Django's middleware. Reads only: nothing is renewed or ended."""

from __future__ import annotations

from importlib import import_module

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, load_backend
from django.utils.crypto import constant_time_compare

from accounts import impersonation
from accounts.models import User


def person_of(session_key: str) -> User | None:
    """The person logged in with the session, under the conditions of `django.contrib.auth.get_user`."""
    session = import_module(settings.SESSION_ENGINE).SessionStore(session_key)
    if session.get(impersonation.SESSION_KEY) is not None:
        return None  # whose place it is in is asked anew by each request of a page, and only there
    backend, user_id, digest = (session.get(name) for name in (BACKEND_SESSION_KEY, SESSION_KEY, HASH_SESSION_KEY))
    if backend not in settings.AUTHENTICATION_BACKENDS or user_id is None or not digest:
        return None
    user = load_backend(backend).get_user(int(user_id))
    if not isinstance(user, User):
        return None
    accepted = (user.get_session_auth_hash(), *user.get_session_auth_fallback_hash())
    return user if any(constant_time_compare(digest, one) for one in accepted) else None
