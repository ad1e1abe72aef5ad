"""Views that submit work and look at it."""

from django.core.handlers.asgi import ASGIRequest
from django.http import Http404, JsonResponse
from django.views.decorators.csrf import csrf_exempt

from dsched.client import Client, NotFoundError
from shop import tasks


def client_of(request: ASGIRequest) -> Client:
    """The client of the pod that asgi.py has started."""
    client: Client = request.scope["state"]["client"]
    return client


@csrf_exempt
async def order(request: ASGIRequest) -> JsonResponse:
    """Submit the work; any replica's worker does it."""
    name, seconds = request.GET["name"], float(request.GET.get("seconds", 0))
    return JsonResponse({"task": await tasks.render.submit(name, seconds)}, status=202)


async def look(request: ASGIRequest, task_id: str) -> JsonResponse:
    """How it is, from whichever replica is asked."""
    try:
        task = await client_of(request).get(task_id)
    except NotFoundError as error:
        raise Http404 from error
    return JsonResponse({"status": task.status, "result": task.result and task.result.data})
