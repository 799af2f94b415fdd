"""Settings, read top to bottom: security, apps, web, data, accounts, mail, tasks, API, logs.

Every value that differs between installations comes from the environment (docs/guides/operations.md).
"""

from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import structlog
from csp.constants import NONCE, NONE, SELF
from django.core.exceptions import ImproperlyConfigured

from config.embedded import data_dir
from config.env import BASE_DIR, env
from config.schedule import SCHEDULE

# ── Security ──
DEBUG = env.bool("DEBUG", default=False)
# Set by `manage.py demo`: everybody who is logged in may read what was sent to anybody.
IS_DEMO = env.bool("TOKENLEDGER_DEMO", default=False)
SECRET_KEY = env.str("SECRET_KEY", default="")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured(
            "SECRET_KEY is not set. Set it to a long random string (`openssl rand -hex 32`), "
            "or set DEBUG=1 on your own machine."
        )
    SECRET_KEY = "only-for-debugging-on-this-machine"  # noqa: S105
# Former ones, newest first: what was signed or encrypted with them can still be read.
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
BASE_URL = env.str("BASE_URL", default="http://localhost:8000").rstrip("/")
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"])
IS_SECURE = BASE_URL.startswith("https://")
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_HSTS_SECONDS = 31_536_000 if IS_SECURE else 0
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = IS_SECURE
SESSION_COOKIE_HTTPONLY = True
CSRF_TRUSTED_ORIGINS = [BASE_URL]
X_FRAME_OPTIONS = "DENY"
_LOGIN_ORIGINS = [
    origin
    for origin, variable in (
        ("https://accounts.google.com", "GOOGLE_CLIENT_ID"),
        ("https://github.com", "GITHUB_CLIENT_ID"),
    )
    if env.str(variable, default="")
]
# Without a key no card is taken: invoices are paid by transfer, which finance records.
STRIPE_API_KEY = env.str("STRIPE_API_KEY", default="")
STRIPE_WEBHOOK_SECRET = env.str("STRIPE_WEBHOOK_SECRET", default="")
# The event of the meter at Stripe that is told of tokens, for those who bill usage there. Empty: none is told.
STRIPE_METER_EVENT = env.str("STRIPE_METER_EVENT", default="")
_STRIPE = "https://api.stripe.com"
STRIPE_API_BASE = env.str("STRIPE_API_BASE", default=_STRIPE).rstrip("/")
# The fake server has its pages where it has its API.
_STRIPE_PAGES = (
    ["https://checkout.stripe.com", "https://billing.stripe.com"] if STRIPE_API_BASE == _STRIPE else [STRIPE_API_BASE]
)
if env.str("OIDC_SERVER_URL", default=""):
    _LOGIN_ORIGINS.append("{0.scheme}://{0.netloc}".format(urlsplit(env.str("OIDC_SERVER_URL"))))
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF, NONCE],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "manifest-src": [SELF],
        "worker-src": [SELF],
        # Browsers hold redirects after a form to this list too; social log-in and Stripe's pages begin with a form.
        "form-action": [SELF, *_LOGIN_ORIGINS, *(_STRIPE_PAGES if STRIPE_API_KEY else ())],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# ── Apps ──
INSTALLED_APPS = [
    "config",
    "core",
    "accounts",
    "metering",
    "billing",
    "alerts",
    "reports",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.google",
    "allauth.socialaccount.providers.github",
    "allauth.socialaccount.providers.openid_connect",
    "csp",
    "django_celery_beat",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "rest_framework",
]
DEFAULT_AUTO_FIELD = "django.db.models.AutoField"

# ── Web ──
ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"
MIDDLEWARE = [
    "core.requests.RequestIdMiddleware",
    "core.requests.PrivateAnswersMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "accounts.middleware.OwnerMiddleware",
    "accounts.middleware.ImpersonationMiddleware",
    "accounts.middleware.OrganizationMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "csp.context_processors.nonce",
                "reports.navigation.shell",
            ],
        },
    }
]
STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
STATIC_ROOT = data_dir(env.ENVIRON) / "static"
WHITENOISE_USE_FINDERS = DEBUG
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        # Names carry a hash, so browsers keep files for good. Compressing is the reverse proxy's work.
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "django.contrib.staticfiles.storage.ManifestStaticFilesStorage"
    },
}
DATA_DIR = data_dir(env.ENVIRON)
MEDIA_ROOT = DATA_DIR / "media"
LANGUAGE_CODE = "en-us"
LANGUAGES = [("en", "English")]
TIME_ZONE = "UTC"
USE_TZ = True
SITE_NAME = "Tokenledger"
DATA_UPLOAD_MAX_MEMORY_SIZE = 16 * 1024 * 1024
FILE_UPLOAD_MAX_MEMORY_SIZE = 1024 * 1024


# ── Data ──
def _postgres(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise ImproperlyConfigured(f"DATABASE_URL must start with postgres://, not {parts.scheme}://")
    query = dict(parse_qsl(parts.query))
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": parts.path.lstrip("/"),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.pop("host", None) or parts.hostname or "",
        "PORT": str(parts.port or ""),
        # For WSGI, whose threads stay; config/asgi.py keeps none.
        "CONN_MAX_AGE": 60,
        "CONN_HEALTH_CHECKS": True,
        # Everyday work runs as a role that owns nothing, so that row-level security binds it (core/tenancy.py).
        "OPTIONS": {**query, "assume_role": "tokenledger_app", "connect_timeout": 5},
    }


# Without a URL (a tool that only reads settings) the address is one where nothing listens.
DATABASES = {"default": _postgres(env.str("DATABASE_URL", default="postgres:///tokenledger?host=/nonexistent"))}
REDIS_URL = env.str("REDIS_URL", default="unix:///nonexistent/redis.sock")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL, "KEY_PREFIX": "tl"}
}

# ── Limits ──
# Whether requests pass while their rates cannot be counted: open or closed.
RATE_LIMITS_WHEN_REDIS_IS_DOWN = env.str("RATE_LIMITS_WHEN_REDIS_IS_DOWN", default="open")
if RATE_LIMITS_WHEN_REDIS_IS_DOWN not in ("open", "closed"):
    raise ImproperlyConfigured("RATE_LIMITS_WHEN_REDIS_IS_DOWN is open or closed.")

# ── Metrics ──
# What a Prometheus sends to read GET /metrics; without it only this machine itself may.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# ── Accounts ──
AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "accounts.adapter.AccountAdapter"
ACCOUNT_USER_MODEL_USERNAME_FIELD = None
ACCOUNT_LOGIN_METHODS = {"email"}
ACCOUNT_SIGNUP_FIELDS = ["email*", "password1*"]
ACCOUNT_SIGNUP_FORM_CLASS = "accounts.forms.OrganizationSignupForm"
# Closed to strangers with SIGNUP_OPEN=0; an invitation always opens it.
SIGNUP_IS_OPEN = env.bool("SIGNUP_OPEN", default=True)
ACCOUNT_UNIQUE_EMAIL = True
ACCOUNT_EMAIL_VERIFICATION = "mandatory"
ACCOUNT_CONFIRM_EMAIL_ON_GET = False
ACCOUNT_LOGIN_ON_EMAIL_CONFIRMATION = True
ACCOUNT_EMAIL_SUBJECT_PREFIX = ""
ACCOUNT_PREVENT_ENUMERATION = True
# A session somebody left open neither moves the account to another address nor changes how one logs in; and
# whoever owns the account hears of it.
ACCOUNT_REAUTHENTICATION_REQUIRED = True
ACCOUNT_REAUTHENTICATION_TIMEOUT = 900
ACCOUNT_EMAIL_NOTIFICATIONS = True
ACCOUNT_DEFAULT_HTTP_PROTOCOL = "https" if IS_SECURE else "http"
ACCOUNT_SESSION_REMEMBER = None
SESSION_COOKIE_AGE = 14 * 24 * 3600
MFA_SUPPORTED_TYPES = ["totp", "recovery_codes", "webauthn"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_PASSKEY_SIGNUP_ENABLED = False
MFA_TOTP_ISSUER = SITE_NAME
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = not IS_SECURE
USERSESSIONS_TRACK_ACTIVITY = True
SOCIALACCOUNT_ADAPTER = "accounts.adapter.SocialAccountAdapter"
# A provider appears on the log-in page as soon as its id and secret are set.
SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, Any]] = {
    name: {
        "APPS": [
            {
                "client_id": env.str(f"{name.upper()}_CLIENT_ID"),
                "secret": env.str(f"{name.upper()}_CLIENT_SECRET", default=""),
            }
        ]
    }
    for name in ("google", "github")
    if env.str(f"{name.upper()}_CLIENT_ID", default="")
}
if env.str("OIDC_SERVER_URL", default=""):
    SOCIALACCOUNT_PROVIDERS["openid_connect"] = {
        "APPS": [
            {
                "provider_id": "sso",
                "name": env.str("OIDC_NAME", default="Single sign-on"),
                "client_id": env.str("OIDC_CLIENT_ID"),
                "secret": env.str("OIDC_CLIENT_SECRET"),
                "settings": {"server_url": env.str("OIDC_SERVER_URL")},
            }
        ]
    }

# ── Mail ──
# Kept for looking at instead of sent (core/mailbox.py), with mailbox://.
if env.str("EMAIL_URL", default="").startswith("mailbox:"):
    EMAIL_BACKEND = "core.mailbox.Backend"
else:
    vars().update(env.email_url("EMAIL_URL", default="consolemail://"))
MAILBOX_DIR = DATA_DIR / "mail"
# A mail server that says nothing does not keep a worker for good.
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = SERVER_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Tokenledger <tokenledger@localhost>")

# ── Tasks ──
CELERY_BROKER_URL = f"redis+socket://{urlsplit(REDIS_URL).path}" if REDIS_URL.startswith("unix:") else REDIS_URL
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "tokenledger"
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE = SCHEDULE
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"

# ── API ──
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["accounts.authentication.KeyAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["accounts.permissions.HasScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["core.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "core.errors.api_exception_handler",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Tokenledger API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "ENUM_NAME_OVERRIDES": {},
}
# Whether organizations may point the gateway at this network's own addresses (localhost, 10.0.0.0/8, …).
GATEWAY_ALLOW_PRIVATE_UPSTREAMS = env.bool("GATEWAY_ALLOW_PRIVATE_UPSTREAMS", default=False)
# The same for push services that people's browsers name: only where an installation runs its own, in a closed network.
PUSH_ALLOW_PRIVATE_SERVICES = env.bool("PUSH_ALLOW_PRIVATE_SERVICES", default=False)
# The same for webhooks, which organizations enter.
WEBHOOKS_ALLOW_PRIVATE = env.bool("WEBHOOKS_ALLOW_PRIVATE", default=False)
# The Commission's register of VAT numbers: https://ec.europa.eu/taxation_customs/vies/rest-api. Empty: none is asked.
VAT_REGISTER_URL = env.str("VAT_REGISTER_URL", default="")
# How old what it told may get before it is asked again.
VAT_RECHECK_DAYS = env.int("VAT_RECHECK_DAYS", default=30)
CREDITS_PER_USD = env.int("CREDITS_PER_USD", default=10_000)

# ── Dunning ──
# Days after a refused payment on which it is tried again, and after which calls are suspended.
DUNNING_RETRY_DAYS = [int(day) for day in env.list("DUNNING_RETRY_DAYS", default=["1", "3", "5", "7"])]
DUNNING_GRACE_DAYS = env.int("DUNNING_GRACE_DAYS", default=14)

# ── Logs ──
LOG_LEVEL = env.str("LOG_LEVEL", default="INFO").upper()
_LOG_PROCESSORS: list[structlog.typing.Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": structlog.stdlib.ProcessorFormatter,
            "foreign_pre_chain": _LOG_PROCESSORS,
            "processors": [
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.dev.ConsoleRenderer(colors=False) if DEBUG else structlog.processors.JSONRenderer(),
            ],
        }
    },
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["stderr"], "level": LOG_LEVEL},
    # Stripe's library tells of every call.
    "loggers": {"django.db.backends": {"level": "INFO"}, "stripe": {"level": "WARNING"}},
}
structlog.configure(
    processors=[
        *_LOG_PROCESSORS,
        structlog.processors.format_exc_info,
        structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
    ],
    logger_factory=structlog.stdlib.LoggerFactory(),
    wrapper_class=structlog.stdlib.BoundLogger,
    cache_logger_on_first_use=True,
)
