"""Settings, from the environment."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from csp.constants import NONE, SELF
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext_lazy as _

from einvoice_project import demo_keys
from einvoice_project.embedded_postgres import Cluster
from einvoice_project.environment import Environment
from einvoice_project.storage import storage_settings

BASE_DIR = Path(__file__).resolve().parent.parent
environment = Environment()

DEBUG = environment("DEBUG")
DEMO = environment("NAVETTE_DEMO")
DATA_DIR = Path(environment("DATA_DIR") or BASE_DIR / "var").resolve()

if DEMO:
    demo_keys.provide(DATA_DIR)
SECRET_KEY = environment.required("SECRET_KEY")
SECRETS_KEYS = environment.required("SECRETS_KEYS")
HISTORY_KEYS = environment("HISTORY_KEYS")
ANCHOR_MAIL = environment("ANCHOR_MAIL")
WATCH_MAIL = environment("WATCH_MAIL")
OUTBOUND_INSIDE = environment("OUTBOUND_INSIDE")
PUBLIC_URL = environment.required("PUBLIC_URL").rstrip("/")
ALLOWED_HOSTS = environment("ALLOWED_HOSTS") or [urlsplit(PUBLIC_URL).hostname, "localhost", "127.0.0.1", "[::1]"]

INSTALLED_APPS = [
    "lifecycle",
    "invoices",
    "providers",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "django.contrib.postgres",
    "django.contrib.humanize",  # read by allauth's pages of sessions and passkeys
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.usersessions",
    "csp",
    "django_htmx",
    "django_q",
    "drf_spectacular",
    "rest_framework",
]

MIDDLEWARE = [
    "einvoice_project.middleware.pushes_first",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "einvoice_project.middleware.permissions_policy",
    "csp.middleware.CSPMiddleware",
    "einvoice_project.middleware.admin_scripts",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "einvoice_project.times.every_time",
    "einvoice_project.middleware.plain_text",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "einvoice_project.sessions.leaving_nothing",
    "einvoice_project.sessions.ending_sessions",
    "einvoice_project.sessions.second_factor",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "allauth.usersessions.middleware.UserSessionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

ROOT_URLCONF = "einvoice_project.urls"
WSGI_APPLICATION = "einvoice_project.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Database

EMBEDDED_POSTGRES = Cluster(DATA_DIR / "postgres")
if environment("DATABASE_URL"):
    DATABASES = {"default": environment.db_url_config(environment("DATABASE_URL"))}
else:
    DATABASES = {"default": EMBEDDED_POSTGRES.database_settings()}
# Kept connections: a new one per request costs five times as much, and django-q2 does not survive a psycopg pool.
DATABASES["default"] |= {"CONN_MAX_AGE": 600, "CONN_HEALTH_CHECKS": True}
# A lost transaction must not hold its locks for ever, nor one slow page a connection.
DATABASES["default"].setdefault("OPTIONS", {}).setdefault(
    "options", "-c statement_timeout=60s -c lock_timeout=20s -c idle_in_transaction_session_timeout=60s"
)

# Background work: our own tables are the queue, django-q2's tasks are nudges that may be lost or come twice.

Q_CLUSTER = {
    "name": "navette",
    "label": _("Background tasks"),
    "workers": environment("WORKERS"),
    "recycle": 500,
    "timeout": 120,
    # More than the timeout and the wait in a worker's queue together, else a task runs twice.
    "retry": 420,
    "queue_limit": 2 * environment("WORKERS"),
    # Kilobytes. A worker that has checked an invoice of thousands of lines gives the memory back by ending.
    "max_rss": 700_000,
    "bulk": 1,
    "poll": 0.1,
    # Keep no successful task: the default of 250 costs four times as much per task.
    "save_limit": -1,
    "catch_up": False,
    "ack_failures": True,
    "max_attempts": 1,
}
LEASE_SECONDS = environment("LEASE_SECONDS")
RELAY_THREADS = environment("RELAY_THREADS")
PPF_NUMBER_LENGTH = environment("PPF_NUMBER_LENGTH")
PPF_NUMBER_LENGTH_UNTIL = environment("PPF_NUMBER_LENGTH_UNTIL")
INBOX_THREADS = environment("INBOX_THREADS")
AUDIT_DAYS = max(environment("AUDIT_DAYS"), 366)
REDIS_URL = environment("REDIS_URL")
PLAIN_CONNECTIONS = environment("PLAIN_CONNECTIONS")
Q_CLUSTER |= (
    {"redis": REDIS_URL, "broker_class": "einvoice_project.redis_queue.RedisQueue"}
    if REDIS_URL
    else {"orm": "default", "broker_class": "einvoice_project.queue.DatabaseQueue"}
)
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {
        # Shared by all processes: what limits guesses and remembers used codes must be.
        "BACKEND": "django.core.cache.backends.db.DatabaseCache",
        "LOCATION": "navette_cache",
        "OPTIONS": {"MAX_ENTRIES": 100_000},
    }
}

# People

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
] + [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "einvoice_project.passwords.StrengthValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "einvoice_project.accounts.AccountAdapter"
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_EMAIL_SUBJECT_PREFIX = "[Navette] "
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email*", "password1*", "password2*"]
ACCOUNT_EMAIL_NOTIFICATIONS = True
MFA_ADAPTER = "einvoice_project.accounts.MFAAdapter"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_REQUIRED_FROM = "nobody" if DEMO else environment("MFA_REQUIRED_FROM")
if MFA_REQUIRED_FROM not in ("reader", "clerk", "approver", "administrator", "nobody"):
    raise ImproperlyConfigured(f"MFA_REQUIRED_FROM: “{MFA_REQUIRED_FROM}” is no role. See docs/environment.md.")
# WebAuthn wants HTTPS except on localhost.
MFA_WEBAUTHN_ALLOW_INSECURE_ORIGIN = DEMO
# Recording each request of each session would cost five statements, and pages poll every two seconds.
USERSESSIONS_TRACK_ACTIVITY = False
SOCIALACCOUNT_ADAPTER = "einvoice_project.accounts.SocialAccountAdapter"
SOCIALACCOUNT_PROVIDERS: dict[str, dict[str, list[Any]]] = {"openid_connect": {"APPS": []}}
if environment("OIDC_SERVER_URL"):
    SOCIALACCOUNT_PROVIDERS["openid_connect"]["APPS"].append(
        {
            "provider_id": "sso",
            "name": environment("OIDC_NAME"),
            "client_id": environment.required("OIDC_CLIENT_ID"),
            "secret": environment.required("OIDC_CLIENT_SECRET"),
            "settings": {"server_url": environment("OIDC_SERVER_URL"), "oauth_pkce_enabled": True},
        }
    )

# Safety of the HTTP side

SECURE = PUBLIC_URL.startswith("https://")
PROXY_COUNT = 0 if DEMO else environment("PROXY_COUNT")
ALLAUTH_TRUSTED_PROXY_COUNT = PROXY_COUNT
if PROXY_COUNT:
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(PUBLIC_URL))]
SECURE_SSL_REDIRECT = SECURE
# A platform's call is never redirected, and probes come from inside.
SECURE_REDIRECT_EXEMPT = [r"^hooks/", r"^healthz$", r"^readyz$", r"^metrics$", r"^csp-report/$"]
SECURE_HSTS_SECONDS = environment("HSTS_SECONDS") if SECURE else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = SECURE_HSTS_PRELOAD = bool(SECURE_HSTS_SECONDS)
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = SECURE
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = ("__Host-session", "__Host-csrf") if SECURE else ("session", "csrf")
LANGUAGE_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = environment("SESSION_HOURS") * 60 * 60
SESSION_IDLE_MINUTES = environment("SESSION_IDLE_MINUTES")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "frame-src": [SELF],
        "manifest-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
        "require-trusted-types-for": ["'script'"],
        "trusted-types": ["default"],
        "report-uri": "/csp-report/",
    },
}
FILE_UPLOAD_MAX_MEMORY_SIZE = 2 * 1024 * 1024
FILE_UPLOAD_PERMISSIONS = 0o600
FILE_UPLOAD_DIRECTORY_PERMISSIONS = 0o700

# Language and time

LANGUAGE_CODE = "fr"
LANGUAGES = [("fr", "Français"), ("en", "English")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "Europe/Paris"
USE_TZ = True

# Files

STATIC_URL = "/static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = WHITENOISE_AUTOREFRESH = DEBUG or DEMO
STORAGES = {
    "default": storage_settings(environment("STORAGE_URL"), DATA_DIR),
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or DEMO
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Mail

vars().update(environment.email_url_config(environment("EMAIL_URL")))
DEFAULT_FROM_EMAIL = SERVER_EMAIL = environment("DEFAULT_FROM_EMAIL")
EMAIL_TIMEOUT = 10

# API

API_CALLS_PER_MINUTE = environment("API_CALLS_PER_MINUTE")
EXPORTS_PER_MINUTE = environment("EXPORTS_PER_MINUTE")
PREVIEWS_PER_MINUTE = environment("PREVIEWS_PER_MINUTE")

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "invoices.people.authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser"],
    "DEFAULT_SCHEMA_CLASS": "lifecycle.api.schema.ApiSchema",
    "DEFAULT_THROTTLE_CLASSES": ["lifecycle.api.limits.CallLimit"],
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_VERSIONING_CLASS": None,
    "EXCEPTION_HANDLER": "einvoice_project.problems.handle",
    "COERCE_DECIMAL_TO_STRING": True,
    "NUM_PROXIES": PROXY_COUNT,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Navette",
    "DESCRIPTION": "French e-invoices and their statuses, whatever platform they come through.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "COMPONENT_SPLIT_REQUEST": True,
    "PREPROCESSING_HOOKS": ["lifecycle.api.schema.keep_api"],
    "ENUM_NAME_OVERRIDES": {
        "RelayStateEnum": "lifecycle.models.RelayState",
        "StatusObjectEnum": "providers.norm.codes.StatusObject",
        "DeliveryStateEnum": "providers.models.WebhookDelivery.State",
        "ConnectionStateEnum": "providers.models.Connection.State",
        "OutcomeEnum": "invoices.validation.verdict.Outcome",
        "ValidationStateEnum": "invoices.models.Validation.State",
        "RuleEnum": "lifecycle.api.serializers.RULES",
    },
}

# Logs and metrics

METRICS_TOKEN = environment("METRICS_TOKEN")
LOG_LEVEL = environment("LOG_LEVEL").upper()
LOG_FORMAT = environment("LOG_FORMAT")
if LOG_FORMAT not in ("text", "json"):
    raise ImproperlyConfigured(f"LOG_FORMAT: “{LOG_FORMAT}” is neither text nor json. See docs/environment.md.")
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "text": {
            "()": "einvoice_project.logs.TextLines",
            "format": "%(asctime)s %(levelname)s %(name)s[%(process)d] %(message)s",
        },
        "json": {"()": "einvoice_project.logs.JsonLines"},
    },
    "filters": {
        "name_person": {"()": "einvoice_project.logs.NamePerson"},
        "hide_hook_tokens": {"()": "einvoice_project.logs.HideHookTokens"},
    },
    "handlers": {
        "console": {
            "class": "logging.StreamHandler",
            "formatter": LOG_FORMAT,
            "filters": ["name_person", "hide_hook_tokens"],
        },
    },
    "root": {"handlers": ["console"], "level": LOG_LEVEL},
    "loggers": {
        "django": {"handlers": [], "level": LOG_LEVEL, "propagate": True},
        "django-q": {"level": "WARNING"},
        # At INFO this tells of each table of each font of each PDF.
        "fontTools": {"level": "WARNING"},
        # At INFO these write whole addresses, and some platforms put keys in them.
        "httpx": {"level": "WARNING"},
        "httpcore": {"level": "WARNING"},
    },
}
