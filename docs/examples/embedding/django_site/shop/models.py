"""What the site keeps in its database."""

from django.db import models


class Report(models.Model):
    """A report that somebody has ordered."""

    name = models.CharField(max_length=100)
