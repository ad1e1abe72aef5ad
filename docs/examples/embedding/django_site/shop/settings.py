"""The least that Django needs."""

import os

SECRET_KEY = os.environ["DJANGO_SECRET_KEY"]
ALLOWED_HOSTS = ["127.0.0.1", "localhost"]
INSTALLED_APPS = ["shop"]
ROOT_URLCONF = "shop.urls"
USE_TZ = True
DATABASES = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": "site.sqlite3"}}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DSCHED = {
    "pod": {"app": "shop"},
    # A child process begins with nothing: it is set up as this one was, and needs the same key.
    "executors": {"local": {"setup": "django:setup", "pass_env": ["DJANGO_SECRET_KEY"]}},
}
