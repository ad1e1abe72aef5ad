"""The site's addresses."""

from django.urls import path

from shop import views

urlpatterns = [path("reports", views.order), path("reports/<str:task_id>", views.look)]
