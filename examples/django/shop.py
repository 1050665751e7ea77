"""A page of orders that is live: a Django site in one file, for which a hub holds the streams."""

import base64
import functools
import json
import os
import sys
import urllib.parse
import urllib.request

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse, HttpResponseForbidden, JsonResponse
from django.middleware.csrf import get_token
from django.shortcuts import redirect
from django.template import engines
from django.urls import path
from django.views.decorators.http import require_POST

HUB = os.environ.get("ESHQ_URL", "http://localhost:8080").rstrip("/")
KEY = os.environ.get("ESHQ_KEY", "shop")
SECRET = os.environ.get("ESHQ_SECRET", "0123456789abcdef")

settings.configure(
    DEBUG=False,
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    SECRET_KEY=os.environ.get("SECRET_KEY", "for trying this only"),
    ROOT_URLCONF=__name__,
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
    ],
    SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    TEMPLATES=[{"BACKEND": "django.template.backends.django.DjangoTemplates"}],
)

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Orders</title>
{% if user %}
<h1>Orders</h1>
<p role="status">connecting</p>
<ul></ul>
<form action="/orders/new" method="post">{% csrf_token %}<input name="item" aria-label="Item" required> <button>Order</button></form>
<script src="{{ hub }}/es.js"></script>
<script>
  const orders = new ESHQ('orders', { auth_headers: { 'X-CSRFToken': '{{ token }}' } });
  orders.lastEventId = '0-0'; // from the first order that is retained
  orders.onopen = () => (document.querySelector('[role=status]').textContent = 'live');
  orders.addEventListener('order', ({ data }) => {
    const { item, by } = JSON.parse(data);
    document.querySelector('ul').appendChild(document.createElement('li')).textContent = `${item}, by ${by}`;
  });
  document.querySelector('form').onsubmit = async (event) => {
    event.preventDefault();
    const form = event.target;
    if ((await fetch(form.action, { method: 'POST', body: new FormData(form) })).ok) form.reset();
  };
</script>
{% else %}
<form action="/login" method="post">{% csrf_token %}<input name="user" aria-label="Your name" required> <button>Sign in</button></form>
{% endif %}
"""


def call_hub(call, **fields):
    """Sends a call of the app to the hub, and returns its answer."""
    credentials = base64.b64encode(f"{KEY}:{SECRET}".encode()).decode()
    headers = {"Authorization": f"Basic {credentials}"}
    request = urllib.request.Request(HUB + call, urllib.parse.urlencode(fields).encode(), headers)
    with urllib.request.urlopen(request, timeout=5) as answer:
        return json.load(answer)


def signed_in(view):
    """Lets only those in who have signed in."""

    @functools.wraps(view)
    def checked(request):
        return view(request) if request.session.get("user") else HttpResponseForbidden("Sign in first.")

    return checked


def page(request):
    context = {"user": request.session.get("user"), "hub": HUB, "token": get_token(request)}
    return HttpResponse(engines["django"].from_string(PAGE).render(context, request))


@require_POST
def login(request):
    request.session["user"] = request.POST["user"]
    return redirect("/")


@require_POST
@signed_in
def socket(request):
    """Gives a reader a pass to the stream of a channel."""
    if request.POST.get("channel") != "orders":
        return HttpResponseForbidden("There is no such channel.")
    return JsonResponse(call_hub("/socket", channel="orders"))


@require_POST
@signed_in
def new_order(request):
    order = {"item": request.POST["item"], "by": request.session["user"]}
    # A site with a database sends this in transaction.on_commit.
    call_hub("/event", channel="orders", type="order", data=json.dumps(order))
    return HttpResponse(status=204)


urlpatterns = [path("", page), path("login", login), path("eshq/socket", socket), path("orders/new", new_order)]

if __name__ == "__main__":
    address = f"127.0.0.1:{os.environ.get('PORT', '8000')}"
    execute_from_command_line([sys.argv[0], "runserver", "--noreload", address])
