"""Sixty secrets, each in the kind of place where one is found; made up, and every one different.

`planted()` gives objects that hold them, `SECRETS` what must never be seen again.
"""

from __future__ import annotations

import base64
import json
from typing import Any


def _token(number: int, alphabet: str = "abcdefghijklmnopqrstuvwxyz0123456789", length: int = 36) -> str:
    """Make a string that looks random and is always the same."""
    return "".join(alphabet[(number * 31 + step * step * 7 + step * number) % len(alphabet)] for step in range(length))


_UPPER = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_JWT = ".".join(("eyJhbGciOiJIUzI1NiJ9", f"eyJ{_token(1)}", _token(2)))
_PEM = f"-----BEGIN RSA PRIVATE KEY-----\n{_token(3)}\n{_token(4)}\n-----END RSA PRIVATE KEY-----"

# By key: field names that say what they hold.
BY_KEY = {
    name: f"by-key-{_token(number, length=12)}"
    for number, name in enumerate(
        ("password", "adminPassword", "root_password", "PASSWD", "passphrase", "clientSecret", "apiKey", "api_key",
         "accessKey", "secretKey", "secret-access-key", "privateKey", "token", "bearerToken", "refresh_token",
         "authToken", "credentials", "dsn", "connectionString", "encryptionKey", "pwd", "jwt", "sshKey", "kubeconfig",
         "signingKey", "dbPass"),
        start=10,
    )
}  # fmt: skip

# By shape: free text, in fields whose names say nothing.
BY_SHAPE = {
    "jwt": _JWT,
    "pem": _PEM,
    "pemInBase64": base64.b64encode(_PEM.encode()).decode(),
    "aws": f"AKIA{_token(40, _UPPER, 16)}",
    "gcp": f"AIza{_token(41, length=35)}",
    "google": f"ya29.{_token(42)}",
    "github": f"ghp_{_token(43)}",
    "githubFine": f"github_pat_{_token(44)}",
    "gitlab": f"glpat-{_token(45, length=20)}",
    "slack": f"xoxb-{_token(46, length=24)}",
    "stripe": f"sk_live_{_token(47, length=24)}",
    "npm": f"npm_{_token(48)}",
    "openai": f"sk-{_token(49, length=40)}",
    "vault": f"hvs.{_token(50, length=24)}",
    "sendgrid": f"SG.{_token(51, length=22)}.{_token(52, length=43)}",
    "huggingface": f"hf_{_token(53, length=34)}",
}
# Inside a sentence: what must go, and the sentence.
_IN_TEXT = {
    f"url{_token(60, length=10)}": "dial postgres://admin:url{}@db:5432/app failed".replace("url{}", "{}"),
    f"query{_token(61, length=10)}": "GET https://host/path?x=1&token={} gave 403",
    f"bearer{_token(62, length=20)}": 'request with header "Authorization: Bearer {}" refused',
    f"basic{_token(63, length=20)}": "proxy said no to Basic {}",
    f"assign{_token(64, length=10)}": "cannot log in with user=app password={} on host db",
    f"colon{_token(65, length=10)}": "login failed, password: {}",
    f"azure{_token(66, length=24)}": "DefaultEndpointsProtocol=https;AccountName=a;AccountKey={};x=y",
    f"sas{_token(67, length=24)}": "https://a.blob/x?sv=1&sig={}",
}
IN_TEXT = {secret: text.replace("{}", secret) for secret, text in _IN_TEXT.items()}

IN_ENV = {
    name: f"env-{_token(number, length=14)}" for number, name in enumerate(("DB_PASSWORD", "API_TOKEN"), start=70)
}
IN_APPLIED = f"applied-{_token(80, length=14)}"
IN_ANNOTATION = f"annotated-{_token(81, length=14)}"
IN_LIST = [f"listed-{_token(number, length=14)}" for number in (82, 83)]
AS_KEY = f"ghp_{_token(84)}"
IN_SCHEMA = f"declared-{_token(85, length=14)}"
BY_RULE = f"ruled-{_token(86, length=14)}"
IN_ERROR = f"ghp_{_token(87)}"

SECRETS: list[str] = [
    *BY_KEY.values(),
    *BY_SHAPE.values(),
    *IN_TEXT,
    *IN_ENV.values(),
    IN_APPLIED,
    IN_ANNOTATION,
    *IN_LIST,
    AS_KEY,
    IN_SCHEMA,
    BY_RULE,
    IN_ERROR,
]


def needles() -> list[str]:
    """Give what to search for: of a secret in several lines, each line."""
    return [line for secret in SECRETS for line in secret.splitlines() if not line.startswith("-----")]


def planted(changed: str = "") -> dict[str, Any]:
    """Make the parts of an object that hold the secrets; `changed` is added to each, to make another version."""
    values = {name: value + changed for name, value in BY_KEY.items()}
    return {
        "metadata": {
            "annotations": {
                "kubectl.kubernetes.io/last-applied-configuration": json.dumps(
                    {"spec": {"password": IN_APPLIED + changed}}
                ),
                "example.com/admin-password": IN_ANNOTATION + changed,
            }
        },
        "spec": {
            "byKey": values,
            "free": dict(BY_SHAPE),
            "env": [{"name": name, "value": value + changed} for name, value in IN_ENV.items()],
            "tokens": [token + changed for token in IN_LIST],
            "map": {AS_KEY: "x" + changed},
            "declared": IN_SCHEMA + changed,
            "ruled": {"deep": {"value": BY_RULE + changed}},
            "plain": "nothing to hide" + changed,
        },
        "status": {
            "message": f"clone with {IN_ERROR} failed{changed}",
            "conditions": [
                {"type": f"C{number}", "status": "False", "message": text + changed}
                for number, text in enumerate(IN_TEXT.values())
            ],
        },
    }
