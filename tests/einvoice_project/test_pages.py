import pytest
from django.test import Client

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "frame-src 'self'",
    "manifest-src 'self'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
    "report-uri /csp-report/",
    "require-trusted-types-for 'script'",
    "trusted-types default",
}


@pytest.mark.django_db
def test_every_page_says_what_the_browser_may_do(client: Client) -> None:
    headers = client.get("/healthz").headers
    assert set(headers["Content-Security-Policy"].split("; ")) == POLICY
    assert headers["X-Frame-Options"] == "DENY"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["Permissions-Policy"].startswith("camera=(), ")


@pytest.mark.django_db
def test_admin_runs_scripts_of_django(client: Client) -> None:
    policy = client.get("/admin/login/").headers["Content-Security-Policy"]
    assert set(policy.split("; ")) == {part for part in POLICY if "trusted-types" not in part}


@pytest.mark.django_db
def test_admin_sends_strangers_to_the_one_login(client: Client) -> None:
    response = client.get("/admin/", follow=True)
    assert response.redirect_chain[-1] == ("/accounts/login/?next=%2Fadmin%2F", 302)
    assert response.status_code == 200


@pytest.mark.django_db
def test_nobody_signs_up_alone(client: Client) -> None:
    client.post("/accounts/signup/", {"username": "eve", "password1": "Xh7-pq9zz", "password2": "Xh7-pq9zz"})
    assert client.login(username="eve", password="Xh7-pq9zz") is False
